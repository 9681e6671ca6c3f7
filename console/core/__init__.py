"""What the pages work out. Pure: no Django, no clock."""
