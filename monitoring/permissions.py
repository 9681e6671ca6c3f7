"""What may be done with health, metrics, alerts, errors and on-call plans, and the built-in roles that may do it."""

from erip.access.catalog import AUDITORS, AUTHORS, NOBODY, OPERATORS, SCRAPERS, VIEWERS, permission
from monitoring import spaces  # noqa: F401  (registers what belongs to a space)

permission("monitoring.view_componentstate", "see the health of the platform", VIEWERS)
permission("monitoring.view_frame", "see metrics, and what is unusual", VIEWERS)
permission(
    "monitoring.scrape_metrics",
    "scrape GET /metrics",
    SCRAPERS | VIEWERS,
    implied_by=["monitoring.view_frame"],
)
permission("monitoring.view_flower", "look at Flower, Celery's monitor", OPERATORS | AUDITORS)
permission("monitoring.view_errorgroup", "see errors", VIEWERS)
permission("monitoring.change_errorgroup", "resolve, ignore and reopen errors", OPERATORS)
permission("monitoring.view_alert", "see alerts", VIEWERS)
permission("monitoring.change_alert", "take alerts on", OPERATORS)
permission("monitoring.view_controlstate", "see how controls of frameworks stand", AUDITORS)
permission("monitoring.view_silence", "see silences", VIEWERS)
permission("monitoring.add_silence", "silence alerts", OPERATORS)
permission("monitoring.change_silence", "end silences", OPERATORS)
permission("monitoring.view_alertrule", "see the rules of alerts", VIEWERS)
permission("monitoring.add_alertrule", "add rules of alerts in the admin", AUTHORS)
permission("monitoring.change_alertrule", "change rules of alerts", AUTHORS)
permission("monitoring.delete_alertrule", "remove rules of alerts", AUTHORS)
permission(
    "monitoring.backtest_alertrule",
    "try a rule on the past",
    OPERATORS,
    implied_by=["monitoring.change_alertrule"],
)
permission("monitoring.view_alertchannel", "see where alerts go", VIEWERS)
permission("monitoring.add_alertchannel", "add a place where alerts go in the admin", NOBODY)
permission("monitoring.change_alertchannel", "change where alerts go", NOBODY)
permission("monitoring.delete_alertchannel", "remove a place where alerts go", NOBODY)
permission(
    "monitoring.test_alertchannel",
    "send a test to where alerts go",
    OPERATORS,
    implied_by=["monitoring.change_alertchannel"],
)
permission("monitoring.view_oncallplan", "see who is on call", VIEWERS)
permission("monitoring.add_oncallplan", "make the plan in the admin", AUTHORS)
permission("monitoring.change_oncallplan", "change the plan", AUTHORS)
permission("monitoring.delete_oncallplan", "remove the plan in the admin", AUTHORS)
permission(
    "monitoring.share_oncallcalendar",
    "make the address of a calendar of the plan, which opens without signing in",
    OPERATORS,
    implied_by=["monitoring.change_oncallplan"],
)
permission("monitoring.view_oncalloverride", "see who stands in for whom", VIEWERS)
permission("monitoring.add_oncalloverride", "stand in for somebody", OPERATORS)
permission("monitoring.change_oncalloverride", "end that somebody stands in", OPERATORS)
permission("monitoring.delete_oncalloverride", "remove that somebody stands in, in the admin", OPERATORS)
permission("autoscale.view_scalingevent", "see what the autoscaler did", VIEWERS)
