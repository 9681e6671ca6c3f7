"""Settings of how people sign in."""

from .declared import Declarations

_env = Declarations("Sign-in")

ERIP_SECOND_FACTOR_ROLES: list[str] = _env.items(
    "ERIP_SECOND_FACTOR_ROLES",
    [],
    "Roles that come in with a second factor only, `*` for everybody ([signing in](../how-to/sign-in.md)).",
)
ERIP_STEP_UP_MINUTES = _env.number(
    "ERIP_STEP_UP_MINUTES",
    10.0,
    "Minutes for which a second factor counts for what is dangerous; 0: it is not asked for again.",
    least=0,
    most=1440,
)
ERIP_TOKEN_ISSUERS = _env.text(
    "ERIP_TOKEN_ISSUERS",
    "",
    "Issuers whose short-lived tokens open something, as JSON ([tokens of machines](../how-to/machine-tokens.md)).",
)
ERIP_ISSUER_NAME = _env.text("ERIP_ISSUER_NAME", "ERIP", "The name under which authenticator apps show this platform.")
