"""How long a thread could not run because others had the processors."""


def for_a_processor(native_id: int) -> float:
    """Seconds that this thread of this process has waited for a processor since it began (Linux's `schedstat`); always
    0.0 where the system does not say."""
    try:
        with open(f"/proc/self/task/{native_id}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
