"""What can be wrong with a description of servers."""


class DeployError(Exception):
    """The files cannot be made; `faults` has one line for each reason, with the path of the value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
