"""Secrets for steps."""

from datetime import datetime

from .base import Document


class Secret(Document):
    """Who has a secret and who may use it. spaces: "" stands for workflows without a space."""

    name: str
    provider: str
    reference: str
    spaces: list[str]
    everywhere: bool
    description: str
    version: int
    changed_by: str
    changed_at: datetime
