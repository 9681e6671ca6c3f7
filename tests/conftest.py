"""What the tests share. They run on real servers: `make test` starts them and says where they are."""

import os

import pytest


def pytest_configure() -> None:
    for name in ("DATABASE_URL", "ERIP_BROKER_URL"):
        if not os.environ.get(name):
            pytest.exit(f"{name} is not set: run `make test`, which starts private servers", returncode=4)
