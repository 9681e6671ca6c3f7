"""What access adds to the platform."""

from erip.foundation.db.walls import SPACES
from erip.foundation.hooks import (
    Feature,
    Link,
    Menu,
    Recorded,
    confidential,
    feature,
    kept,
    menu,
    open_to_all,
    recorded,
    unrecorded,
    walled,
)

from . import own  # noqa: F401  (declares permissions)
from .sign_in import sessions  # noqa: F401  (it listens)

menu(
    Menu(
        "Access",
        (
            Link("API keys", "key", "admin:access_apikey_changelist", "access.view_apikey"),
            Link("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
            Link("Sessions", "devices", "admin:access_signedin_changelist", "access.view_signedin"),
            Link("Your security", "lock", "admin:security"),
            Link("Grants", "how_to_reg", "admin:access_grant_changelist", "access.view_grant"),
            Link("Own roles", "badge", "admin:access_role_changelist", "access.view_role"),
            Link("Spaces", "folder", "admin:access_space_changelist", "access.view_space"),
            Link("Feature flags", "toggle_on", "admin:access_flag_changelist", "access.view_flag"),
            Link("API documentation", "menu_book", "docs"),
        ),
        place=90,
    )
)

feature(
    Feature(
        "sign-in-by-provider",
        "Nobody signs in, links an account or shows a second factor at an identity provider; passwords go on, and so do"
        " sessions.",
        on=True,
        about=("provider",),
    )
)
feature(
    Feature(
        "scim",
        "SCIM is answered with 503: people and groups stay as they are, and the provider sends its changes again.",
        on=True,
        about=("user", "key", "token"),
        share_of="callers",
    )
)
open_to_all(("access_flag", "what is switched off is the platform's, and whoever asks for it asks the table"))
walled(("access_space", f"name = ANY ({SPACES})"))
for table in (
    "access_apikey",
    "access_factor",
    "access_identity",
    "access_logincounter",
    "access_loginplace",
    "access_scimuser",
    "access_securitykey",
    "access_signedin",
    "access_usedonce",
):
    confidential(table)
kept("access_breakglass")
recorded(Recorded("access_breakglass", without=("seal", "begin_said_at", "end_said_at")))
recorded(Recorded("access_apikey", without=("last_used_at",)))
recorded(Recorded("access_factor", hashed=("sealed", "codes"), without=("last_used_at", "last_step")))
recorded(Recorded("access_identity", hashed=("subject",), without=("last_used_at",)))
recorded(Recorded("access_securitykey", hashed=("public_key", "credential_id"), without=("last_used_at", "sign_count")))
unrecorded(("access_usedonce", "remembers for minutes what counts once"))
# Names and addresses of people would stay in it for good.
recorded(Recorded("access_scimuser", hashed=("folded", "external_id", "attributes", "addresses")))
unrecorded(("access_signedin", "a sign-in has an entry of its own"))
for table in ("access_logincounter", "access_loginplace"):
    unrecorded((table, "counts sign-ins that fail, which have entries of their own"))
