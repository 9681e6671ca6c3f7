"""What access adds to the platform."""

from erip.foundation.hooks import Link, Menu, menu

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
