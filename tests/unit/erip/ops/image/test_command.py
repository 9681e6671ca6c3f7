"""`python -m erip.ops.image`."""

import pytest

from erip.ops.image.__main__ import main


def test_a_base_and_the_moment_of_its_packages_are_not_given_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["build", "--out", "x", "--base", "debian:12", "--snapshot", "20261101T000000Z"])
    assert raised.value.code == 2
    assert "give one of --base and --snapshot" in capsys.readouterr().err
