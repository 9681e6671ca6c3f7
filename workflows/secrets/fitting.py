"""Whether a definition may use the secrets that it names: they are there, and granted to its space."""

from collections.abc import Iterator

from erip.foundation.faults import Fault
from workflows.core.graph import Graph
from workflows.core.schema import place
from workflows.core.secrets import names_of
from workflows.core.structure import did_you_mean
from workflows.models import WorkflowDefinition
from workflows.secrets import stored
from workflows.secrets.models import Secret


def space_of(workflow: str) -> str:
    """The space of a workflow; "" if it has none, or is not there yet."""
    found = WorkflowDefinition.objects.filter(name=workflow).values_list("space", flat=True).first()
    return found or ""


def faults(graph: Graph) -> list[Fault]:
    """What is wrong with the secrets of a graph. It asks the database only if there are any."""
    fillings = [filling for node in graph.steps.values() if node.work for filling in node.work.secrets]
    return list(_faults(graph)) if fillings else []


def _faults(graph: Graph) -> Iterator[Fault]:
    space = space_of(graph.name)
    works = {id: node.work for id, node in graph.steps.items() if node.work is not None}
    names = names_of([filling for work in works.values() for filling in work.secrets])
    usable = stored.usable(names, space)
    where = f'workflows of the space "{space}"' if space else "workflows without a space"
    for id, work in works.items():
        for filling in work.secrets:
            for name in names_of([filling]):
                if name in usable:
                    continue
                # Only names that this workflow may use are suggested: others are nobody's business here.
                near = did_you_mean(name, _known(space))
                message = f'there is no secret "{name}" that {where} may use{near}'
                yield Fault(place(f"steps.{id}.with", filling.location), message)


def _known(space: str) -> list[str]:
    found = Secret.objects.filter(everywhere=True) | Secret.objects.filter(spaces__contains=[space])
    return list(found.values_list("name", flat=True)[:1000])
