"""Checkpoints in a bucket of S3 with object lock, which keeps each version of an object for its time.

Note [A bucket that keeps]
Each checkpoint is an object of its own, because an object cannot grow. It is written in the mode COMPLIANCE, in which
not even the account's owner can delete that version, or shorten the time, until that time is over. What is kept is the
version: somebody who may delete can still put a marker over a name, and somebody who may write can put a newer version
over it. Who reads the bucket as usual then sees nothing, or the newer one; `erip_bucket.py` reads what was written
first, and names what was put over it. Names begin with the number, so that the objects in the order of their names are
the file that `erip_verify.py` reads as `--witness`: `000000000042-000000004711.jsonl` is checkpoint 42 of a log of 4711
entries. A second leader writes the same name with the same leaves; both versions stay.
"""

import io
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

if TYPE_CHECKING:
    from minio import Minio

#: seconds for a connection, and between two bytes of an answer
SECONDS = 10.0
#: how many checkpoints back the newest one in the bucket is looked for: a week of minutes
BACK = 10_080


class NotKept(OSError):
    """The bucket did not take an object."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where: `https://host:port/bucket/prefix`."""

    host: str
    secure: bool
    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Place":
        """Raises ValueError for a URL without a bucket."""
        parts = urlsplit(url)
        bucket, _, prefix = parts.path.strip("/").partition("/")
        if not bucket:
            raise ValueError(f"{url} names no bucket: https://host/bucket/prefix")
        return cls(parts.netloc, parts.scheme == "https", bucket, f"{prefix}/" if prefix else "")


class Bucket:
    def __init__(self, place: Place, client: "Minio", days: int) -> None:
        self._place = place
        self._client = client
        self._days = days
        #: entries of the log in the newest checkpoint that this process knows to be there
        self._size: int | None = None
        #: whether this process has seen that the bucket keeps what it takes
        self._keeps = False

    def size_before(self, number: int) -> int | None:
        """The size of the log in the newest checkpoint before this one that is in the bucket; 0 if there is none, None
        if there are older ones alone. Raises NotKept."""
        if self._size is None:
            after = self._name(max(0, number - BACK), 0)
            with _failures(self._place):
                found = list(
                    self._client.list_objects(self._place.bucket, prefix=self._place.prefix, start_after=after)
                )
            sizes = [_numbers(each.object_name or "", self._place.prefix) for each in found]
            known = [size for each in sizes if each is not None for its, size in (each,) if its < number]
            self._size = max(known) if known else 0 if number <= BACK else None
        return self._size

    def put(self, number: int, size: int, content: bytes) -> None:
        """Raises NotKept, also when the bucket has no object lock, or a server that takes no notice of it."""
        from minio.commonconfig import COMPLIANCE
        from minio.helpers import MIN_PART_SIZE
        from minio.retention import Retention

        until = datetime.now(UTC) + timedelta(days=self._days)
        with _failures(self._place):
            done = self._client.put_object(
                self._place.bucket,
                self._name(number, size),
                io.BytesIO(content),
                len(content),
                content_type="application/jsonl",
                # One request, however large: the parts of an object would ask for more rights.
                part_size=max(len(content), MIN_PART_SIZE),
                retention=Retention(COMPLIANCE, until),
            )
        # It is there, whether or not it is kept: the next one need not hold its leaves again.
        self._size = size
        if not self._keeps:
            self._look(done.object_name, done.version_id, until)

    def _look(self, name: str, version: str | None, until: datetime) -> None:
        """Whether the bucket keeps this object for that long. Raises NotKept, also if nobody can tell."""
        from minio.commonconfig import COMPLIANCE

        with _failures(self._place, "it took a checkpoint, and does not say how long it keeps it: "):
            kept = self._client.get_object_retention(self._place.bucket, name, version_id=version)
        # It may round the time.
        if kept is None or kept.mode != COMPLIANCE or kept.retain_until_date < until - timedelta(hours=1):
            raise NotKept(f"{self._place.host}: it took a checkpoint, and does not keep it from being deleted")
        self._keeps = True

    def _name(self, number: int, size: int) -> str:
        return f"{self._place.prefix}{number:012d}-{size:012d}.jsonl"


class _failures:
    """What goes wrong with the bucket, as NotKept. No secret is in these texts: the library signs with it alone."""

    def __init__(self, place: Place, what: str = "") -> None:
        self._place = place
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        if isinstance(error, S3Error):
            raise NotKept(f"{self._place.host}: {self._what}{error.code}: {error.message}") from error
        if isinstance(error, MinioException | HTTPError):
            raise NotKept(f"{self._place.host}: {self._what}{error}") from error


def _numbers(name: str, prefix: str) -> tuple[int, int] | None:
    """The checkpoint's number and the log's size; None for an object that is none of ours."""
    number, _, size = name.removeprefix(prefix).removesuffix(".jsonl").partition("-")
    return (int(number), int(size)) if number.isdecimal() and size.isdecimal() else None


def bucket_of_settings() -> Bucket:
    """Raises ValueError for settings that cannot be meant."""
    return _bucket(
        settings.ERIP_AUDIT_S3,
        settings.ERIP_AUDIT_S3_KEY_ID,
        settings.ERIP_AUDIT_S3_SECRET,
        settings.ERIP_AUDIT_S3_REGION,
        settings.ERIP_AUDIT_S3_DAYS,
    )


@lru_cache(maxsize=4)
def _bucket(url: str, key_id: str, secret: str, region: str, days: int) -> Bucket:
    # Only a leader that sends copies there pays for the library.
    import urllib3
    from minio import Minio

    place = Place.of(url)
    if not place.secure and not settings.ERIP_WEBHOOK_ALLOW_PRIVATE:
        raise ValueError(f"{url}: http is for private targets, where they are allowed (ERIP_WEBHOOK_ALLOW_PRIVATE)")
    # The certificates that all other connections trust, and one try: the next checkpoint comes in a minute.
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=SECONDS, read=SECONDS), ssl_context=ssl.create_default_context(), retries=False
    )
    client = Minio(
        place.host, access_key=key_id, secret_key=secret, secure=place.secure, region=region, http_client=http
    )
    return Bucket(place, client, days)
