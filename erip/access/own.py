"""What may be done about access itself, and the built-in roles that may do it."""

from .catalog import AUDITOR, AUDITORS, NOBODY, OPERATORS, PROVISIONERS, SECURITY_ADMINS, VIEWERS, permission

for _app, _model, _what, _verbs in (
    ("access", "apikey", "API keys", {"add": "make", "change": "change what may be sent with", "delete": "revoke"}),
    ("access", "role", "own roles", {"add": "make", "change": "change", "delete": "remove"}),
    ("access", "space", "spaces", {"add": "make", "change": "change", "delete": "remove"}),
    ("auth", "user", "people", {"add": "add", "change": "change, without their rights,", "delete": "remove"}),
):
    permission(f"{_app}.view_{_model}", f"see {_what}", AUDITORS)
    for _verb, _does in _verbs.items():
        permission(f"{_app}.{_verb}_{_model}", f"{_does} {_what}", SECURITY_ADMINS, dangerous=True)
permission("access.view_grant", "see who was granted what, and ask why somebody may do something", AUDITORS)
permission("access.add_grant", "grant roles, none of more rights than their own", SECURITY_ADMINS, dangerous=True)
permission("access.delete_grant", "take grants away", SECURITY_ADMINS, dangerous=True)
permission("access.view_signedin", "see where people are signed in", AUDITORS)
permission("access.delete_signedin", "end sessions of other people", SECURITY_ADMINS, dangerous=True)
permission(
    "access.provision",
    "bring, change and remove people and groups by SCIM, only those that SCIM brought",
    PROVISIONERS | SECURITY_ADMINS,
    dangerous=True,
)
permission("access.view_breakglass", "see emergency access, asked for and granted", VIEWERS)
permission("access.add_breakglass", "ask for permissions in an emergency", VIEWERS - {AUDITOR})
permission(
    "access.grant_breakglass", "grant emergency access that somebody else asked for", SECURITY_ADMINS, dangerous=True
)
permission("access.end_breakglass", "end emergency access of others", SECURITY_ADMINS)
permission("access.review_breakglass", "review emergency access of others that is over", SECURITY_ADMINS)
permission("access.view_flag", "see feature flags and kill switches", OPERATORS | AUDITORS)
permission("access.change_flag", "turn parts of the platform off and on, for all or for some", NOBODY, dangerous=True)
permission("auth.view_group", "see groups of people", AUDITORS)
permission("audit.view_entry", "search the audit log", AUDITORS)
