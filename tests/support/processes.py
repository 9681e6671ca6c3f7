"""Freezing a server with all of its processes: connections stay open, the kernel acknowledges, and nobody answers."""

import psutil

from erip.ops.stack.servers import Server


def freeze(server: Server) -> None:
    for process in _all_of(server):
        process.suspend()


def thaw(server: Server) -> None:
    for process in _all_of(server):
        process.resume()


def _all_of(server: Server) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]
