"""What every HTTP endpoint shares: problem documents, strict fields, parsers, limits, and the light path."""
