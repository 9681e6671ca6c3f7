"""What the platform stands on, and what knows no word of workflows."""
