"""Who has the values of secrets. One file for each provider:

    fault(reference)   what is wrong with where a secret is said to be; None: it can be there
    read(secret)       the value; raises NotThere, NotReached

environment   a variable of the worker's process
files         a file in one directory, read anew each time
database      the row itself, encrypted
vault         HashiCorp Vault, its KV engine version 2
"""

from types import ModuleType
from typing import Final

from workflows.secrets.models import Provider
from workflows.secrets.providers import database, environment, files, vault

#: by the name of the provider
ALL: Final[dict[str, ModuleType]] = {
    Provider.ENVIRONMENT: environment,
    Provider.FILES: files,
    Provider.DATABASE: database,
    Provider.VAULT: vault,
}
