"""The journal of erasures and holds: a file apart from the database, applied again to a restored one.

Note [Erasures and backups]
A backup from before an erasure holds the person's key. So each erasure is written to a file that no backup of the
database contains (ERIP_ERASURE_JOURNAL), one line each, with a code of authentication, by the process that erases and
by the leader, which writes what is missing. `reapply` destroys again, in a restored database, the keys that each line
names, lifts holds that were lifted since the backup, and puts those that were put. Whoever becomes the leader does so,
too, before anything else: also where nobody thinks of it, or a standby took over that had not got the last commits, an
erased person is unreadable within moments, and nothing goes that is held. What went by its time goes by its time again
(Note [Removing] in `retention`).

A key is meant by a line if it is of that person, and is one that the certificate names or is older than the erasure. A
person who came back afterwards keeps their new key.
"""

import hmac
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from erip.foundation import keyring
from erip.foundation.db.retry import retry_transaction
from erip.foundation.hooks import leader_begins, periodic_duty
from workflows.privacy import holds, remains
from workflows.privacy.classes import forget_in_audit
from workflows.privacy.models import DataKey, Erasure, Hold, RunKey

log = structlog.get_logger(__name__)

#: seconds between two looks of the leader
EVERY: Final = 1.0
_PURPOSE: Final = " erasure journal"


@dataclass(slots=True)
class Applied:
    """What was done again. erased: certificates of keys destroyed now; before: erasures whose keys are all destroyed,
    or that the database knows nothing of; held: holds put again; lifted: holds lifted again; wrong: numbers of lines
    that are not the platform's."""

    erased: list[dict[str, Any]] = field(default_factory=list)
    before: int = 0
    held: int = 0
    lifted: int = 0
    wrong: list[int] = field(default_factory=list)


def path() -> Path | None:
    """Where the journal is; None: nowhere."""
    return Path(settings.ERIP_ERASURE_JOURNAL) if settings.ERIP_ERASURE_JOURNAL else None


def lines(file: Path) -> Iterator[dict[str, Any] | None]:
    """What the lines say, in order; None for one that the platform did not write, or not to its end. Raises OSError."""
    for line in file.read_bytes().split(b"\n"):
        if line:
            yield _read(line)


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(line)
        code = bytes.fromhex(told.pop("code"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return told if hmac.compare_digest(code, _code(told)) else None


def _code(told: dict[str, Any]) -> bytes:
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()
    return keyring.fingerprint(text, purpose=_PURPOSE)


def write_what_is_missing() -> int:
    """Append what the file does not have yet. Returns how many lines that were. Raises OSError."""
    file = path()
    if file is None:
        return 0
    known = {_name(told) for told in lines(file) if told is not None} if file.exists() else set()
    missing = [told for told in _all() if _name(told) not in known]
    if missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = b"".join(orjson.dumps({**told, "code": _code(told).hex()}) + b"\n" for told in missing)
        with file.open("ab") as out:
            # A line that was cut off by a crash stays alone.
            out.write(text if not _cut(file) else b"\n" + text)
            out.flush()
            os.fsync(out.fileno())
    return len(missing)


def _cut(file: Path) -> bool:
    with file.open("rb") as there:
        if there.seek(0, os.SEEK_END) == 0:
            return False
        there.seek(-1, os.SEEK_END)
        return there.read(1) != b"\n"


def _name(told: dict[str, Any]) -> tuple[Any, ...]:
    return (
        ("erasure", told["person"], told["at"]) if "person" in told else ("hold", told["hold"]["since"], told["ended"])
    )


def _all() -> Iterator[dict[str, Any]]:
    erasures = Erasure.objects.filter(certificate__has_key="person").exclude(certificate__has_key="again")
    for certificate in erasures.order_by("pk").values_list("certificate", flat=True):
        yield {name: certificate[name] for name in ("person", "keys", "at")}
    for hold in Hold.objects.order_by("pk"):
        told = {
            "subject": None if hold.subject is None else bytes(hold.subject).hex(),
            "workflow": hold.workflow,
            "run_id": None if hold.run_id is None else str(hold.run_id),
            "classes": hold.classes,
            "reason": hold.reason,
            "by": hold.by,
            **{name: _text(getattr(hold, name)) for name in _MOMENTS},
        }
        yield {"hold": told, "ended": False}
        if hold.ended_at is not None:
            yield {"hold": told, "ended": True}


_MOMENTS: Final = ("data_since", "data_until", "since", "ends_at")


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def reapply(file: Path, *, by: str, reason: str, dry_run: bool = False) -> Applied:
    """Do again in this database what the journal says. Raises OSError."""
    done = Applied()
    ended, put, erased = set(), {}, []
    for number, told in enumerate(lines(file), 1):
        if told is None:
            done.wrong.append(number)
        elif "person" in told:
            erased.append(told)
        elif told["ended"]:
            ended.add(told["hold"]["since"])
        else:
            put[told["hold"]["since"]] = told["hold"]
    # Nearly all of a journal of years was done: that takes one look.
    living = _living({told["person"] for told in erased})
    for told in erased:
        again = told["person"] in living
        certificate = _erase_again(told, by=by, reason=reason, dry_run=dry_run) if again else None
        if certificate is None:
            done.before += 1
        else:
            done.erased.append(certificate)
    # In this order: a person has one hold at a time.
    done.lifted = _lift_again(ended, by=by, dry_run=dry_run)
    for since, hold in put.items():
        done.held += since not in ended and _hold_again(hold, dry_run=dry_run)
    return done


def _living(persons: Collection[str]) -> set[str]:
    """Those of these who have a key."""
    living = DataKey.objects.filter(subject__in=[bytes.fromhex(one) for one in persons], destroyed_at__isnull=True)
    return {bytes(subject).hex() for subject in living.values_list("subject", flat=True) if subject is not None}


@retry_transaction
def _lift_again(ended: Collection[str], *, by: str, dry_run: bool) -> int:
    with transaction.atomic():
        holds.turn()
        there = Hold.objects.in_force().filter(since__in=[datetime.fromisoformat(since) for since in ended])
        return int(there.count() if dry_run else there.update(ended_at=Now(), ended_by=by))


@retry_transaction
def _erase_again(told: dict[str, Any], *, by: str, reason: str, dry_run: bool) -> dict[str, Any] | None:
    at = datetime.fromisoformat(told["at"])
    with transaction.atomic():
        holds.turn()
        meant = DataKey.objects.filter(subject=bytes.fromhex(told["person"]), destroyed_at__isnull=True)
        keys = list(meant.filter(Q(pk__in=told["keys"]) | Q(created_at__lte=at)).values_list("pk", flat=True))
        if not keys:
            return None
        runs = list(RunKey.objects.filter(key__in=keys).values_list("run_id", flat=True))
        certificate = {
            "person": told["person"],
            "keys": keys,
            "runs": len(runs),
            "at": timezone.now().isoformat(),
            "again": told["at"],
            "key_encryption_keys": remains.openers(),
            "by": by,
            "reason": reason,
            "says": "A backup brought the keys back that sealed this person's data. They were destroyed again.",
        }
        if not dry_run:
            forget_in_audit(runs=runs, keys=keys)
            DataKey.objects.filter(pk__in=keys).update(wrapped=None, wrapped_by="", destroyed_at=timezone.now())
            Erasure.objects.create(certificate=certificate)
        return certificate


@retry_transaction
def _hold_again(told: dict[str, Any], *, dry_run: bool) -> bool:
    since = datetime.fromisoformat(told["since"])
    with transaction.atomic():
        holds.turn()
        subject = None if told["subject"] is None else bytes.fromhex(told["subject"])
        there = Hold.objects.filter(since=since)
        if there.exists() or (subject is not None and Hold.objects.in_force().filter(subject=subject).exists()):
            return False
        if not dry_run:
            holds.end_what_is_over()
            moments = {name: told[name] and datetime.fromisoformat(told[name]) for name in _MOMENTS}
            Hold.objects.create(
                subject=subject, workflow=told["workflow"], run_id=told["run_id"] and UUID(told["run_id"]),
                classes=told["classes"], reason=told["reason"], by=told["by"], **moments,
            )  # fmt: skip
        return True


def write_soon() -> None:
    """After the commit that erases: the leader does it otherwise."""
    try:
        write_what_is_missing()
    except (OSError, DatabaseError) as error:
        log.warning("erasure_not_journaled_yet", error=error)


class _Leader:
    """Applies the journal once, and then writes what is missing."""

    def __init__(self) -> None:
        self.applied = False
        self.seen: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """It may be another database than the one that this process led."""
        self.applied, self.seen = False, None
        self.step()

    def step(self) -> bool:
        file = path()
        if file is None:
            return False
        try:
            if not self.applied:
                self._apply(file)
                self.applied = True
            now = (_newest(Erasure), _newest(Hold), Hold.objects.filter(ended_at__isnull=False).count())
            if now != self.seen:
                write_what_is_missing()
                self.seen = now
        except OSError as error:
            log.error("erasure_journal_not_reached", path=str(file), error=error)
        return False

    def _apply(self, file: Path) -> None:
        if not file.exists():
            return
        done = reapply(file, by="platform", reason="the journal of erasures knew more than the database")
        if done.erased or done.held or done.lifted:
            log.warning("erasures_applied_again", erasures=len(done.erased), holds=done.held, lifted=done.lifted)
        if done.wrong:
            log.error("erasure_journal_damaged", path=str(file), lines=done.wrong[:20])


def _newest(model: Any) -> int:
    return int(model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0)


_leader = _Leader()
leader_begins(_leader.begin)


@periodic_duty(EVERY)
def keep_journal() -> bool:
    return _leader.step()
