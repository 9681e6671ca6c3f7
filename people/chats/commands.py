"""What can be said in a chat, and the answers: `inbox`, `show 12`, `approve 12 CODE …`, `refuse 12 CODE …`.

CODE is the beginning of the SHA-256 of the content, which `show` tells: who votes has seen what they vote on, and a
vote on anything else is refused, as everywhere.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from erip.access.principals import Principal
from erip.audit.operation import describe
from people import inbox, voting
from people.chats.who import may
from people.errors import ContentChanged, PeopleError

#: hexadecimal digits of a code: 64 bits
CODE: Final = 16
#: approvals that `inbox` tells of, and characters of the evidence that `show` tells
_MOST, _SHOWN = 10, 2_500
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
HELP: Final = (
    "inbox: what waits for your vote\n"
    "show NUMBER: what is to be approved, and its code\n"
    "approve NUMBER CODE [comment]\n"
    "refuse NUMBER CODE comment"
)


def answer(caller: Principal, text: str, via: str) -> str:
    """Do what somebody says. via: the chat."""
    if "\0" in text:
        return "A character U+0000 cannot be stored."
    word, _, rest = text.strip().partition(" ")
    command = _COMMANDS.get(word.lower())
    if command is None:
        return HELP
    needed, do = command
    describe(said=word.lower())
    if not may(caller, needed):
        return f"This needs the permission {needed}."
    try:
        return do(caller, rest.strip(), via)
    except PeopleError as error:
        return str(error)


def _inbox(caller: Principal, _: str, __: str) -> str:
    waiting = inbox.asked(me=caller.name, limit=_MOST + 1)
    if not waiting:
        return "Nothing waits for your vote."
    lines = [f"{one.task.pk}: {' '.join(one.task.title.split())[:200]}" for one in waiting[:_MOST]]
    return "\n".join([*lines, *(["… and more, in the console"] if len(waiting) > _MOST else [])])


def _show(caller: Principal, rest: str, _: str) -> str:
    if not _NUMBER.fullmatch(rest):
        return HELP
    describe(object=f"approvals/{rest}")
    one = inbox.one(int(rest))
    task = one.task
    told = {name: value for name, value in task.content.items() if name not in ("title", "description")}
    shown = orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() if told else ""
    lines = [task.title, str(task.content.get("description", "")), shown[:_SHOWN]]
    if len(shown) > _SHOWN:
        # A code is for those who have seen all of it.
        return "\n".join([*filter(None, lines), "… It is longer than a message: vote in the console."])
    if task.closed_at is not None:
        return "\n".join([*filter(None, lines), f"It has ended: {task.outcome}."])
    may_vote = "" in inbox.votes_of(one, caller.name)
    last = f"Code: {task.content_hash[:CODE]}" if may_vote else "It does not wait for your vote."
    return "\n".join([*filter(None, lines), last])


def _approve(caller: Principal, rest: str, via: str) -> str:
    return _vote(caller, "approve", rest, via)


def _refuse(caller: Principal, rest: str, via: str) -> str:
    return _vote(caller, "refuse", rest, via)


def _vote(caller: Principal, choice: str, rest: str, via: str) -> str:
    number, _, more = rest.partition(" ")
    code, _, comment = more.strip().partition(" ")
    if not _NUMBER.fullmatch(number) or not code:
        return HELP
    describe(object=f"approvals/{number}")
    task = voting.task_of(int(number))
    if len(code) < CODE or not task.content_hash.startswith(code.lower()):
        raise ContentChanged("That is not the code of what is to be approved. Say: show " + number)
    done = voting.vote(task.pk, voting.Ballot(caller.name, choice, task.content_hash, via, comment=comment.strip()))
    if done.outcome:
        return {"approved": "It is approved. The run goes on."}.get(done.outcome, "It is refused.")
    return "Your vote counts. Others are still asked."


_COMMANDS: Mapping[str, tuple[str, Callable[[Principal, str, str], str]]] = {
    "inbox": ("workflows.view_approvaltask", _inbox),
    "show": ("workflows.view_approvaltask", _show),
    "approve": ("people.add_vote", _approve),
    "refuse": ("people.add_vote", _refuse),
}
