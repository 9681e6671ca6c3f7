"""What can go wrong with events, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class EventsInvalid(WorkflowsError):
    """This is not a CloudEvent, or a batch of them. Fix what `faults` names, and send it again."""

    code = "events_invalid"
    status = 422


class OriginRefused(WorkflowsError):
    """The caller may not send events from this source, or of this type. None of the request's events was accepted."""

    code = "origin_refused"
    status = 403


class JournalFull(WorkflowsError):
    """More events wait than can be served in time. Send the same request again after `retry_after` seconds."""

    code = "journal_full"
    status = 429

    def __init__(self, retry_after: int) -> None:
        """retry_after: seconds."""
        super().__init__(
            f"More events wait than can be served in time. Send the same request again after {retry_after} s."
        )
        self.retry_after = retry_after


class QuotaExceeded(WorkflowsError):
    """A source has sent more than its quota. Send the same request again after `retry_after` seconds."""

    code = "quota_exceeded"
    status = 429

    def __init__(self, source: str, limit: str, retry_after: int) -> None:
        """limit: which one, in words. retry_after: seconds."""
        super().__init__(
            f'The source "{source}" has sent more than its quota ({limit}). '
            f"Send the same request again after {retry_after} s; none of it was accepted."
        )
        self.source = source
        self.retry_after = retry_after


class JournalUnavailable(WorkflowsError):
    """The database cannot be reached, so nothing was accepted for certain. Send the same request again: what was
    accepted before is recognised by its id."""

    code = "database_unavailable"
    status = 503
    retry_after = 2


class UnknownEvent(WorkflowsError):
    """There is no such event in the log."""

    code = "unknown_event"
    status = 404


class UnknownDeadLetter(WorkflowsError):
    """There is no dead letter of that id."""

    code = "unknown_dead_letter"
    status = 404


class DeadLetterResolved(WorkflowsError):
    """That dead letter was retried or discarded before."""

    code = "dead_letter_resolved"
    status = 409


class UnknownTarget(WorkflowsError):
    """Nothing of that name can be replayed to."""

    code = "unknown_target"
    status = 422


class UnknownEventType(WorkflowsError):
    """There is no event type of that name. `GET /api/v1/event-types` lists those there are."""

    code = "unknown_event_type"
    status = 404


class TypeInvalid(WorkflowsError):
    """The event type is not valid. Fix what `faults` names, and send it again."""

    code = "event_type_invalid"
    status = 422


class SchemaIncompatible(WorkflowsError):
    """The new schema may refuse what the version before accepts: events of it are still on their way, and their sources
    may never change. Widen the schema, or register a type of another name."""

    code = "schema_incompatible"
    status = 409


class UnknownTrigger(WorkflowsError):
    """There is no trigger of that name. `GET /api/v1/triggers` lists those there are."""

    code = "unknown_trigger"
    status = 404


class UnknownPendingStart(WorkflowsError):
    """There is no pending start of that id: its run was started, or its events became dead letters."""

    code = "unknown_pending_start"
    status = 404


class PendingStartStuck(WorkflowsError):
    """Its run could not be started. Its events are dead letters now, or a newer release has to start it."""

    code = "pending_start_stuck"
    status = 409


class NotStartedByEvent(WorkflowsError):
    """No event started that run."""

    code = "not_started_by_event"
    status = 404


class TriggerInvalid(WorkflowsError):
    """The trigger is not valid. Fix what `faults` names, and send it again."""

    code = "trigger_invalid"
    status = 422


class ReplayTooLarge(WorkflowsError):
    """More than 100,000 events of the log are asked for. Narrow the range, and replay one after the other."""

    code = "replay_too_large"
    status = 422


class UnknownSubscription(WorkflowsError):
    """There is no subscription of that id."""

    code = "unknown_subscription"
    status = 404


class UnknownDelivery(WorkflowsError):
    """There is no delivery of that id; what was delivered or given up long ago is forgotten."""

    code = "unknown_delivery"
    status = 404


class DeliveryUnderWay(WorkflowsError):
    """The delivery is on its way this moment. Wait for what comes of it."""

    code = "delivery_under_way"
    status = 409


class SubscriptionDisabled(WorkflowsError):
    """The subscription is disabled, so nothing is delivered to it. Enable it first."""

    code = "subscription_disabled"
    status = 409


class TooManySubscriptions(WorkflowsError):
    """There are as many subscriptions as the platform serves. Delete one that is not needed."""

    code = "too_many_subscriptions"
    status = 409


class OthersSecret(WorkflowsError):
    """Another caller made this subscription: its secret is shown to that caller and to administrators alone."""

    code = "others_secret"
    status = 403


class RotatedAlready(WorkflowsError):
    """The secret was exchanged within the last day, and the former one still signs. Wait until that day is over."""

    code = "rotated_already"
    status = 409


class TooManyStreams(WorkflowsError):
    """More streams are open than are served. Connect again after `retry_after` seconds."""

    code = "too_many_streams"
    status = 429

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CursorUnknown(WorkflowsError):
    """The Last-Event-ID is none of this log's. Connect without one."""

    code = "unknown_event_id"
    status = 400


class CursorTooOld(WorkflowsError):
    """The log does not keep the events after this Last-Event-ID any more. Connect without one: the stream then begins
    with what comes next."""

    code = "event_id_too_old"
    status = 410
