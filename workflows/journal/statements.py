"""Parts of SQL statements that write blocks into the journal, for use within larger statements: the engine's outbox
writes its lifecycle events in the same statement as the change that they report.
"""


# Blocks in the format of `core/blocks`, one for each partition of the statement. PostgreSQL assembles them, because
# only it knows for which runs the plan held. Quoted values consist of letters, digits and `-_./:`.
def _quoted(column: str) -> str:
    return f"""'[' || string_agg('"' || {column} || '"', ',' ORDER BY place) || ']'"""


BLOCK = f"""count(*), '\\x00'::bytea || convert_to(
    '[' || {_quoted("kind")} || ',' || {_quoted("source")} || ',' || {_quoted("run_id")} || ',' || {_quoted("id")}
    || ',null]'
    || chr(10) || string_agg(event, chr(10) ORDER BY place), 'UTF8')"""

INSERT = "INSERT INTO events_block (partition, events, body)"
