"""A load test by a profile: what is asked how often, with which values, and what counts as good enough.

profile.yaml → format (its JSON Schema) → profile (checked, as values)
             → pace (when) + filling (with what) → playing → measured → the usual report
PULSE's frames, or request logs → addresses (which route is it) → recording → profile.yaml
"""
