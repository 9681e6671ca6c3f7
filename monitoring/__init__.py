"""PULSE, which watches the platform: what its processes and servers report, in frames, as health and as alerts.

`scaling` is an app of its own: it adapts the number of workers. `core` decides and knows neither Django nor a clock,
`probes` ask the servers, `store` has all SQL.
"""
