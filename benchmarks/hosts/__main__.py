"""Installs the site of docs/how-to/three-hosts.md by its commands, pulls out the host that leads, replaces it, and
renews all certificates, while breach responses are accepted and end.

    python -m benchmarks.hosts              as root, on Debian with `make ha-deps`; 5 to 10 minutes

Ends with 1 if anything is lost, doubled or not whole again.
"""

# ruff: noqa: S606, S607 (it starts itself again, in a network of its own)

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.hosts import shown
from benchmarks.hosts.machine import CommandFailed, lan
from benchmarks.hosts.story import Site, own_network, programs_lacking
from benchmarks.hosts.traffic import Traffic

#: seconds for each fact
PATIENCE = 240.0
#: seconds of traffic before and after a change
QUIET = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.hosts", description="Three hosts, installed as documented.")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="keep the hosts' files, with their logs")
    options = parser.parse_args()
    if lacking := [*programs_lacking(), *([] if os.geteuid() == 0 else ["root"])]:
        print(f"benchmarks.hosts: lacking: {', '.join(lacking)} (make ha-deps)", file=sys.stderr)
        return 2
    if not options.inside:
        os.execvp("unshare", [*own_network(), sys.executable, "-m", "benchmarks.hosts", "--inside", *sys.argv[1:]])
    lan()
    # No overlay of a host lies over this folder.
    folder = Path(tempfile.mkdtemp(prefix="erip-hosts-", dir="/var/tmp"))  # nosec B108 (of a random name)
    folder.chmod(0o755)
    site = Site(folder)
    try:
        return tell(site)
    except CommandFailed as error:
        print(f"benchmarks.hosts: {error}", file=sys.stderr)
        return 1
    finally:
        site.close()
        if options.keep:
            print(f"the hosts' files: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def tell(site: Site) -> int:
    began = time.monotonic()
    site.install()
    traffic = Traffic(key_of(site), authority(site))
    traffic.start()
    until("a run is accepted", lambda: bool(traffic.accepted), traffic)
    say("installed by the page's commands, first run accepted", time.monotonic() - began)
    try:
        change(site, traffic)
    finally:
        traffic.stop()
    statuses = traffic.wait_for_ends(PATIENCE)
    rows = int(site.sql("SELECT count(*) FROM workflows_workflowrun WHERE business_key LIKE 'HOSTS-%'"))
    say(f"{len(traffic.accepted)} runs accepted, {rows} in the database, {traffic.tried_again} requests sent again")
    say(f"how they ended: {json.dumps(statuses)}")
    faults = list(traffic.refused)
    if statuses != {"SUCCEEDED": len(traffic.accepted)}:
        faults.append(f"not all runs succeeded: {statuses}")
    if rows != len(set(traffic.accepted)):
        faults.append("runs were lost or doubled")
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


def change(site: Site, traffic: Traffic) -> None:
    """Pull out the host that leads PostgreSQL, replace it, renew all certificates."""
    until("all is whole", lambda: whole(site) == [], site)
    time.sleep(QUIET)
    gone = site.leader()
    say(f"host {gone} leads PostgreSQL: its power and network fail")
    before, count = time.monotonic(), len(traffic.accepted)
    site.pull(gone)
    until("runs are accepted again", lambda: len(traffic.accepted) > count + 5, traffic)
    time.sleep(QUIET)
    say("longest time without an accepted run", traffic.longest_pause(before))
    before = time.monotonic()
    site.replace(gone)
    until("all is whole again", lambda: whole(site) == [], site)
    say("replaced by the page's commands, until all was whole", time.monotonic() - before)
    say("longest time without an accepted run meanwhile", traffic.longest_pause(before))
    old, before = shown.certificates(), time.monotonic()
    site.renew()
    until("all show new certificates", lambda: renewed(old), site)
    say(f"{len(old)} ports show new certificates", time.monotonic() - before)
    time.sleep(QUIET)
    say("longest time without an accepted run meanwhile", traffic.longest_pause(before))
    until("Flower is shown", lambda: site.flower() == "200", site)
    until("all is whole at the end", lambda: whole(site) == [], site)


def whole(site: Site) -> list[str]:
    """What of the site is not as it was installed."""
    try:
        facts = {
            "standbys that stream": (
                site.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"),
                "2",
            ),
            "members of etcd": (str(site.etcd_members()), "3"),
            "replicas of Redis, other Sentinels": (site.redis(), "2 2"),
            "units that do not run": (", ".join(site.failed_units()), ""),
            "ports that show no certificate": (", ".join(silent()), ""),
        }
    except CommandFailed as error:
        return [str(error)]
    return [f"{name}: {found}, not {wanted}" for name, (found, wanted) in facts.items() if found != wanted]


def silent() -> list[str]:
    return [f"{name}: {one}" for name, one in shown.certificates().items() if " " in one]


def renewed(old: dict[str, str]) -> bool:
    return all(one != old[name] and " " not in one for name, one in shown.certificates().items())


def key_of(site: Site) -> str:
    site.manage("ensure_admin --username ada --password-stdin <<'END'\na-long-password-of-hers\nEND")
    return str(json.loads(site.manage("create_api_key --name hosts --owner ada --scope operator --json"))["key"])


def authority(site: Site) -> Path:
    """Of the certificate that HAProxy shows to users."""
    file = site.folder / "front-ca.crt"
    file.write_text(site.desk.shell("cat /root/rendered/haproxy/tls/front/ca.crt"))
    return file


def until(fact: str, holds: Callable[[], bool], about: Site | Traffic) -> None:
    """Raises CommandFailed when it does not become true."""
    end = time.monotonic() + PATIENCE
    while not holds():
        refused = about.refused[:1] if isinstance(about, Traffic) else []
        if refused or time.monotonic() > end:
            more = refused if isinstance(about, Traffic) else whole(about)
            raise CommandFailed(f"not {'' if refused else f'within {PATIENCE:.0f} s'}: {fact}: {more}")
        time.sleep(0.5)


def say(what: str, seconds: float | None = None) -> None:
    print(what if seconds is None else f"{what}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
