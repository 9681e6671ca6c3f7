from django.apps import AppConfig


class AddonConfig(AppConfig):
    """An app that adds one thing to each hook: `tests/unit/erip/foundation/test_hooks.py` looks for all of them."""

    name = "tests.addon"
    label = "addon"
