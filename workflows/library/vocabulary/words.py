"""Reading the words that people describe incidents with: what a word stands for, and whether it is known at all.

A word that is not known is unknown, and never "no": `holds` then answers None, and what depends on it must be checked.
A known word may stand for several things (`Payment` is card data or other financial data): `holds` is True when each of
them fits, None when only some do.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

#: for how many words of a list near ones are looked up; comparing costs milliseconds per word
MOST_COMPARED: Final = 10
#: how many words of a list are named one by one
MOST_NAMED: Final = 20
NEAR: Final = 3

#: what people write when they do not know; such a word is unknown, and no word is near it
_NOTHING: Final = """\
unknown not_known unclear undetermined unspecified tbd tba n_a na null undefined other others misc various any all
pending see_description to_be_determined not_available not_specified unbekannt inconnu global worldwide international
"""
_SAYS_NOTHING: Final = frozenset(_NOTHING.split())


@lru_cache(maxsize=8192)
def key(word: str) -> str:
    """`Données de santé` → `donnees_de_sante`: how two spellings of a word are compared. Letters of any script stay."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    plain = "".join(one for one in folded if not unicodedata.combining(one)).replace("&", " and ")
    return re.sub(r"[\W_]+", "_", plain).strip("_")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was given, and what it stands for."""

    given: str
    #: one set for each possible meaning, with everything that this meaning lies within; () is unknown
    readings: tuple[frozenset[str], ...] = ()
    #: the meanings themselves
    heads: tuple[str, ...] = ()
    near: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return bool(self.readings)

    def holds(self, wanted: Collection[str]) -> bool | None:
        """Whether one of `wanted` is meant; None is not known."""
        found = [not reading.isdisjoint(wanted) for reading in self.readings]
        if not found:
            return None
        return True if all(found) else (None if any(found) else False)


def holds(words: Iterable[Word], wanted: Collection[str]) -> bool | None:
    """Whether one of the words means one of `wanted`; None is not known."""
    answer: bool | None = False
    for word in words:
        found = word.holds(wanted)
        if found:
            return True
        if found is None:
            answer = None
    return answer


class Vocabulary:
    """The words of one kind: what each stands for, and what lies within what."""

    def __init__(
        self,
        kind: str,
        words: Mapping[str, Sequence[str]],
        *,
        within: Callable[[str], frozenset[str]],
        generic: Collection[str] = (),
        plurals: bool = True,
        reads: Callable[[str], str | None] = lambda given: None,
    ) -> None:
        """`words` gives, for each spelling, what it may stand for. `within` gives a thing and all that it lies within.
        `generic` are last words that add nothing (`banking sector`). `plurals`: the word with and without its last s
        are the same (names of places are not). `reads` knows further ways to write a thing."""
        self.kind = kind
        self._within = within
        self._generic = frozenset(generic)
        self._plurals = plurals
        self._reads = reads
        self._shown: dict[str, str] = {}
        self._heads: dict[str, tuple[str, ...]] = {}
        for spelling, heads in words.items():
            self._heads[key(spelling)] = tuple(heads)
            self._shown[key(spelling)] = spelling
        for head in {head for heads in words.values() for head in heads}:
            self._heads.setdefault(key(head), (head,))
            self._shown.setdefault(key(head), head)

    def heads(self, given: str) -> tuple[str, ...]:
        """What the word may stand for; () when it is not known."""
        read = self._reads(given)
        if read is not None:
            return (read,)
        for spelling in self._spellings(key(given)):
            found = self._heads.get(spelling)
            if found is not None:
                return found
        return ()

    def _spellings(self, spelling: str) -> Iterable[str]:
        yield spelling
        parts = spelling.split("_")
        while len(parts) > 1 and parts[-1] in self._generic:
            parts.pop()
            yield "_".join(parts)
        if parts[0] == "the":
            yield "_".join(parts[1:])
        if self._plurals and len(spelling) > 3:
            yield spelling.removesuffix("s")
            yield spelling + "s"

    def read(self, given: str, own: Mapping[str, str] | None = None, *, compare: bool = True) -> Word:
        """The word, read. `own` are the organisation's own words, by their key."""
        heads = self.heads(given)
        if not heads and own and key(given) in own:
            heads = (own[key(given)],)
        if heads:
            return Word(given, tuple(self._within(head) for head in heads), heads)
        return Word(given, near=self.near(given) if compare else ())

    def read_all(self, given: Iterable[str], own: Mapping[str, str] | None = None) -> list[Word]:
        """Each word once, in their order."""
        found: list[Word] = []
        compared = 0
        for one in dict.fromkeys(given):
            word = self.read(one, own, compare=compared < MOST_COMPARED)
            compared += not word.known
            found.append(word)
        return found

    def near(self, given: str) -> tuple[str, ...]:
        """Known words that look like this one, at most three."""
        spelling = key(given)
        return () if not spelling or spelling in _SAYS_NOTHING else self._near(spelling[:60])

    @lru_cache(maxsize=512)  # noqa: B019 - a vocabulary lives as long as the process
    def _near(self, spelling: str) -> tuple[str, ...]:
        found = get_close_matches(spelling, list(self._heads), n=NEAR, cutoff=0.72)
        if not found and len(spelling) >= 4:
            found = [one for one in self._heads if one.startswith(spelling) or spelling.startswith(one + "_")][:NEAR]
        return tuple(dict.fromkeys(self.shown(one) for one in found))

    def shown(self, spelling: str) -> str:
        heads = self._heads[spelling]
        return self._shown[spelling] if key(heads[0]) == spelling else f"{self._shown[spelling]} ({' or '.join(heads)})"


def named(kind: str, words: Sequence[Word]) -> list[str]:
    """A sentence for each word that is not known or may mean several things, and so leaves something open."""
    told: list[str] = []
    unknown = [word for word in words if not word.known]
    for word in unknown[:MOST_NAMED]:
        near = f"; near: {', '.join(word.near)}" if word.near else ""
        told.append(f"{kind} {word.given[:100]!r} is not known: what it could decide is to be checked{near}")
    if len(unknown) > MOST_NAMED:
        told.append(f"{kind}: {len(unknown) - MOST_NAMED} further words are not known")
    for word in [word for word in words if len(word.heads) > 1][:MOST_NAMED]:
        told.append(f"{kind} {word.given[:100]!r} may mean {' or '.join(word.heads[:8])}")
    return told
