"""The banner of emergency access (Note [Break-glass] in `erip.access.break_glass_models`): the same for all viewers."""

from django.template.loader import render_to_string

from console.shared import Shared
from erip.access.break_glass_models import BreakGlass, in_force

#: seconds within which a page shows it
EVERY = 5.0


def _read() -> list[BreakGlass]:
    return list(in_force().select_related("holder").order_by("ends_at")[:20])


emergencies: Shared[list[BreakGlass]] = Shared(_read, every=EVERY)


def banner() -> str:
    """HTML; "" while there is none."""
    found = emergencies.look().value
    return render_to_string("console/emergency.html", {"emergencies": found}) if found else ""
