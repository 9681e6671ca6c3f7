"""What the console adds to the platform: itself, and its first pages."""

from collections.abc import Callable, Iterable

from django.conf import settings

from erip.foundation.hooks import Link, Menu, Need, Pages, console_page, menu, needs_me, pages

pages(Pages("console/", "console.urls"))
pages(Pages("flower/", "console.flower_urls"))
menu(Menu("Console", (Link("Console", "monitoring", "console:home", "monitoring.view_componentstate"),), place=5))
console_page(
    Menu(
        "Operate",
        (
            Link(
                "Home",
                "home",
                "console:home",
                "monitoring.view_componentstate monitoring.view_frame monitoring.view_alert"
                " clocks.view_legalclock workflows.view_approvaltask",
            ),
            Link("Health", "favorite", "console:health", "monitoring.view_componentstate"),
            Link("Metrics", "show_chart", "console:metrics", "monitoring.view_frame"),
            Link("Capacity", "speed", "console:capacity", "monitoring.view_frame"),
            Link("Alerts", "notifications", "console:alerts", "monitoring.view_alert"),
            Link("Errors", "bug_report", "console:errors", "monitoring.view_errorgroup"),
            Link("Decision tables", "table_chart", "console:decisions", "decisions.view_decisiontable"),
            Link("Controls", "verified", "console:controls", "monitoring.view_controlstate"),
            Link("Approvals", "how_to_vote", "console:approvals", "workflows.view_approvaltask"),
            Link("Legal clocks", "timer", "console:clocks", "clocks.view_legalclock"),
            Link(
                "Privacy",
                "shield_person",
                "console:privacy",
                "privacy.view_register privacy.erase_person privacy.open_data",
            ),
        ),
        place=10,
    )
)
if settings.ERIP_FLOWER_URL:
    flower = Link("Flower", "local_florist", "flower:page", "monitoring.view_flower")
    console_page(Menu("Operate", (flower,), place=11))


@needs_me
def what_pulse_knows(may: Callable[[str], bool]) -> Iterable[Need]:
    from console.needs import needs

    return needs(may)
