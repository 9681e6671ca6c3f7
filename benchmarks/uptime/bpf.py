"""Two small BPF programs, loaded by system call: which packets reach a socket, and a mark on those that left one.

A program is attached through a link, which the kernel removes when the process that holds it ends, however it ends. So
nothing stays behind in the network, unlike with rules of iptables.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Collection
from pathlib import Path

# include/uapi/linux/bpf.h
_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _LINK_CREATE = 5, 28
_CGROUP_SKB = 8
INGRESS, EGRESS = 0, 1
_SKB_LOAD_BYTES, _SKB_CGROUP_ID = 26, 79
#: offset of `mark` in struct __sk_buff
_MARK = 8
#: bytes of an IPv4 header without options, and the ports that follow
_HEAD = 24
_STACK = -32
_TCP, _IPV4 = 6, 0x45

_LIBC = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int, int]


def mark_packets(mark: int) -> bytes:
    """A program for packets that leave a socket: each gets the mark, and goes on."""
    return _assemble(
        [
            _op(0xB7, dst=2, imm=mark),  # r2 = mark
            _op(0x63, dst=1, src=2, off=_MARK),  # skb->mark = r2
            _op(0xB7, dst=0, imm=1),
            _op(0x95),
        ]
    )


def drop_across(ports: Collection[int], cgroup: int, mark: int) -> bytes:
    """A program for packets that reach a socket: one that crosses the border of a node is dropped.

    Inside are the ports, the sockets of the cgroup (its id), and senders that marked the packet. TCP over IPv4 alone.
    """
    start: list[Instruction] = [
        _op(0xBF, dst=6, src=1),  # r6 = skb
        _op(0xB7, dst=2, imm=0),
        _op(0xBF, dst=3, src=10),
        _op(0x07, dst=3, imm=_STACK),
        _op(0xB7, dst=4, imm=_HEAD),
        _op(0x85, imm=_SKB_LOAD_BYTES),
    ]
    ports = sorted(ports)
    # The lengths of the parts are known, so jumps can be written down at once.
    sender: list[Instruction] = [
        _op(0xB7, dst=9, imm=0),
        _op(0x61, dst=2, src=6, off=_MARK),  # r2 = skb->mark
        *_any_of(2, [mark], 7, ports),
        _op(0xB7, dst=9, imm=1),
    ]
    receiver: list[Instruction] = [
        _op(0xBF, dst=1, src=6),
        _op(0x85, imm=_SKB_CGROUP_ID),
        _op(0x18, dst=2, imm=_signed(cgroup & 0xFFFFFFFF)),
        _op(0x00, imm=_signed(cgroup >> 32)),
        _op(0x1D, dst=0, src=2, off=len(ports) + 1),  # this cgroup: inside
        *_any_of(8, ports, 8, []),
        _op(0xA7, dst=9, imm=1),  # r9 ^= 1
    ]
    verdict = [_op(0x15, dst=9, off=2, imm=0), _op(0xB7, dst=0, imm=0), _op(0x95), _op(0xB7, dst=0, imm=1), _op(0x95)]
    body = [
        _op(0x71, dst=2, src=10, off=_STACK),  # version and length of the header
        _op(0x71, dst=3, src=10, off=_STACK + 9),  # protocol
        _op(0x69, dst=7, src=10, off=_STACK + 20),
        _op(0xDC, dst=7, imm=16),  # r7 = sender's port
        _op(0x69, dst=8, src=10, off=_STACK + 22),
        _op(0xDC, dst=8, imm=16),  # r8 = receiver's port
    ]
    # Packets that are not TCP over IPv4, or cannot be read, pass. Distances are to the last two instructions.
    left = len(sender) + len(receiver) + len(verdict) - 2
    other = [_op(0x55, dst=2, off=left + 1, imm=_IPV4), _op(0x55, dst=3, off=left, imm=_TCP)]
    unread = [_op(0x55, dst=0, off=len(body) + len(other) + left, imm=0)]
    return _assemble([*start, *unread, *body, *other, *sender, *receiver, *verdict])


def load(program: bytes, attach_type: int) -> int:
    """The program as a file descriptor. Raises OSError, with what the kernel's verifier says."""
    log = ctypes.create_string_buffer(65536)
    code = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        *(_CGROUP_SKB, len(program) // 8, ctypes.addressof(code), ctypes.addressof(licence)),
        *(1, len(log), ctypes.addressof(log), 0, 0, b"erip_cut", 0, attach_type),
    )
    try:
        return _bpf(_PROG_LOAD, attributes)
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()
        raise OSError(error.errno, f"{error.strerror}: {' / '.join(said[-3:])}") from error


def attach(program: int, cgroup: Path, attach_type: int) -> int:
    """The link of the program to a cgroup, as a file descriptor: closed, the program is gone. Raises OSError."""
    target = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return _bpf(_LINK_CREATE, struct.pack("=IIII", program, target, attach_type, 0))
    finally:
        os.close(target)


def _bpf(command: int, attributes: bytes) -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"no BPF on {platform.machine()}")
    buffer = ctypes.create_string_buffer(attributes, 128)
    found = int(_LIBC.syscall(number, command, buffer, 128))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found


def _op(code: int, *, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> Instruction:
    return (code, dst, src, off, imm)


def _any_of(first: int, values: Collection[int], second: int, others: Collection[int]) -> list[Instruction]:
    """Go on with the instruction after the next if the register holds one of the values; else skip that one too.

    That is: the instruction that follows these is carried out only if one of them matched.
    """
    tests = [(first, value) for value in values] + [(second, value) for value in others]
    found = [
        _op(0x15, dst=register, off=len(tests) - place, imm=value) for place, (register, value) in enumerate(tests)
    ]
    return [*found, _op(0x05, off=1)]


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _assemble(instructions: list[Instruction]) -> bytes:
    return b"".join(struct.pack("<BBhi", code, dst | src << 4, off, imm) for code, dst, src, off, imm in instructions)
