"""The console's own style and script, under addresses that hold a digest of what they are: a browser keeps them for a
year, and a new release has new addresses. WhiteNoise serves what apps ship under addresses that stay the same, so a
browser has to ask again every minute.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_A_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    packed: bytes
    digest: str
    type: str


@cache
def assets() -> dict[str, Asset]:
    """All of them by name. They are part of the code: read once."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[path.name] = Asset(content, gzip.compress(content, 9, mtime=0), digest, _TYPES[path.suffix])
    return found


def address(name: str) -> str:
    return reverse("console:asset", args=[assets()[name].digest, name])


@require_safe
def asset(request: HttpRequest, digest: str, name: str) -> HttpResponse:
    """Open to everybody: it holds no data."""
    found = assets().get(name)
    if found is None:
        raise Http404
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(found.packed if packed else found.content, content_type=found.type)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    # While a release is rolled out, a page of one process may ask another one for its style: better this one than none.
    response.headers["Cache-Control"] = _FOR_A_YEAR if digest == found.digest else "no-store"
    return response
