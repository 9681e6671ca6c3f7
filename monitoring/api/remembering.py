"""Keys for addresses that have to answer while the database is away: the health and the metrics."""

import hashlib

from cachetools import TTLCache
from django.db import Error
from rest_framework.authentication import get_authorization_header
from rest_framework.request import Request

from erip.access.authentication import ApiKeyAuthentication
from erip.access.principals import Principal
from erip.foundation.db.failures import is_passing
from erip.foundation.db.retry import within

#: seconds for which a key that opened one of these addresses still opens them while the database cannot be asked
REMEMBERED = 900.0
#: seconds for which the question about a key may wait for a failover
ASK_WITHIN = 1.0

_remembered: TTLCache[bytes, Principal] = TTLCache(1_024, REMEMBERED)


class RememberingKeys(ApiKeyAuthentication):
    """Keys as everywhere; but while the database is away, one that opened such an address of this process in the last
    quarter of an hour still opens them. Whoever looks at the health then needs it most, and it changes nothing.
    """

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        digest = hashlib.sha256(get_authorization_header(request)).digest()
        try:
            with within(ASK_WITHIN):
                found = super().authenticate(request)
        except Error as error:
            known = _remembered.get(digest)
            if known is None or not is_passing(error):
                raise
            return known, None
        if found is not None:
            _remembered[digest] = found[0]
        return found
