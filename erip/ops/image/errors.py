"""What can be wrong with an image."""


class ImageError(Exception):
    """It cannot be built, or is not what it should be; one line for each fault."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
