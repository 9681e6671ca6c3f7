"""What may be done with the content for risk work, all of it in the admin, and the built-in roles that may do it."""

from erip.access.catalog import AUDITORS, AUTHORS, NOBODY, OPERATORS, VIEWERS, permission

_SEEN = {
    "obligation": "duties to notify",
    "requirement": "requirements of frameworks",
    "organisation": "the organisation",
    "asset": "assets",
    "control": "controls",
    "lossfactor": "loss factors",
    "pastincident": "past incidents",
    "keventry": "entries of the KEV catalogue",
    "kevcatalogue": "the KEV catalogue",
}

for _model, _what in _SEEN.items():
    permission(f"library.view_{_model}", f"see {_what}", VIEWERS)
    if _model not in ("keventry", "kevcatalogue"):
        for _verb, _does in (("add", "add to"), ("change", "change"), ("delete", "remove from")):
            permission(f"library.{_verb}_{_model}", f"{_does} {_what}", AUTHORS)
permission("library.view_report", "see reports", VIEWERS)
permission("library.view_reportlink", "see the links to reports that were made", OPERATORS | AUDITORS)
permission("library.add_reportlink", "make links to reports, which open without signing in", OPERATORS)
permission("library.change_reportlink", "end links to reports", OPERATORS)
permission("library.view_notificationtarget", "see where notifications go", OPERATORS | AUDITORS)
permission("library.add_notificationtarget", "add a place where notifications go", NOBODY)
permission("library.change_notificationtarget", "change where notifications go", NOBODY)
permission("library.delete_notificationtarget", "remove a place where notifications go", NOBODY)
permission("library.view_delivery", "see the notifications that were sent", OPERATORS | AUDITORS)
