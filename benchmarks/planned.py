"""What the frames of the measured stack hold, for the scenario `planner`: `python -m benchmarks.planned SINCE UNTIL …`.

It is a program of its own because Django must be set up for that stack's database. Spans are in seconds since the
epoch; prints one JSON array of points of ten seconds, those that are wholly in one of the spans.
"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import django


def main(spans: list[tuple[float, float]]) -> None:
    django.setup()
    from monitoring.core.frames import TICK, TIERS, Reading
    from monitoring.planning import seen

    points = []
    for since, until in spans:
        # A point says what was in the tick before it.
        begin, end = (datetime.fromtimestamp(one, UTC) for one in (since + TICK, until))
        points += seen(begin, end, reading=Reading(TIERS[0], TICK))
    print(json.dumps([asdict(one) for one in points]))


if __name__ == "__main__":
    numbers = [float(one) for one in sys.argv[1:]]
    main(list(zip(numbers[::2], numbers[1::2], strict=True)))
