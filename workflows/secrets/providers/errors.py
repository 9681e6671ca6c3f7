"""How reading a value may fail. The messages name the secret and its place, never a value."""

from workflows.errors import StepError


class NotThere(StepError):
    """The provider does not have it, or has no value that may be used. It fails for good."""

    says_no_data = True

    def __init__(self, message: str) -> None:
        super().__init__(message, code="secret_not_there", retryable=False)


class NotReached(StepError):
    """The provider cannot be asked now. The attempt is made again, as the step's retry says."""

    says_no_data = True

    def __init__(self, message: str) -> None:
        super().__init__(message, code="secret_not_reached", retryable=True)
