"""Entries in the Open Cybersecurity Schema Framework, for a SIEM: https://schema.ocsf.io/1.3.0.

A sign-in or sign-out is an event of the class Authentication (3002), everything else one of API Activity (6003). What
the schema has no attribute for stands in `unmapped`, so nothing of an entry is lost. An operation whose name does not
say whether it creates, reads, updates or deletes is `Other` (99), with its name: the schema's word for not known.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

import orjson

from erip.audit.reading import Found

VERSION: Final = "1.3.0"

_API_ACTIVITY: Final = 6003
_AUTHENTICATION: Final = 3002
_OTHER: Final = 99
#: how an operation's id begins, and which activity of API Activity that is
_ACTIVITIES: Final = {
    **dict.fromkeys(("create", "start", "add", "accept", "register", "upload", "import"), 1),
    **dict.fromkeys(("get", "list", "read", "search", "query", "explain", "export", "download", "show", "check"), 2),
    **dict.fromkeys(("update", "put", "set", "change", "patch", "rename", "rotate", "replace", "edit"), 3),
    **dict.fromkeys(("delete", "remove", "revoke", "erase", "forget", "withdraw"), 4),
}
_NAMES: Final = {1: "Create", 2: "Read", 3: "Update", 4: "Delete"}
#: severity_id: Informational, Low, High
_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
#: members of an entry that have an attribute of their own
_MAPPED: Final = frozenset({"action", "principal", "object", "from", "request", "reason", "outcome", "status"})
#: kinds of principals, as user.type_id: User, and Other
_PEOPLE: Final = {"user": 1}


def ocsf_lines(found: Iterable[Found]) -> Iterator[str]:
    """JSON Lines, an event for each entry."""
    for entry in found:
        yield orjson.dumps(event(entry)).decode() + "\n"


def event(entry: Found) -> dict[str, Any]:
    """One entry as an event. Its required attributes are there whatever the entry lacks."""
    body = entry.told()
    action = str(body.get("action", ""))
    signing = action.startswith(("sign-in", "sign-out"))
    name = "Logoff" if action.startswith("sign-out") else "Logon"
    activity = (1 if name == "Logon" else 2) if signing else _activity(action)
    kind = _AUTHENTICATION if signing else _API_ACTIVITY
    outcome = str(body.get("outcome", "done"))
    told: dict[str, Any] = {
        "class_uid": kind,
        "class_name": "Authentication" if signing else "API Activity",
        "category_uid": kind // 1000,
        "category_name": "Identity & Access Management" if signing else "Application Activity",
        "activity_id": activity,
        "activity_name": name if signing else _NAMES.get(activity, action),
        "type_uid": kind * 100 + activity,
        "severity_id": _HIGH if body.get("kind") == "finding" else _INFORMATIONAL if outcome == "done" else _LOW,
        "status_id": 1 if outcome == "done" else 2,
        "status": "Success" if outcome == "done" else "Failure",
        "time": int(entry.at.timestamp() * 1000),
        "metadata": {
            "version": VERSION,
            "uid": str(entry.id),
            "event_code": action,
            "log_name": "audit",
            "product": {"name": "ERIP", "vendor_name": "ERIP"},
        },
        "actor": {"user": _user(str(body.get("principal", "")))},
        "src_endpoint": _endpoint(body),
    }
    if body.get("request"):
        told["metadata"]["correlation_uid"] = str(body["request"])
    if body.get("reason"):
        told["message"] = str(body["reason"])
    if outcome != "done":
        told["status_detail"] = outcome
    if body.get("status"):
        told["status_code"] = str(body["status"])
    if signing:
        told["user"] = told["actor"]["user"]
        told["service"] = {"name": "ERIP"}
    else:
        told["api"] = {"operation": action, "service": {"name": "ERIP"}}
        if body.get("object"):
            told["resources"] = [{"uid": str(body["object"]), "type": str(body["object"]).partition("/")[0]}]
    unmapped = {name: value for name, value in body.items() if name not in _MAPPED}
    if signing and body.get("object"):
        unmapped["object"] = body["object"]
    if unmapped:
        told["unmapped"] = unmapped
    return told


def _activity(action: str) -> int:
    """Of `createApiKey`, `admin:access_apikey_add`, `command:export`: the first or the last word that says it."""
    name = action.partition(":")[2] or action
    first = "".join(letter if letter.islower() else " " for letter in name).split()
    words = [*first[:1], *name.lower().replace("#", "_").split("_")[-1:]]
    return next((_ACTIVITIES[word] for word in words if word in _ACTIVITIES), _OTHER)


def _user(principal: str) -> dict[str, Any]:
    kind, _, name = principal.partition(":")
    told: dict[str, Any] = {"name": name or kind or "unknown", "uid": principal or "unknown"}
    told["type_id"] = _PEOPLE.get(kind, _OTHER)
    told["type"] = "User" if kind in _PEOPLE else kind or "unknown"
    return told


def _endpoint(body: Mapping[str, Any]) -> dict[str, Any]:
    """An address, or the machine where a command was called; the schema wants one of them, so `unknown` is said."""
    where = str(body.get("from", ""))
    try:
        return {"ip": str(ip_address(where))}
    except ValueError:
        return {"hostname": where or "unknown"}
