"""Checks of the rest: encryption of what comes in, retention, whom alerts reach, and how old the law's texts are."""

from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from monitoring.conf import conf
from monitoring.controls.addresses import hosts_of, is_here
from monitoring.controls.results import Result, absent, check, fails, holds, unknown
from monitoring.models import AlertChannel
from monitoring.watching import watching
from workflows.library.models import Obligation

#: days within which somebody must have looked at the text of an obligation
REVIEWED_WITHIN = 400


@check("broker-encrypted")
def broker() -> Result:
    """What goes to Redis is encrypted, or does not leave the machine."""
    addresses = hosts_of(settings.ERIP_BROKER_URL)
    plain = [host for scheme, host in addresses if not scheme.startswith(("rediss", "sentinels", "unix"))]
    away = sorted({host for host in plain if not is_here(host)})
    secured = bool(getattr(settings, "ERIP_BROKER_CA", "") or getattr(settings, "ERIP_TLS_CA", ""))
    if away and not secured:
        return fails(f"Messages to Redis at {away[0]} are not encrypted.", hosts=away)
    if plain and not secured:
        return holds("Messages to Redis are plain, and do not leave this machine.")
    return holds("Messages to Redis are encrypted.")


@check("web-encrypted")
def web() -> Result:
    """People and programs reach the platform by HTTPS, and browsers remember that."""
    url = urlsplit(str(getattr(settings, "ERIP_PUBLIC_URL", "") or ""))
    if url.scheme != "https":
        if not url.hostname or is_here(url.hostname):
            return absent("The platform is reached on this machine alone, by HTTP.")
        return fails(f"The platform is reached at {url.hostname} by HTTP.")
    if not (settings.SECURE_SSL_REDIRECT and settings.SECURE_HSTS_SECONDS):
        return fails("Plain requests are not sent to HTTPS, or browsers do not remember it.")
    return holds("The platform is reached by HTTPS, and browsers remember it.", hsts=settings.SECURE_HSTS_SECONDS)


@check("certificates")
def certificates() -> Result:
    """No certificate that is watched ends within two weeks."""
    if not conf().certificates:
        return absent("No certificate is watched (ERIP_PULSE_CERTIFICATES).")
    seen = [one for one in watching.observations() if one.component == "certificates"]
    if not seen:
        return unknown("The certificates have not been looked at yet.")
    days = seen[0].measures.get("erip_certificate_days_left")
    if days is None:
        return unknown("The certificates could not be read.")
    if days < 14:
        return fails(f"A certificate ends in {days:.0f} days.", days=round(days, 1))
    return holds(f"The first certificate to end has {days:.0f} days left.", days=round(days, 1))


@check("production-settings")
def production() -> Result:
    """The platform does not run with the settings of development."""
    if settings.DEBUG:
        return fails("DEBUG is on: errors show settings and data.")
    if len(settings.SECRET_KEY) < 32:
        return fails("ERIP_SECRET_KEY is shorter than 32 characters.")
    return holds("DEBUG is off, and the secret is long.")


@check("retention")
def retention() -> Result:
    """It is decided how long runs and events are kept."""
    months = {
        "runs": settings.ERIP_KEEP_ARCHIVE_MONTHS,
        "events": settings.ERIP_KEEP_EVENT_MONTHS,
    }
    endless = sorted(name for name, kept in months.items() if not kept)
    if endless:
        return absent(f"Nobody decided how long {' and '.join(endless)} are kept: they are kept for ever.", **months)
    return holds("It is decided how long runs and events are kept.", **months)


@check("alerts-reach")
def reach() -> Result:
    """Alerts reach somebody outside of the platform."""
    channels = AlertChannel.objects.exclude(hears="none").count() + len(conf().targets)
    if not channels:
        return absent("Alerts are shown in the console, and sent to nobody.")
    if not conf().heartbeat_url:
        return holds(f"Alerts go to {channels} channels. Nobody outside notices if the platform itself falls silent.")
    return holds(f"Alerts go to {channels} channels, and somebody outside notices silence.", channels=channels)


@check("obligations-reviewed")
def obligations() -> Result:
    """Somebody looked at the texts of the obligations within the last year or so."""
    due = timezone.now().date() - timedelta(days=REVIEWED_WITHIN)
    known = Obligation.objects.filter(enabled=True)
    if not known.exists():
        return absent("No obligation is in force here.")
    old = list(known.filter(reviewed_on__lt=due).order_by("code").values_list("code", flat=True)[:21])
    never = known.filter(reviewed_on=None).count()
    if old:
        return fails(f"Nobody looked at {old[0]} for more than a year.", obligations=old[:20], never=never)
    if never:
        return unknown(f"Nobody said when {never} obligations were last looked at.", never=never)
    return holds("Every obligation was looked at within a year.")
