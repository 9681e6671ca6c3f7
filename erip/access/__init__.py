"""Who may do what: API keys and the scopes of those who call the API."""
