"""Settings of how people sign in."""

from .declared import Declarations
from .values import domain, origin

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
ERIP_WEBAUTHN_RP_ID = _env.text(
    "ERIP_WEBAUTHN_RP_ID",
    "",
    "The domain to which security keys are bound, such as `example.com`; keys that exist open nothing under another one"
    " ([security keys](../how-to/security-keys.md)).",
    shown="the host of ERIP_PUBLIC_URL",
    form=domain,
)
ERIP_WEBAUTHN_ORIGINS: list[str] = _env.items(
    "ERIP_WEBAUTHN_ORIGINS",
    [],
    "Where the pages are on which security keys sign, as `https://erip.example.com`.",
    shown="ERIP_PUBLIC_URL without a path",
    form=origin,
)
ERIP_WEBAUTHN_VERIFICATION = _env.text(
    "ERIP_WEBAUTHN_VERIFICATION",
    "preferred",
    "Whether a security key also asks its owner for a PIN or a finger: `required` refuses those that do not.",
    choices=("required", "preferred", "discouraged"),
)
ERIP_SIGN_IN_PROVIDERS: str = _env.text(
    "ERIP_SIGN_IN_PROVIDERS",
    "",
    "Identity providers at which people sign in, as JSON ([sign in with your provider](../how-to/sign-in-with-your-provider.md)).",
)
ERIP_ISSUER_NAME = _env.text("ERIP_ISSUER_NAME", "ERIP", "The name under which authenticator apps show this platform.")
