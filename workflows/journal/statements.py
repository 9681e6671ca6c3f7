"""Parts of statements that write blocks into the journal in the middle of somebody else's: the engine's outbox puts its
lifecycle events there with the change that they report.
"""


# Blocks as `core/blocks` has them, one for each partition of the statement. PostgreSQL puts them together, because only
# it knows for which runs the plan held. What is quoted here is made of letters, digits and `-_./:`.
def _quoted(column: str) -> str:
    return f"""'[' || string_agg('"' || {column} || '"', ',' ORDER BY place) || ']'"""


BLOCK = f"""count(*), '\\x00'::bytea || convert_to(
    '[' || {_quoted("kind")} || ',' || {_quoted("source")} || ',' || {_quoted("run_id")} || ',' || {_quoted("id")}
    || ',null]'
    || chr(10) || string_agg(event, chr(10) ORDER BY place), 'UTF8')"""

INSERT = "INSERT INTO events_block (partition, events, body)"
