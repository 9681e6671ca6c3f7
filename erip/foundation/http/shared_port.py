"""Who of two processes that listen at one address gets the new connections: the first, until it gives them away.

Note [A shared port]
`make upgrade` starts a new web process on the port of the old one (SO_REUSEPORT), and the kernel would give each of
them half of the new connections from the moment it listens. That is wrong twice. A process of an earlier release
listens before it can answer, and compiles the first definition while callers wait: all that came at the same time
waited for each other, 0.8 to 2 s. And the old process, told to end, answered `/health/ready` with 503: a
balancer, whose checks came to either of them, counted the address as down, which cuts what is under way there, and then
as up again.

So a process that is alone at its address has the kernel give it everything that comes (`claim`), whoever comes to
listen beside it: the kernel asks a program of the first one, which belongs to the group of sockets and not to a
process. When it is told to end and another one listens there, it stays ready, and gives away a part of what comes, then
more (`give`): what is slow the first time is slow for few. When it closes, nothing waits in its queue that would be cut
off; and it takes its program away (`let_go`), since a process of an earlier release makes none of its own.

Where nobody else listens when it is told to end, it drains as ever. So does a gunicorn with several workers, each of
which has a socket of its own there: they share what comes, as they should, and are no successors of each other.

A process that is killed takes nothing away. Its program stays with the group, and the kernel would go on to give all to
whichever socket is first by now. So whoever sees that one less listens takes the program away, whosever it is: at
worst the kernel spreads by itself again.
"""

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

#: include/uapi/asm-generic/socket.h
_ATTACH, _DETACH = 51, 68
#: include/uapi/linux/bpf_common.h, filter.h: load a word, A & k, jump if A >= k, return k
_LOAD, _AND, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x35, 0x06
#: the word at this place is a random number
_RANDOM = 0xFFFF_F000 + 56
#: struct sock_filter: code, jump if true, jump if false, k
_INSTRUCTION: Final = struct.Struct("HBBI")
_FILES = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
_LISTENS = b"0A"

#: of so many new connections
WHOLE: Final = 256


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class SharedPort:
    """A socket that others may listen beside: Note [A shared port]. Where the system knows no such programs, nothing is
    claimed, and it spreads as it likes."""

    def __init__(self, one: socket.socket) -> None:
        self._socket = one
        self._seen = 0
        #: whether the kernel asks our program: we came first
        self.claimed = False

    @staticmethod
    def may_be(one: socket.socket) -> bool:
        """Whether others may listen beside this one."""
        return one.family in _FILES and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))

    def listeners(self) -> int:
        """Sockets that listen at this address, with this one; 0: it does not, or that is not known."""
        found: dict[bytes, int] = {}
        address = None
        try:
            # It may be closed by now.
            mine = os.fstat(self._socket.fileno()).st_ino
            with _FILES[self._socket.family].open("rb") as file:
                next(file, None)
                for line in file:
                    fields = line.split()
                    if fields[3] != _LISTENS:
                        break  # The others come behind them, and may be many.
                    found[fields[1]] = found.get(fields[1], 0) + 1
                    if int(fields[9]) == mine:
                        address = fields[1]
        except OSError:
            return 0
        return found[address] if address is not None else 0

    def claim(self) -> bool:
        """Have all new connections come here, if nobody else listens. Returns whether that is settled: not while
        somebody does, or this one does not yet."""
        if self.claimed:
            return True
        before, self._seen = self._seen, self.listeners()
        if 1 < self._seen < before:
            self._take_away()
        if self._seen != 1:
            return False
        self.claimed = self._ask([(_RETURN, 0, 0, 0)])
        return True

    def give(self, part: int) -> None:
        """Let so many of WHOLE new connections go to who came second. Nothing where it was not claimed.

        Where nobody is second the kernel gives them to who is there.
        """
        if self.claimed:
            self._ask(
                [
                    (_LOAD, 0, 0, _RANDOM),
                    (_AND, 0, 0, WHOLE - 1),
                    (_JUMP_IF_AT_LEAST, 1, 0, part),
                    (_RETURN, 0, 0, 1),
                    (_RETURN, 0, 0, 0),
                ]
            )

    def let_go(self) -> None:
        """The kernel spreads over who listens, as it does by itself."""
        if self.claimed:
            self.claimed = False
            self._take_away()

    def _take_away(self) -> None:
        # There may be none: another process of ours that has the same socket may have done it.
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _DETACH, 0)

    def _ask(self, instructions: list[tuple[int, int, int, int]]) -> bool:
        code = b"".join(_INSTRUCTION.pack(*one) for one in instructions)
        kept = ctypes.create_string_buffer(code, len(code))
        program = _Program(len(instructions), ctypes.addressof(kept))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH, bytes(program))
        except OSError:
            return False
        return True
