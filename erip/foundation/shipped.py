"""What a release brings along and a user may make their own: how the two stand to each other.

An app registers a `Source` for each kind of thing it ships (`erip.foundation.hooks.shipped`). `manage.py bootstrap`
brings up to date what nobody changed and leaves the rest alone; `manage.py shipped` shows the difference.
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How what is in the database stands to what this release ships."""

    #: never loaded: the next bootstrap loads it
    NEW = "new"
    SAME = "same"
    #: what an earlier release shipped, unchanged: the next bootstrap brings it up to date
    OLDER = "older"
    #: changed here, or not known to be unchanged: bootstrap leaves it alone
    YOURS = "yours"
    #: loaded once, and deleted here: bootstrap does not bring it back
    REMOVED = "removed"


#: what bootstrap leaves alone although it differs from what is shipped
LEFT_ALONE = (Standing.YOURS, Standing.REMOVED)


@dataclass(frozen=True, slots=True)
class Article:
    """One shipped thing.

    here: what is in the database, as text; None when there is nothing. by: what is known of who made that.
    """

    kind: str
    name: str
    standing: Standing
    shipped: str
    here: str | None
    by: str = ""

    @property
    def is_left_alone(self) -> bool:
        return self.standing in LEFT_ALONE

    def difference(self) -> Iterator[str]:
        """A unified diff, line by line, from what is in the database to what is shipped; nothing when they agree."""
        if self.standing is Standing.SAME:
            return
        yield from difflib.unified_diff(
            (self.here or "").splitlines(), self.shipped.splitlines(), "here", "shipped", lineterm=""
        )


@dataclass(frozen=True, slots=True)
class Source:
    """All shipped things of one kind.

    kind: as `definition`. articles: reads them from the release and the database, by name.
    take: puts the shipped one in force in place of what is there, and returns what it did in a few words. From then on
    the thing follows the releases again.
    """

    kind: str
    articles: Callable[[], Sequence[Article]]
    take: Callable[[str], str]
