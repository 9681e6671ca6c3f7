"""Settings of encryption at rest and of secrets for steps."""

from .declared import Declarations
from .values import http_url

_env = Declarations("Secrets")

# Both files are settings of their own (`by_file=False`): they are read each time, not once at the start.
ERIP_ENCRYPTION_KEYS_FILE = _env.text(
    "ERIP_ENCRYPTION_KEYS_FILE",
    "",
    "A file with the keys that encrypt data keys, one `name:key` a line; the first one is in force. It is read anew each"
    " time ([rotating keys](../how-to/secrets.md#rotate-the-key-encryption-key)).",
)
ERIP_ENCRYPTION_KEYS = _env.items(
    "ERIP_ENCRYPTION_KEYS",
    [],
    "The same keys without a file. Without either there is one key, which follows from ERIP_SECRET_KEY.",
    secret=True,
    by_file=False,
)
ERIP_SECRETS_DIRECTORY = _env.text(
    "ERIP_SECRETS_DIRECTORY", "", "Where workers find the files of secrets of the provider `files`."
)
ERIP_VAULT_URL = _env.text("ERIP_VAULT_URL", "", "HashiCorp Vault, for secrets of the provider `vault`.", form=http_url)
ERIP_VAULT_MOUNT = _env.text("ERIP_VAULT_MOUNT", "secret", "Where Vault's KV engine (version 2) is mounted.")
ERIP_VAULT_NAMESPACE = _env.text("ERIP_VAULT_NAMESPACE", "", "The namespace in Vault Enterprise.")
ERIP_VAULT_TOKEN_FILE = _env.text(
    "ERIP_VAULT_TOKEN_FILE", "", "A file with the token for Vault, which is read each time: a Vault agent renews it."
)
ERIP_VAULT_TOKEN = _env.text(
    "ERIP_VAULT_TOKEN", "", "The token for Vault, where no agent keeps a file.", secret=True, by_file=False
)
