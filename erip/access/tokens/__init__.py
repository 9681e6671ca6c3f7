"""Short-lived tokens of machines (JWT, RFC 7519 and 9068), which other issuers sign: workload identity, client
credentials."""
