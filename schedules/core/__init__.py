"""What schedules mean. Knows no Django, no database and no clock."""
