"""Legal clocks: from the moments of an incident to the moment when a duty is due. Pure: `now` is passed in.

`clock.py` is a clock as data, `reckoning.py` runs one from one moment, `deadline.py` puts several clocks together.
`calendars.py`, `federal.py` and `zones.py` say which days count and where. docs/explanation/legal-clocks.md argues the
readings of the law.
"""
