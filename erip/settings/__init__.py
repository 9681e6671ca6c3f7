"""Settings: `base` holds what is common; `local`, `test` and `production` each say what differs and why."""
