"""The settings of the tests, with one more app."""

from erip.settings.test import *

INSTALLED_APPS = [*INSTALLED_APPS, "tests.addon"]
