"""The REST API, /api/v1. Each view makes one call into workflows.engine or workflows.queries."""
