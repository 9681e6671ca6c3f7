"""What PULSE decides, without Django, database, clock or network: `now` is passed in."""
