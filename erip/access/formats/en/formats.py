"""Dates as in ISO 8601; times to the second, as minutes are too coarse for what runs in milliseconds."""

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "Y-m-d H:i:s"
