"""Loads Django REST framework without Requests and Pygments. Whoever imports it first imports this before.

It loads both where they are installed: one for its own tests, the other for pages that this platform does not have.
They are 136 modules and 4.4 MB, and stay usable: the secrets of a Vault are read by Requests.
"""

from erip.foundation.without import without

with without("pygments", "requests"):
    import rest_framework.compat  # noqa: F401
