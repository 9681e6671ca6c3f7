"""What can go wrong on a user's machine. Each message is one line that says what to do about it."""

import errno


class StackError(Exception):
    """The local stack cannot do what was asked; the message is shown as it is, without a traceback."""


class MissingServer(StackError):
    """No PostgreSQL or no Redis on this machine, and no wheel of it for this platform."""


class PortTaken(StackError):
    """A port that the user asked for is in use by another program."""


class ServerFailed(StackError):
    """A server or a process of the platform ended while it was being started."""


class NotRunning(StackError):
    """There is no stack under this state directory."""


class NotYours(StackError):
    """The stack belongs to another user of this machine."""


def from_os_error(error: OSError, state_dir: object) -> StackError:
    """The one line for an error of the file system, such as a full disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(state_dir)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StackError(
            f"{error.filename or state_dir} may not be read or written by you ({error.strerror}): "
            "make it yours, or set ERIP_STATE_DIR to a folder that is."
        )
    return StackError(f"{error.strerror or error}: {error.filename or state_dir}")


def disk_full(where: object) -> StackError:
    """The line for a disk without room."""
    return StackError(f"The disk of {where} is full: free some space, or set ERIP_STATE_DIR to another disk.")
