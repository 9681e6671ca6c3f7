"""The audit log: who did what, on what, from where and why; chained, signed, and checked by a program of its own."""
