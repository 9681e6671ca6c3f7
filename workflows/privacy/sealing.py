"""Where data is sealed and opened: at the start of a run, around a step's body, and for people who may see it."""

from collections.abc import Callable, Iterable
from typing import Any

from erip.foundation.db import retry
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault
from workflows.core import sensitive
from workflows.core.graph import Graph
from workflows.errors import InvalidInput
from workflows.privacy import keys
from workflows.privacy.errors import DataErased


def seal_input(graph: Graph, run_id: str, input: Any) -> Any:
    """The input of a new run, with its sensitive parts sealed; what they are sealed with is noted of the run. Raises
    InvalidInput if it names several persons, and KeysInvalid."""
    named = sensitive.subjects(graph.sensitive, input)
    if len(named) > 1:
        message = "names several persons with `subject: true`: a run is about one, whose key seals it"
        raise InvalidInput(faults=[Fault("input", message)])
    number = keys.key_for(graph.name, named[0] if named else None)
    keys.note_run(run_id, number)
    return sensitive.change(graph.sensitive, input, keys.sealer(graph.name, number, keys.load([number])[number]))


@sensitive.sealed_by
def sealer(workflow: str, run_id: str) -> Callable[[Any], Any]:
    """What seals the data of a run. Raises DataErased."""
    return retry.run(lambda _: _sealer(workflow, run_id))


def _sealer(workflow: str, run_id: str) -> Callable[[Any], Any]:
    number = keys.key_of_run(run_id)
    if number is None:
        # Nothing of its input is sensitive, so it names nobody.
        number = keys.key_for(workflow, None)
        keys.note_run(run_id, number)
    found = keys.load([number])
    if number not in found:
        raise DataErased
    return keys.sealer(workflow, number, found[number])


@sensitive.opened_by
def opener(workflow: str, texts: Iterable[str]) -> Callable[[str], Any]:
    """What opens these sealed texts."""
    numbers = {number for text in texts if (number := keys.number_in(text)) is not None}
    return keys.opener(workflow, retry.run(lambda _: keys.load(numbers)))


def opened(workflow: str, value: Any) -> Any:
    """A copy of a document of a run, with everything opened. Raises DataErased, NotDecrypted."""
    texts = list(sensitive.find(value))
    return sensitive.opened(value, opener(workflow, texts)) if texts else value


def opened_as_far(workflow: str, value: Any) -> Any:
    """The same; null in place of what cannot be opened any more."""
    texts = list(sensitive.find(value))
    if not texts:
        return value
    open_ = opener(workflow, texts)

    def opened_or_not(text: str) -> Any:
        try:
            return open_(text)
        except EripError:
            return None

    return sensitive.opened(value, opened_or_not)
