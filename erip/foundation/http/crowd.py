"""A bounded number of strangers at once."""

from typing import Protocol


class Member(Protocol):
    """Takes part in a crowd."""

    def end(self) -> None:
        """It was displaced, and is no longer a member."""


class Crowd:
    """As many members as there is room for, each of a group (an address).

    When it is full, the oldest one of the group that has the most goes: a client that finishes quickly is never the
    oldest, and slow clients of one address displace each other and nobody else.
    """

    def __init__(self, most: int, most_of_one: int | None = None) -> None:
        """most_of_one: of one group; None: all of them may be of one."""
        self._most = most
        self._most_of_one = most if most_of_one is None else most_of_one
        #: group → its members, oldest first
        self._inside: dict[str, dict[Member, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, group: str, member: Member) -> None:
        """`member` comes in, and another one may have to go for it."""
        if len(self._inside.get(group, ())) >= self._most_of_one:
            self._displace(group)
        elif self._count >= self._most:
            self._displace(max(self._inside, key=lambda one: len(self._inside[one])))
        self._inside.setdefault(group, {})[member] = None
        self._count += 1

    def leave(self, group: str, member: Member) -> None:
        """Nothing happens if it is no member any more."""
        inside = self._inside.get(group)
        if inside is None or member not in inside:
            return
        del inside[member]
        self._count -= 1
        if not inside:
            del self._inside[group]

    def _displace(self, group: str) -> None:
        oldest = next(iter(self._inside[group]))
        self.leave(group, oldest)
        oldest.end()
