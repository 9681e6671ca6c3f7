"""What people's decisions add to the platform."""

from erip.foundation.hooks import Link, Menu, api_urls, append_only, kept, menu, process_start

api_urls("people.urls")
menu(
    Menu(
        "Work",
        (
            Link("Approvals", "how_to_vote", "admin:workflows_approvaltask_changelist", "workflows.view_approvaltask"),
            Link("Delegations", "move_up", "admin:people_delegation_changelist", "people.view_delegation"),
        ),
        place=10,
    )
)
# What somebody said stays as it was said.
append_only("people_vote")
append_only("people_question")
kept("workflows_approvaltask")


@process_start
def tell(kind: str) -> None:
    """Leaders tell people what waits for them."""
    if kind == "leader":
        from people import notices

        notices.begin()
