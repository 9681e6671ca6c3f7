"""Mail where no mail server has been named."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class NoMail(BaseEmailBackend):
    """Raises for each message: one that was printed or thrown away would count as sent."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Raises OSError, as a mail server does that cannot be reached."""
        if email_messages:
            raise OSError("no mail server is named: set ERIP_EMAIL_URL")
        return 0
