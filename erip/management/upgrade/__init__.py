"""What lies between a database and the code that is here, and what an upgrade, or a way back, asks for."""
