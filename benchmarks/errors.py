"""Why a benchmark cannot be run; each knows the command's exit status."""


class BenchmarkError(Exception):
    """Something is in the way; the message says what."""

    status = 1


class Usage(BenchmarkError):
    """The command was called wrongly."""

    status = 2


class Missing(BenchmarkError):
    """Something that is needed is not there: servers, the API, the steps of `benchmarks`."""

    status = 4
