"""What a database error means for the code that got it, judged by SQLSTATE: Django's error classes say too little.

Note [By SQLSTATE]
A primary that was demoted answers a write with 25006, which psycopg2 and Django raise as InternalError, a class that
also stands for corrupted data. A statement that took too long (57014) and a server that shuts down (57P01) are both
OperationalErrors. So code that retries does not look at the class.
"""

from collections.abc import Iterator

import django.db
import psycopg2

#: every error that a statement or a connection can raise, Django's and psycopg2's own
ERRORS = (django.db.Error, psycopg2.Error)

READ_ONLY = "25006"
#: errors of the client's or the server's environment: away, starting, full, too slow, or disconnected
_SURROUNDINGS = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)
#: the transaction was rolled back for certain, and may well succeed when it is run again
_ROLLED_BACK = frozenset(
    {
        "40001",  # serialization failure, or a replica that had to cancel the query
        "40P01",  # deadlock
        "55P03",  # a lock could not be taken in time
        READ_ONLY,
        "53300",  # too many connections
    }
)
#: the connection is gone as well
_ENDED = frozenset(
    {
        "57P01",  # shut down, or ended by an administrator
        "57P02",  # crashed
        "57P03",  # starting up, shutting down, or in recovery
        "57P05",  # idle for too long
        "25P03",  # idle in a transaction for too long
    }
)
#: libpq's messages for connection errors that no second try fixes; they carry no SQLSTATE
_HOPELESS = ("password authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from: Django's and psycopg2's own."""
    while error is not None:
        yield error
        error = error.__cause__


def sqlstate(error: BaseException) -> str | None:
    """The five characters of PostgreSQL's; None where the error is the client library's own."""
    return next((code for each in _chain(error) if (code := getattr(each, "pgcode", None))), None)


def is_read_only(error: BaseException) -> bool:
    """Whether this server takes no writes: it is not a primary, or no longer one."""
    return sqlstate(error) == READ_ONLY


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection broke, was ended by the server, or could not be made."""
    if getattr(error, "transient", None) is not None:  # one of our own, see `errors`
        return False
    code = sqlstate(error)
    if code is not None:
        return code in _ENDED or code.startswith("08")
    if isinstance(error, psycopg2.InterfaceError | django.db.InterfaceError):
        # Otherwise it is a misuse of cursors.
        return "connection" in str(error)
    if isinstance(error, psycopg2.OperationalError | django.db.OperationalError):
        return not any(words in str(error) for words in _HOPELESS)
    # libpq's message for a socket that was shut down under it.
    return isinstance(error, psycopg2.DatabaseError | django.db.DatabaseError) and "no message from the" in str(error)


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction, run again from its beginning, may succeed."""
    own: bool | None = getattr(error, "transient", None)
    if own is not None:
        return own
    return is_connection_lost(error) or sqlstate(error) in _ROLLED_BACK


def must_drop(error: BaseException) -> bool:
    """Whether the connection must not be used again: it is broken, or leads to a server that is not a primary."""
    return is_connection_lost(error) or is_read_only(error)


def is_passing(error: BaseException) -> bool:
    """Whether PostgreSQL is away, busy, full, or not a primary at the moment; background work waits until this passes.

    Wider than `is_transient`: it includes a statement that took too long, which a request would not run again.
    """
    return isinstance(error, _SURROUNDINGS) or (isinstance(error, ERRORS) and is_transient(error))


def is_unfit(error: BaseException) -> bool:
    """Whether PostgreSQL was given a value that it cannot keep or compare: class 22 of SQLSTATE."""
    return isinstance(error, django.db.DataError) or (sqlstate(error) or "").startswith("22")


def said(error: BaseException) -> str:
    """The text about an error that users of ERIP may see, and that may be stored where they read it.

    PostgreSQL's own words hold statements, names of columns and the values of others. They stay where they were raised:
    for PostgreSQL's errors only the SQLSTATE and its meaning are reported, for any other error its text.
    """
    if not any(isinstance(each, psycopg2.Error | django.db.Error) for each in _chain(error)):
        return str(error).strip() or type(error).__name__
    code = sqlstate(error)
    if code is None:
        return "the database could not be reached"
    meaning = next((words for start, words in _MEANINGS if code.startswith(start)), "the database refused it")
    return f"{meaning} (SQLSTATE {code})"


#: by the beginning of the SQLSTATE; the first match applies
_MEANINGS = (
    ("22021", "it holds a character that the database cannot keep"),
    ("22P05", "it holds a character that the database cannot keep"),
    ("22001", "it holds a text that is too long for the database"),
    ("22003", "it holds a number that is too large for the database"),
    ("22008", "it holds a moment that the database cannot keep"),
    ("22", "it holds a value that the database cannot keep"),
    ("23", "it contradicts what is stored"),
    ("57014", "the database took too long"),
    ("57P", "the database could not be reached"),
    ("08", "the database could not be reached"),
    ("25006", "the database takes no writes at the moment"),
    ("40", "others changed the same rows"),
    ("55P03", "others were changing the same rows"),
    ("53", "the database has no room for it"),
)
