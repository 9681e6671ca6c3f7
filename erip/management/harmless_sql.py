"""Statements that the release before does not notice; whatever is not listed here is not known to be harmless."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_NAME: Final = r'("[^"]+"|[\w.]+)'
#: with what is in brackets left out
_HARMLESS: Final = re.compile(
    rf"""
    SELECT\s+('[^']*'|\d+)
    | (SET|RESET|COMMENT\s+ON|GRANT)\s.*
    | CREATE\s+(UNLOGGED\s+)?(TABLE|SEQUENCE|TYPE|SCHEMA|EXTENSION|VIEW)\s.*
    | CREATE\s+FUNCTION\s.*
    | CREATE\s+INDEX\s+CONCURRENTLY\s.*
    | DROP\s+INDEX\s.*
    | ALTER\s+TABLE\s+(IF\s+EXISTS\s+)?(ONLY\s+)?{_NAME}\s+(
        VALIDATE\s+CONSTRAINT\s+{_NAME}
        | ADD\s+CONSTRAINT\s.*\bNOT\s+VALID
        | DROP\s+CONSTRAINT\s[^,]*
        | SET
        | ALTER\s+(COLUMN\s+)?{_NAME}\s+(SET\s+DEFAULT\s[^,]*|DROP\s+NOT\s+NULL|SET\s+(STATISTICS|STORAGE)\s+\w+)
        | ADD\s+(COLUMN\s+)?(IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+[\w.]+(\[\])?(\s+varying)?(\s+NULL)?
            (\s+DEFAULT\s+('[^']*'|[\d.]+|true|false|null)(\s+NOT\s+NULL)?)?
    )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
#: whatever is done to a table that the same migration makes
_ON: Final = re.compile(
    rf"(?:CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\sON|CREATE\s+(?:CONSTRAINT\s+)?TRIGGER\b.*?\sON|ALTER\s+TABLE|INSERT\s+INTO"
    rf"|UPDATE|DELETE\s+FROM|LOCK\s+TABLE|REVOKE\b.*?\sON)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:TABLE\s+)?(?P<table>{_NAME})",
    re.IGNORECASE | re.DOTALL,
)
_FUNCTION: Final = re.compile(
    r"\bCREATE\s+(?P<anew>OR\s+REPLACE\s+)?FUNCTION\b.*?(?P<quote>\$\w*\$).*?(?P=quote)", re.IGNORECASE | re.DOTALL
)
_DO: Final = re.compile(r"\bDO\s+(?:LANGUAGE\s+\w+\s+)?(\$\w*\$).*?\1(\s+LANGUAGE\s+\w+)?", re.IGNORECASE | re.DOTALL)
_BRACKETS: Final = re.compile(r"\([^()]*\)")


def not_harmless(sql: str, made: Iterable[str]) -> Iterator[str]:
    """The statements of a text that are not known to be harmless. DO blocks are left out.

    sql: without comments. made: tables that the same migration makes.
    """
    # A new function is called by nobody yet; one in place of another is.
    plain = _FUNCTION.sub(lambda found: f"CREATE {found['anew'] or ''}FUNCTION f", _DO.sub("", sql))
    for statement in plain.split(";"):
        said = " ".join(statement.split())
        on = _ON.match(said)
        if not said or (on and on["table"].strip('"').lower() in made):
            continue
        bare = said
        while (shorter := _BRACKETS.sub("", bare)) != bare:
            bare = " ".join(shorter.split())
        if not _HARMLESS.fullmatch(bare):
            yield said
