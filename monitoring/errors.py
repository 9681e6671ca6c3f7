"""What PULSE refuses."""

from erip.foundation.errors import EripError


class PulseError(EripError):
    """The request to PULSE cannot be carried out."""


class NoSuchRule(PulseError):
    """There is no alert rule of this name: `GET /alerts/rules` lists those that there are."""

    status = 404
    code = "no_such_rule"


class NoSuchAlert(PulseError):
    """There is no alert of this id."""

    status = 404
    code = "no_such_alert"


class NoSuchSilence(PulseError):
    """There is no silence of this id, or it has ended."""

    status = 404
    code = "no_such_silence"


class AlertNotOpen(PulseError):
    """The alert has been resolved, or somebody has acknowledged it already: read it again."""

    status = 409
    code = "alert_not_open"


class RuleInvalid(PulseError):
    """The rule cannot be used; `faults` names everything that is wrong with it."""

    status = 422
    code = "rule_invalid"


class NoSuchErrorGroup(PulseError):
    """There is no group of errors of this id: `GET /errors` lists those that there are."""

    status = 404
    code = "no_such_error_group"


class ErrorGroupDecided(PulseError):
    """The group of errors is in that state already: read it again."""

    status = 409
    code = "error_group_decided"


class NoSuchChannel(PulseError):
    """There is no channel of this name: `GET /alerts/channels` lists those that there are."""

    status = 404
    code = "no_such_channel"


class ChannelInUse(PulseError):
    """The on-call plan sends to this channel: take it out of the plan first."""

    status = 409
    code = "channel_in_use"


class ChannelInvalid(PulseError):
    """The channel cannot be used; `faults` names everything that is wrong with it."""

    status = 422
    code = "channel_invalid"


class OnCallInvalid(PulseError):
    """The on-call plan or the override cannot be used; `faults` names everything that is wrong with it."""

    status = 422
    code = "on_call_invalid"


class NoSuchRotation(PulseError):
    """The on-call plan has no rotation of this name."""

    status = 404
    code = "no_such_rotation"


class NoSuchOverride(PulseError):
    """There is no override of this id, or it has ended."""

    status = 404
    code = "no_such_override"


class NoSuchCalendar(PulseError):
    """This address leads to no calendar. Ask anyone who gave it to you for a new one."""

    status = 404
    code = "no_such_calendar"
