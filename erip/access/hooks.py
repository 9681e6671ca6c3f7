"""What access adds to the platform."""

from erip.foundation.hooks import Link, Menu, confidential, menu

menu(
    Menu(
        "Access",
        (
            Link("API keys", "key", "admin:access_apikey_changelist", "access.view_apikey"),
            Link("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
            Link("API documentation", "menu_book", "docs"),
        ),
        place=90,
    )
)

for table in ("access_apikey", "access_logincounter", "access_loginplace"):
    confidential(table)
