"""Whose turn it is: a term in an etcd outside of the regions. Note [One region writes] in the package."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from erip.ops.guard.etcd import Entry, Etcd
from erip.ops.region.ends import End


class TermError(Exception):
    """The term is not what was expected, or somebody else changed it: the message says which it is."""


@dataclass(frozen=True, slots=True)
class Term:
    """number: rises with each change. holder: a region. planned: whether the one before was asked to end in good
    order. entry: as it was read."""

    number: int
    holder: str
    planned: bool
    entry: Entry | None


class Witness:
    """name: of the deployment, which the regions share. For one thread. Every method raises EtcdError."""

    def __init__(self, etcd: Etcd, name: str) -> None:
        self._etcd, self._prefix = etcd, f"/region/{name}/"

    def term(self) -> Term | None:
        """None before the first. Raises TermError for what is no term."""
        entry = self._etcd.get(f"{self._prefix}term")
        if entry is None:
            return None
        try:
            told = json.loads(entry.value)
            return Term(int(told["number"]), str(told["holder"]), bool(told["planned"]), entry)
        except (ValueError, KeyError, TypeError) as error:
            raise TermError(f"what the witness holds is no term: {entry.value[:100]!r}") from error

    def take(self, region: str, after: Term | None, *, planned: bool) -> Term:
        """The next term, for this region. Raises TermError if `after` is not the last one any more."""
        number = after.number + 1 if after else 1
        value = json.dumps({"number": number, "holder": region, "planned": planned})
        if not self._etcd.put_if(f"{self._prefix}term", value, before=after.entry if after else None):
            raise TermError("somebody else has just changed the term: look at it again")
        return Term(number, region, planned, self._etcd.get(f"{self._prefix}term"))

    def register(self, region: str, node: str, held: int) -> None:
        """From now on a take-over from this region waits for this keeper. held: the last term in which it was told
        "yours", so that it knows after a restart; 0: none since its PostgreSQL was made a copy."""
        # First, and apart from the other, which keepers of earlier releases read, too.
        self._etcd.put(f"{self._prefix}says/{region}/{node}", "ends", lease=0)
        self._etcd.put(f"{self._prefix}keepers/{region}/{node}", str(held), lease=0)

    def held(self, region: str, node: str) -> int:
        """As it was registered; 0 for a keeper that never was."""
        entry = self._etcd.get(f"{self._prefix}keepers/{region}/{node}")
        return int(entry.value) if entry and entry.value.isdigit() else 0

    def forget(self, region: str, node: str) -> None:
        """For a host that is gone for good."""
        self._etcd.delete(f"{self._prefix}keepers/{region}/{node}")
        self._etcd.delete(f"{self._prefix}says/{region}/{node}")

    def say_fenced(self, number: int, region: str, node: str, end: End | None = None) -> None:
        """This keeper's PostgreSQL takes no writes in this term. end: how it ended, if that is known."""
        # First: whoever reads that it is fenced finds this.
        told = {"number": number, "how": end.how, "at": end.at} if end else {"number": number, "how": "", "at": 0}
        self._etcd.put(f"{self._prefix}ends/{region}/{node}", json.dumps(told), lease=0)
        self._etcd.put(f"{self._prefix}fenced/{region}/{node}", str(number), lease=0)

    def said(self, region: str, node: str) -> int:
        """The last term in which this keeper said so; 0: none."""
        entry = self._etcd.get(f"{self._prefix}fenced/{region}/{node}")
        return int(entry.value) if entry and entry.value.isdigit() else 0

    def all_fenced(self, number: int, regions: Iterable[str], *, but: str = "") -> bool:
        """Whether every keeper of these regions has said so. False where none is known: nobody can tell. but: a node
        that is not asked."""
        found = self._etcd.under(self._prefix)
        fenced = {key.removeprefix(f"{self._prefix}fenced/"): one.value for key, one in found.items()}
        keepers = [
            name
            for name in (key.removeprefix(f"{self._prefix}keepers/") for key in found if "/keepers/" in key)
            if name.split("/")[0] in set(regions) and name.split("/")[1] != but
        ]
        return bool(keepers or but) and all(
            fenced.get(name, "").isdigit() and int(fenced[name]) >= number for name in keepers
        )

    def ends(self, number: int, regions: Iterable[str]) -> dict[str, End | None]:
        """How PostgreSQL of each keeper of these regions ended in this term, by `region/node`; None: nobody knows."""
        found, wanted = self._etcd.under(self._prefix), set(regions)
        names = [key.removeprefix(f"{self._prefix}keepers/") for key in found if "/keepers/" in key]
        told = {name: found.get(f"{self._prefix}ends/{name}") for name in names if name.split("/")[0] in wanted}
        return {name: _end(number, entry.value if entry else "") for name, entry in told.items()}

    def silent(self, regions: Iterable[str]) -> list[str]:
        """Keepers of these regions that will not say how their PostgreSQL ended, being of a release before `says`."""
        known = self.keepers()
        says = self._etcd.under(f"{self._prefix}says/")
        names = [f"{region}/{node}" for region in regions for node in known.get(region, [])]
        return sorted(name for name in names if f"{self._prefix}says/{name}" not in says)

    def keepers(self) -> dict[str, list[str]]:
        """Nodes by region."""
        found: dict[str, list[str]] = {}
        for key in self._etcd.under(f"{self._prefix}keepers/"):
            region, _, node = key.removeprefix(f"{self._prefix}keepers/").partition("/")
            found.setdefault(region, []).append(node)
        return found


def _end(number: int, text: str) -> End | None:
    try:
        told = json.loads(text)
        same = int(told["number"]) == number and told["how"]
        return End(str(told["how"]), int(told["at"])) if same else None
    except (ValueError, KeyError, TypeError):
        return None
