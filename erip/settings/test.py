"""For the test suite: real servers (`make test` starts them), quick password hashing."""

from .base import *

SECRET_KEY = SECRET_KEY or "tests-only"
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ERIP_WEBHOOK_SECRET = ERIP_WEBHOOK_SECRET or "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"
# A pool would hold on to the test database when it is to be dropped; tests/integration/test_pool.py tests the pool.
DATABASES["default"]["ENGINE"] = "tests.support.postgresql"
# Emptying all tables between two tests may take longer than a statement of the platform's ever should.
DATABASES["default"]["OPTIONS"].pop("options", None)
INSTALLED_APPS = [*INSTALLED_APPS, "tests.sample", "benchmarks"]
