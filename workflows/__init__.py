"""Durable workflows on PostgreSQL and Celery."""
