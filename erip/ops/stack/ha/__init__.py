"""The highly available layout, on one machine: `make up HA=1`, `python -m erip.ops.stack up --ha`.

Processes of supervisor.json (`control.status(state).processes`; each has `name` and `pid`):

    redis-1 .. 3       redis-server; who is master, Sentinel says
    sentinel-1 .. 3    redis-server --sentinel
    etcd-1 .. 3        etcd, on a Unix socket; `etcd-1-door` is the HAProxy before it, on the port `etcd-1`, and
                       `etcd-1-keeper` sees to its logins and its room
    postgres-1 .. 3    the node guard (`python -m erip.ops.guard`), parent of Patroni, which keeps PostgreSQL; the data
                       stands in `<home>/ha/postgres-N/data`, whose postmaster.pid names the postmaster. A killed guard
                       is started again by the supervisor, Patroni by the guard, PostgreSQL by Patroni.
    haproxy            web on addresses["web"], PostgreSQL's primary on `postgres-rw`, its replicas on `postgres-ro`
    web-1, web-2       gunicorn (master and its processes), each on a port of its own
    worker-critical, worker-general-1, worker-general-2
    leader-1, leader-2

`ports.json` has the port of each by these names (and `etcd-1-peer`, `postgres-1-rest`, `web`, `postgres-rw`,
`postgres-ro`). Roles move, so ask for them when you need them: `roles.Roles(state)` names the Redis master, the
PostgreSQL primary, etcd's leader and the platform's leader, and has every process id of a node (`roles.tree`).

    with private_stack(ha=True) as stack:           # erip.ops.stack.private: it ends with the caller
        roles = Roles(stack.state)
        for pid in roles.tree(roles.postgres_primary()): os.kill(pid, signal.SIGKILL)

`layout` says what there is, `programs` finds it, `node` is what all servers have in common, `redis`, `etcd`,
`patroni` and `haproxy` run one server each, from the templates that production uses (`erip.ops.deploy`).
"""
