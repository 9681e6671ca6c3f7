"""Decision tables: from facts to approval level, urgency, SLA and approvers."""
