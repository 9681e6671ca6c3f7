"""Which rules might decide a case if the facts that are null were known."""

from workflows.core.tables.table import Policy, Table
from workflows.core.tables.testing import Facts, look_up, passes


def could_be(table: Table, facts: Facts) -> tuple[list[str], list[str]]:
    """(the ids of rules that might decide, the names of the inputs they ask about that are null).

    A rule might if no known fact excludes it, and if, in the order of the policy, it comes before the rules that match;
    where all rules that match count, each one might. Raises BadFact.
    """
    possible = (1 << len(table.rules)) - 1
    matching = possible
    unknown = 0
    for at, column in enumerate(table.columns):
        matching &= column.mask(facts)
        if look_up(column.input.path, facts) is None:
            unknown |= 1 << at
            continue
        fits = column.mask(facts)
        for bit, cell in column.asked:
            # A cell about another fact that is null may turn out to accept.
            if passes(cell, look_up(column.input.path, facts), facts) is None:
                fits |= bit
        possible &= fits
    possible &= ~matching
    if matching and table.policy in (Policy.FIRST, Policy.PRIORITY):
        possible &= (matching & -matching) - 1
    rules: list[str] = []
    missing: dict[str, None] = {}
    for bit in range(len(table.rules)):
        if not possible >> bit & 1:
            continue
        rule = table.rules[table.place(bit)]
        rules.append(rule.id)
        for at, column in enumerate(table.columns):
            if unknown >> at & 1 and rule.when[at].any_of:
                missing[column.input.name] = None
    return rules, list(missing)
