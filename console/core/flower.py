"""What of Flower people may ask for: the pages of `erip.ops.stack.monitor`, and the files that these load. All else is
refused here, so that the web processes lead to no other place."""

import re
from typing import Final

#: Celery's names of workers, and ids of tasks. No slash, no percent sign (what comes here is decoded), no `..`
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,254}"
_FILE = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_PAGE: Final = re.compile(rf"(?:workers|tasks|broker|(?:worker|task)/{_NAME})?")
_DATA: Final = re.compile(r"tasks/datatable")
_STATIC: Final = re.compile(rf"static/(?:{_FILE}/){{0,3}}{_FILE}")
_QUERY: Final = re.compile(r"[A-Za-z0-9!$%&'()*+,./:;=?@\[\]_~-]{0,3000}")


def place_of(rest: str, query: str) -> str | None:
    """The path and query at Flower; None: nothing of Flower's that people may ask for.

    rest: what stands after `/flower/`, decoded. query: as it came.
    """
    if not (_PAGE.fullmatch(rest) or _DATA.fullmatch(rest) or is_file(rest)) or not _QUERY.fullmatch(query):
        return None
    return f"/flower/{rest}?{query}" if query else f"/flower/{rest}"


def is_file(rest: str) -> bool:
    """Whether it is one of Flower's scripts, styles and pictures, which are the same for everybody."""
    return _STATIC.fullmatch(rest) is not None


def is_data(rest: str, query: str) -> bool:
    """Whether a script asks, which cannot follow to a form."""
    return _DATA.fullmatch(rest) is not None or (rest == "workers" and "json=" in query)


def policy_of(host: str) -> dict[str, list[str]]:
    """The Content-Security-Policy of Flower's pages: their own files, and questions to Flower itself. What somebody
    smuggled into them could neither run as a script nor ask the platform's API.

    host: of the request, with its port.
    """
    # No source of a policy can name an address of IPv6.
    files = ["'self'"] if host.startswith("[") else [f"{host}/flower/static/"]
    asked = ["'self'"] if host.startswith("[") else [f"{host}/flower/"]
    return {
        "default-src": ["'none'"],
        "script-src": [*files, SWITCH],
        "style-src": [*files, "'unsafe-inline'"],
        "img-src": [*files, "data:"],
        "font-src": ["'none'"],
        "connect-src": asked,
        "form-action": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


#: the one script that stands within a page of Flower's: whether the page of workers asks again by itself
SWITCH: Final = "'sha256-A0YIP5A+DKoseGAUTHRoMPDkKPK5cKzfYH3mjcCKtj8='"
