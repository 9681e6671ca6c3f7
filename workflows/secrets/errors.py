"""What can go wrong with secrets, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class SecretsError(WorkflowsError):
    """Something about secrets went wrong."""

    code = "secrets_error"


class UnknownSecret(SecretsError):
    """There is no secret of that name. `GET /api/v1/secrets` lists those there are."""

    code = "unknown_secret"
    status = 404


class SecretInvalid(SecretsError):
    """The secret is not valid. Fix what `faults` names, and store it again."""

    code = "secret_invalid"
    status = 422
