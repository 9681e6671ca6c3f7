"""How much a load needs, from what a deployment was seen to use."""
