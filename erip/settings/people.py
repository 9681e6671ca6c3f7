"""Settings of approvals: the doors besides the console and the API, each closed unless it is opened here."""

from .declared import Declarations

_env = Declarations("Approvals")

ERIP_APPROVAL_LINK_HOURS = _env.number(
    "ERIP_APPROVAL_LINK_HOURS",
    0.0,
    "Hours for which the link in a message lets its person vote once without signing in; 0: there is no such link"
    " ([by a link](../how-to/approvals.md#by-a-link)).",
    least=0,
    most=8760,
)
ERIP_SLACK_SIGNING_SECRET = _env.text(
    "ERIP_SLACK_SIGNING_SECRET",
    "",
    "The signing secret of a Slack app whose commands vote ([in a chat](../how-to/approvals.md#in-a-chat)); without it"
    " there is no such address.",
    secret=True,
)
ERIP_SLACK_PEOPLE = _env.items(
    "ERIP_SLACK_PEOPLE", [], "Who is who: `<workspace id>/<user id>=<username>`, as `T024BE7LD/U2147483697=anna`."
)
ERIP_TEAMS_SECRET = _env.text(
    "ERIP_TEAMS_SECRET",
    "",
    "The security token of an outgoing webhook of Microsoft Teams that votes; without it there is no such address.",
    secret=True,
)
ERIP_TEAMS_PEOPLE = _env.items(
    "ERIP_TEAMS_PEOPLE", [], "Who is who: `<object id in Entra ID>=<username>`, comma-separated."
)
