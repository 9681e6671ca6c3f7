"""What can go wrong with decision tables, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class DecisionsError(WorkflowsError):
    """Something about decision tables went wrong."""

    code = "decisions_error"


class UnknownTable(DecisionsError):
    """There is no decision table of that name. `GET /api/v1/decisions` lists those there are."""

    code = "unknown_table"
    status = 404


class UnknownTableVersion(DecisionsError):
    """That decision table has no such version."""

    code = "unknown_table_version"
    status = 404


class TableNotValid(DecisionsError):
    """The decision table is not valid. Fix what `faults` names, and publish it again."""

    code = "table_not_valid"
    status = 422


class TableChanged(DecisionsError):
    """Somebody published another version of the decision table meanwhile. Look at it, and publish again if yours is to
    replace it."""

    code = "table_changed"
    status = 409


class FactsNotValid(DecisionsError):
    """The facts are not what the decision table takes. Fix what `faults` names, and ask again."""

    code = "facts_not_valid"
    status = 422


class TooMuchAsked(DecisionsError):
    """To decide all of these cases takes too long, or the answer would be too large. Ask about fewer at once."""

    code = "too_much_asked"
    status = 422
