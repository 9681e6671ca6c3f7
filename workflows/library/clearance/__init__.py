"""From facts to approval level, urgency, SLA and approvers, by a decision table."""
