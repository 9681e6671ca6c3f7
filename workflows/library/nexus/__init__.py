"""Threat intelligence: known exploited vulnerabilities, CVSS, similar past incidents."""
