"""Patroni's race waits less for members that say nothing: what of Patroni's own code this rests on."""

from types import SimpleNamespace
from typing import Any

from erip.guard.patroni import PATIENCE, ha, impatient


class Ha(ha.Ha):
    """Another class than the one that Patroni uses."""

    def __init__(self, request: Any) -> None:
        self.patroni = SimpleNamespace(request=request)


impatient(Ha)


def test_a_member_is_asked_with_less_patience() -> None:
    asked: dict[str, Any] = {}

    def request(member: Any, **options: Any) -> Any:
        asked.update(options, member=member)
        return SimpleNamespace(data=b'{"state": "running", "role": "replica", "xlog": {"received_location": 7}}')

    member = SimpleNamespace(name="postgres-2", api_url="http://postgres-2:8008/patroni")
    status = Ha(request).fetch_node_status(member)

    assert asked == {"member": member, "timeout": PATIENCE, "retries": 0}
    assert status.reachable
    assert status.wal_position == 7


def test_one_that_says_nothing_is_unknown() -> None:
    def request(member: Any, **options: Any) -> Any:
        raise TimeoutError

    member = SimpleNamespace(name="postgres-2", api_url="http://postgres-2:8008/patroni")

    assert not Ha(request).fetch_node_status(member).reachable


def test_patronis_own_class_is_left_alone_until_it_is_started() -> None:
    assert ha.Ha.fetch_node_status is not Ha.fetch_node_status
