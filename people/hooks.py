"""What people's decisions add to the platform."""

from erip.foundation.hooks import (
    Link,
    Menu,
    Pages,
    Recorded,
    api_urls,
    append_only,
    kept,
    menu,
    pages,
    process_start,
    recorded,
    unrecorded,
    walled,
)
from workflows.walls import part_of

api_urls("people.urls")
pages(Pages("chat/", "people.chats.urls"))
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
for table in ("people_vote", "people_question"):
    walled((table, part_of(table, "task_id", "workflows_approvaltask")))
# What people write about a case is the case's; the audit log has its hash.
recorded(Recorded("people_vote", hashed=("comment", "form")))
recorded(Recorded("people_question", hashed=("text",)))
unrecorded(("people_notice", "a log itself: who was written to"))
unrecorded(("people_chatrequest", "digests of requests, kept for some minutes; what they did is recorded"))


@process_start
def tell(kind: str) -> None:
    """Leaders tell people what waits for them."""
    if kind == "leader":
        from people import notices

        notices.begin()
