"""The organisation's trust score and the figures it is made of."""
