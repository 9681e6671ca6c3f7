"""The program `erip` for tests that call it often: a process that has imported it forks for each call, with the
caller's arguments, folder, environment, input and outputs. Importing takes 0.3 s, and a page has thirty calls.

`python -m tests.support.forked_erip SOCKET` is that process; `program(SOCKET)` is what calls it.
"""

import json
import os
import socket
import sys

_CALLER = """\
#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(said).to_bytes(8, "big")], [0, 1, 2])
server.sendall(said)
sys.exit(int(server.recv(10)))
"""


def program(path: str) -> str:
    """The text of a script that is called as `erip`."""
    return _CALLER.format(python=sys.executable, path=path)


def serve(path: str) -> None:
    from erip_client.cli import app

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            if os.fork() == 0:
                os._exit(_call(caller, app.run))
            os._exit(0)
        os.wait()
        caller.close()


def _call(caller: socket.socket, run: object) -> int:
    size, files, _, _ = socket.recv_fds(caller, 8, 3)
    said = b""
    while len(said) < int.from_bytes(size, "big"):
        said += caller.recv(65_536)
    arguments, folder, environment = json.loads(said)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Those of the parent belong to other files.
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    status = 1
    try:
        status = run(arguments)  # type: ignore[operator]
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        caller.sendall(str(int(status)).encode())
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
