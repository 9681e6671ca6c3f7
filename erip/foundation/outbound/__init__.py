"""What ERIP sends to others over the network, and where it may send it."""
