"""Where data is sealed and opened: at the start of a run, around a step's body, and for people who may see it."""

from collections.abc import Callable, Iterable
from typing import Any

from erip.foundation import keyring
from erip.foundation.db import retry
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault
from workflows.core import sensitive
from workflows.core.graph import Graph
from workflows.core.sensitive import Parts
from workflows.errors import InvalidInput
from workflows.privacy import keys


def seal_input(graph: Graph, run_id: str, input: Any, key: int | None = None) -> Any:
    """The input of a new run, with its sensitive parts sealed; what they are sealed with is noted of the run. key: the
    number of the one to seal with if the input names nobody; None: the workflow's. Raises InvalidInput if it names
    several persons, KeysInvalid, and DataErased."""
    named = sensitive.subjects(graph.sensitive, input)
    if len(named) > 1:
        message = "names several persons with `subject: true`: a run is about one, whose key seals it"
        raise InvalidInput(faults=[Fault("input", message)])
    number = key if key is not None and not named else keys.key_for(graph.name, named[0] if named else None)
    return sensitive.change(graph.sensitive, input, keys.sealer(graph.name, keys.seal_of_new_run(run_id, number)))


def stored_key(graph: Graph, business_key: str | None) -> str | None:
    """The business key of a run as it is stored."""
    return keyring.hidden(business_key) if graph.hides_key and business_key is not None else business_key


def seal(workflow: str, run_id: str, parts: Parts, value: Any) -> Any:
    """A copy of what is given to a run later, a signal or a vote, with these parts sealed; the value itself if there
    are none. Raises DataErased, KeysInvalid."""
    return sensitive.change(parts, value, _sealer(workflow, run_id)) if parts else value


@sensitive.sealed_by
def sealer(workflow: str, run_id: str) -> Callable[[Any], Any]:
    """What seals the data of a run. Raises DataErased."""
    return retry.run(lambda _: _sealer(workflow, run_id))


def _sealer(workflow: str, run_id: str) -> Callable[[Any], Any]:
    # Where nothing of the run's input is sensitive, it names nobody.
    seal = keys.seal_of_run(run_id) or keys.seal_of_new_run(run_id, keys.key_for(workflow, None))
    return keys.sealer(workflow, seal)


@sensitive.opened_by
def opener(workflow: str, texts: Iterable[str]) -> Callable[[str], Any]:
    """What opens these sealed texts."""
    every = list(texts)
    return keys.opener(workflow, retry.run(lambda _: keys.load(every)))


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
