"""Who has approved, and whether that is enough. Pure: votes come in, a verdict comes out.

Note [Quorum]
A quorum is a list of seats, each for one member of a group. A vote for it fills at most one seat, even if its voter
belongs to several of the groups, and a person fills at most one seat: also one who votes in place of somebody else.
Which seat a vote fills is chosen so that as many seats as possible are filled (a maximum matching): a person who could
sit in two groups never keeps out another who could sit in only one of them.
A vote against counts at once if its voter may refuse: a member of a group of `veto`, or, without `veto`, everybody who
may vote. Any other vote against is recorded and shown; it fills no seat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Vote:
    """people: the ids of those who are behind it: the voter, and whoever the voter stands in for.
    roles: the groups in which it counts."""

    people: frozenset[str]
    roles: frozenset[str]
    approves: bool


@dataclass(frozen=True, slots=True)
class Quorum:
    """seats: how many members of each group must approve. veto: groups that may refuse; empty: everybody may."""

    seats: Mapping[str, int]
    veto: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """How many people must approve."""
        return sum(self.seats.values())

    @property
    def roles(self) -> frozenset[str]:
        """The groups whose members may vote."""
        return frozenset(self.seats) | self.veto

    def verdict(self, votes: Sequence[Vote]) -> Verdict | None:
        """What these votes amount to; None: nothing yet."""
        if any(not vote.approves and self._refuses(vote) for vote in votes):
            return Verdict.REFUSED
        return Verdict.APPROVED if not self.missing(votes) else None

    def missing(self, votes: Sequence[Vote]) -> dict[str, int]:
        """Seats that nobody fills, by group. Of several ways to fill as many as possible, it is one."""
        empty = dict(self.seats)
        for seat in self._filled(votes):
            empty[seat] -= 1
        return {role: count for role, count in empty.items() if count > 0}

    def _refuses(self, vote: Vote) -> bool:
        return bool(vote.roles & (self.veto or self.roles))

    def _filled(self, votes: Sequence[Vote]) -> list[str]:
        """The group of each seat that is filled."""
        voters: list[Vote] = []
        seen: set[str] = set()
        for vote in votes:
            if vote.approves and not vote.people & seen:
                seen |= vote.people
                voters.append(vote)
        seats = [role for role, count in self.seats.items() for _ in range(count)]
        holder: dict[int, int] = {}

        def seat(voter: int, tried: set[int]) -> bool:
            """Give the voter a seat, and its holder another one, if that can be."""
            for index, role in enumerate(seats):
                if role in voters[voter].roles and index not in tried:
                    tried.add(index)
                    if index not in holder or seat(holder[index], tried):
                        holder[index] = voter
                        return True
            return False

        for voter in range(len(voters)):
            seat(voter, set())
        return [seats[index] for index in holder]
