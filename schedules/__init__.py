"""Schedules: runs that start by the calendar or the clock."""
