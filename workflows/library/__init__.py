"""The risk library: the steps that ERIP's reference workflows are made of, and the data they reason about.

Map (one area each; in every area the computation is plain Python, and `data.py` alone uses the ORM):

    nexus/      threat intelligence: KEV catalogue, CVSS, similar past incidents
    atlas/      assets and controls: exposure and control gaps
    compass/    legal obligations and their clocks; readiness against requirements
    prism/      FAIR Monte Carlo of the loss
    clearance/  who must approve, how fast: asks a decision table
    beacon/     reports and their shareable links
    trust/      the organisation's trust score
    notify/     e-mail and signed webhooks

docs/reference/library.md describes every step with its fields, formulas and sources.
"""
