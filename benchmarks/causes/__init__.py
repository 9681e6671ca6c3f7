"""Does PULSE name the right cause of a fault, and wake somebody once at most?"""
