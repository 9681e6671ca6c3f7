"""How ERIP talks to PostgreSQL. No workflow words in here."""
