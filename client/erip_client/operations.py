"""The methods of both clients, each made from the function that describes its call: no signature stands twice."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from .calls import (
    Call,
    access,
    alerts,
    approvals,
    batches,
    clocks,
    decisions,
    errors,
    events,
    flags,
    outgoing,
    pauses,
    privacy,
    pulse,
    runs,
    schedules,
    secrets,
    workflows,
)
from .calls.health import ready
from .transport import AsyncTransport, SyncTransport

P = ParamSpec("P")
T = TypeVar("T")


class Sends(Generic[P, T]):
    """A method of a client that sends the call and returns the document."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self.make = make

    @overload
    def __get__(self, client: None, owner: type) -> "Sends[P, T]": ...
    @overload
    def __get__(self, client: SyncTransport, owner: type) -> Callable[P, T]: ...
    def __get__(self, client: SyncTransport | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.make)
        def method(*arguments: P.args, **named: P.kwargs) -> T:
            return client.call(self.make(*arguments, **named))

        return method


class Awaits(Generic[P, T]):
    """A method of a client that returns an awaitable of the document."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self.make = make

    @overload
    def __get__(self, client: None, owner: type) -> "Awaits[P, T]": ...
    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: AsyncTransport | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.make)
        async def method(*arguments: P.args, **named: P.kwargs) -> T:
            return await client.call(self.make(*arguments, **named))

        return method


class SyncOperations(SyncTransport):
    """Every operation of the API."""

    ready = Sends(ready)

    start_run = Sends(runs.start_run)
    start_runs = Sends(runs.start_runs)
    list_runs = Sends(runs.list_runs)
    get_run = Sends(runs.get_run)
    explain_run = Sends(runs.explain_run)
    list_run_events = Sends(runs.list_run_events)
    get_run_event = Sends(runs.get_run_event)
    cancel_run = Sends(runs.cancel_run)
    pause_run = Sends(runs.pause_run)
    resume_run = Sends(runs.resume_run)
    retry_run = Sends(runs.retry_run)
    signal_run = Sends(runs.signal_run)
    signal_workflow = Sends(runs.signal_workflow)
    list_step_items = Sends(runs.list_step_items)
    resolve_step = Sends(runs.resolve_step)
    list_unknown_steps = Sends(runs.list_unknown_steps)
    list_workers = Sends(runs.list_workers)

    cancel_runs = Sends(batches.cancel_runs)
    pause_runs = Sends(batches.pause_runs)
    resume_runs = Sends(batches.resume_runs)
    retry_runs = Sends(batches.retry_runs)
    list_batches = Sends(batches.list_batches)
    get_batch = Sends(batches.get_batch)
    list_batch_runs = Sends(batches.list_batch_runs)

    explain_access = Sends(access.explain_access)
    list_keys = Sends(access.list_keys)
    make_key = Sends(access.make_key)
    get_key = Sends(access.get_key)
    change_key = Sends(access.change_key)
    rotate_key = Sends(access.rotate_key)
    revoke_key = Sends(access.revoke_key)
    list_break_glass = Sends(access.list_break_glass)
    ask_break_glass = Sends(access.ask_break_glass)
    grant_break_glass = Sends(access.grant_break_glass)
    end_break_glass = Sends(access.end_break_glass)
    review_break_glass = Sends(access.review_break_glass)

    list_pauses = Sends(pauses.list_pauses)
    pause_workflow = Sends(pauses.pause_workflow)
    resume_workflow = Sends(pauses.resume_workflow)
    pause_lane = Sends(pauses.pause_lane)
    resume_lane = Sends(pauses.resume_lane)

    list_workflows = Sends(workflows.list_workflows)
    get_workflow = Sends(workflows.get_workflow)
    get_workflow_version = Sends(workflows.get_workflow_version)
    publish_workflow = Sends(workflows.publish_workflow)
    validate_workflow = Sends(workflows.validate_workflow)
    what_if_workflow = Sends(workflows.what_if_workflow)
    list_step_types = Sends(workflows.list_step_types)
    get_workflow_schema = Sends(workflows.get_workflow_schema)
    list_triggers = Sends(workflows.list_triggers)
    get_trigger = Sends(workflows.get_trigger)
    put_trigger = Sends(workflows.put_trigger)
    delete_trigger = Sends(workflows.delete_trigger)
    list_event_types = Sends(workflows.list_event_types)
    get_event_type = Sends(workflows.get_event_type)
    put_event_type = Sends(workflows.put_event_type)

    send_events = Sends(events.send_events)
    list_events = Sends(events.list_events)
    get_event = Sends(events.get_event)
    events_status = Sends(events.events_status)
    replay_events = Sends(events.replay_events)
    list_dead_letters = Sends(events.list_dead_letters)
    get_dead_letter = Sends(events.get_dead_letter)
    retry_dead_letter = Sends(events.retry_dead_letter)
    discard_dead_letter = Sends(events.discard_dead_letter)

    list_pending_starts = Sends(events.list_pending_starts)
    get_pending_start = Sends(events.get_pending_start)
    start_pending_start = Sends(events.start_pending_start)
    discard_pending_start = Sends(events.discard_pending_start)

    list_subscriptions = Sends(outgoing.list_subscriptions)
    subscribe = Sends(outgoing.subscribe)
    get_subscription = Sends(outgoing.get_subscription)
    change_subscription = Sends(outgoing.change_subscription)
    unsubscribe = Sends(outgoing.unsubscribe)
    rotate_secret = Sends(outgoing.rotate_secret)
    try_subscription = Sends(outgoing.try_subscription)
    list_deliveries = Sends(outgoing.list_deliveries)
    get_delivery = Sends(outgoing.get_delivery)
    redeliver = Sends(outgoing.redeliver)
    list_scaling = Sends(outgoing.list_scaling)
    search_audit = Sends(outgoing.search_audit)
    read_health = Sends(pulse.read_health)
    list_anomalies = Sends(pulse.list_anomalies)
    list_metrics = Sends(pulse.list_metrics)
    query_metric = Sends(pulse.query_metric)
    list_controls = Sends(pulse.list_controls)
    get_framework = Sends(pulse.get_framework)

    list_alerts = Sends(alerts.list_alerts)
    acknowledge_alert = Sends(alerts.acknowledge_alert)
    list_alert_rules = Sends(alerts.list_alert_rules)
    put_alert_rule = Sends(alerts.put_alert_rule)
    delete_alert_rule = Sends(alerts.delete_alert_rule)
    backtest_alert_rule = Sends(alerts.backtest_alert_rule)
    list_silences = Sends(alerts.list_silences)
    add_silence = Sends(alerts.add_silence)
    end_silence = Sends(alerts.end_silence)
    list_errors = Sends(errors.list_errors)
    get_error = Sends(errors.get_error)
    resolve_error = Sends(errors.resolve_error)
    ignore_error = Sends(errors.ignore_error)
    reopen_error = Sends(errors.reopen_error)
    list_alert_channels = Sends(alerts.list_alert_channels)
    put_alert_channel = Sends(alerts.put_alert_channel)
    delete_alert_channel = Sends(alerts.delete_alert_channel)
    try_alert_channel = Sends(alerts.try_alert_channel)
    read_on_call = Sends(alerts.read_on_call)
    put_on_call = Sends(alerts.put_on_call)
    list_shifts = Sends(alerts.list_shifts)
    make_on_call_calendar = Sends(alerts.make_on_call_calendar)
    add_on_call_override = Sends(alerts.add_on_call_override)
    end_on_call_override = Sends(alerts.end_on_call_override)

    list_schedules = Sends(schedules.list_schedules)
    get_schedule = Sends(schedules.get_schedule)
    put_schedule = Sends(schedules.put_schedule)
    delete_schedule = Sends(schedules.delete_schedule)
    preview_unstored_schedule = Sends(schedules.preview_unstored_schedule)
    preview_schedule = Sends(schedules.preview_schedule)
    list_scheduled_starts = Sends(schedules.list_scheduled_starts)
    pause_schedule = Sends(schedules.pause_schedule)
    resume_schedule = Sends(schedules.resume_schedule)
    trigger_schedule = Sends(schedules.trigger_schedule)
    backfill_schedule = Sends(schedules.backfill_schedule)

    list_secrets = Sends(secrets.list_secrets)
    get_secret = Sends(secrets.get_secret)
    put_secret = Sends(secrets.put_secret)
    delete_secret = Sends(secrets.delete_secret)

    list_flags = Sends(flags.list_flags)
    get_flag = Sends(flags.get_flag)
    put_flag = Sends(flags.put_flag)
    delete_flag = Sends(flags.delete_flag)

    open_run = Sends(privacy.open_run)
    open_event = Sends(privacy.open_event)
    export_person = Sends(privacy.export_person)
    erase_person = Sends(privacy.erase_person)
    get_privacy_register = Sends(privacy.get_privacy_register)
    list_holds = Sends(privacy.list_holds)
    put_hold = Sends(privacy.put_hold)
    release_hold = Sends(privacy.release_hold)
    preview_retention = Sends(privacy.preview_retention)
    apply_retention = Sends(privacy.apply_retention)

    list_decision_tables = Sends(decisions.list_decision_tables)
    get_decision_table = Sends(decisions.get_decision_table)
    get_decision_table_version = Sends(decisions.get_decision_table_version)
    publish_decision_table = Sends(decisions.publish_decision_table)
    validate_decision_table = Sends(decisions.validate_decision_table)
    analyse_decision_table = Sends(decisions.analyse_decision_table)
    evaluate_decision_table = Sends(decisions.evaluate_decision_table)
    what_if_decision_table = Sends(decisions.what_if_decision_table)
    list_approvals = Sends(approvals.list_approvals)
    get_approval = Sends(approvals.get_approval)
    vote = Sends(approvals.vote)
    claim_approval = Sends(approvals.claim_approval)
    release_approval = Sends(approvals.release_approval)
    ask_approval = Sends(approvals.ask_approval)
    list_delegations = Sends(approvals.list_delegations)
    delegate = Sends(approvals.delegate)
    revoke_delegation = Sends(approvals.revoke_delegation)
    list_clocks = Sends(clocks.list_clocks)
    list_run_clocks = Sends(clocks.list_run_clocks)
    stop_clock = Sends(clocks.stop_clock)
    resume_clock = Sends(clocks.resume_clock)
    amend_clock = Sends(clocks.amend_clock)
    file_clock = Sends(clocks.file_clock)
    dismiss_clock = Sends(clocks.dismiss_clock)
    learn_facts = Sends(clocks.learn_facts)
    list_reassessments = Sends(clocks.list_reassessments)


class AsyncOperations(AsyncTransport):
    """Every operation of the API."""

    ready = Awaits(ready)

    start_run = Awaits(runs.start_run)
    start_runs = Awaits(runs.start_runs)
    list_runs = Awaits(runs.list_runs)
    get_run = Awaits(runs.get_run)
    explain_run = Awaits(runs.explain_run)
    list_run_events = Awaits(runs.list_run_events)
    get_run_event = Awaits(runs.get_run_event)
    cancel_run = Awaits(runs.cancel_run)
    pause_run = Awaits(runs.pause_run)
    resume_run = Awaits(runs.resume_run)
    retry_run = Awaits(runs.retry_run)
    signal_run = Awaits(runs.signal_run)
    signal_workflow = Awaits(runs.signal_workflow)
    list_step_items = Awaits(runs.list_step_items)
    resolve_step = Awaits(runs.resolve_step)
    list_unknown_steps = Awaits(runs.list_unknown_steps)
    list_workers = Awaits(runs.list_workers)

    cancel_runs = Awaits(batches.cancel_runs)
    pause_runs = Awaits(batches.pause_runs)
    resume_runs = Awaits(batches.resume_runs)
    retry_runs = Awaits(batches.retry_runs)
    list_batches = Awaits(batches.list_batches)
    get_batch = Awaits(batches.get_batch)
    list_batch_runs = Awaits(batches.list_batch_runs)

    explain_access = Awaits(access.explain_access)
    list_keys = Awaits(access.list_keys)
    make_key = Awaits(access.make_key)
    get_key = Awaits(access.get_key)
    change_key = Awaits(access.change_key)
    rotate_key = Awaits(access.rotate_key)
    revoke_key = Awaits(access.revoke_key)
    list_break_glass = Awaits(access.list_break_glass)
    ask_break_glass = Awaits(access.ask_break_glass)
    grant_break_glass = Awaits(access.grant_break_glass)
    end_break_glass = Awaits(access.end_break_glass)
    review_break_glass = Awaits(access.review_break_glass)

    list_pauses = Awaits(pauses.list_pauses)
    pause_workflow = Awaits(pauses.pause_workflow)
    resume_workflow = Awaits(pauses.resume_workflow)
    pause_lane = Awaits(pauses.pause_lane)
    resume_lane = Awaits(pauses.resume_lane)

    list_workflows = Awaits(workflows.list_workflows)
    get_workflow = Awaits(workflows.get_workflow)
    get_workflow_version = Awaits(workflows.get_workflow_version)
    publish_workflow = Awaits(workflows.publish_workflow)
    validate_workflow = Awaits(workflows.validate_workflow)
    what_if_workflow = Awaits(workflows.what_if_workflow)
    list_step_types = Awaits(workflows.list_step_types)
    get_workflow_schema = Awaits(workflows.get_workflow_schema)
    list_triggers = Awaits(workflows.list_triggers)
    get_trigger = Awaits(workflows.get_trigger)
    put_trigger = Awaits(workflows.put_trigger)
    delete_trigger = Awaits(workflows.delete_trigger)
    list_event_types = Awaits(workflows.list_event_types)
    get_event_type = Awaits(workflows.get_event_type)
    put_event_type = Awaits(workflows.put_event_type)

    send_events = Awaits(events.send_events)
    list_events = Awaits(events.list_events)
    get_event = Awaits(events.get_event)
    events_status = Awaits(events.events_status)
    replay_events = Awaits(events.replay_events)
    list_dead_letters = Awaits(events.list_dead_letters)
    get_dead_letter = Awaits(events.get_dead_letter)
    retry_dead_letter = Awaits(events.retry_dead_letter)
    discard_dead_letter = Awaits(events.discard_dead_letter)

    list_pending_starts = Awaits(events.list_pending_starts)
    get_pending_start = Awaits(events.get_pending_start)
    start_pending_start = Awaits(events.start_pending_start)
    discard_pending_start = Awaits(events.discard_pending_start)

    list_subscriptions = Awaits(outgoing.list_subscriptions)
    subscribe = Awaits(outgoing.subscribe)
    get_subscription = Awaits(outgoing.get_subscription)
    change_subscription = Awaits(outgoing.change_subscription)
    unsubscribe = Awaits(outgoing.unsubscribe)
    rotate_secret = Awaits(outgoing.rotate_secret)
    try_subscription = Awaits(outgoing.try_subscription)
    list_deliveries = Awaits(outgoing.list_deliveries)
    get_delivery = Awaits(outgoing.get_delivery)
    redeliver = Awaits(outgoing.redeliver)
    list_scaling = Awaits(outgoing.list_scaling)
    search_audit = Awaits(outgoing.search_audit)
    read_health = Awaits(pulse.read_health)
    list_anomalies = Awaits(pulse.list_anomalies)
    list_metrics = Awaits(pulse.list_metrics)
    query_metric = Awaits(pulse.query_metric)
    list_controls = Awaits(pulse.list_controls)
    get_framework = Awaits(pulse.get_framework)

    list_alerts = Awaits(alerts.list_alerts)
    acknowledge_alert = Awaits(alerts.acknowledge_alert)
    list_alert_rules = Awaits(alerts.list_alert_rules)
    put_alert_rule = Awaits(alerts.put_alert_rule)
    delete_alert_rule = Awaits(alerts.delete_alert_rule)
    backtest_alert_rule = Awaits(alerts.backtest_alert_rule)
    list_silences = Awaits(alerts.list_silences)
    add_silence = Awaits(alerts.add_silence)
    end_silence = Awaits(alerts.end_silence)
    list_errors = Awaits(errors.list_errors)
    get_error = Awaits(errors.get_error)
    resolve_error = Awaits(errors.resolve_error)
    ignore_error = Awaits(errors.ignore_error)
    reopen_error = Awaits(errors.reopen_error)
    list_alert_channels = Awaits(alerts.list_alert_channels)
    put_alert_channel = Awaits(alerts.put_alert_channel)
    delete_alert_channel = Awaits(alerts.delete_alert_channel)
    try_alert_channel = Awaits(alerts.try_alert_channel)
    read_on_call = Awaits(alerts.read_on_call)
    put_on_call = Awaits(alerts.put_on_call)
    list_shifts = Awaits(alerts.list_shifts)
    make_on_call_calendar = Awaits(alerts.make_on_call_calendar)
    add_on_call_override = Awaits(alerts.add_on_call_override)
    end_on_call_override = Awaits(alerts.end_on_call_override)

    list_schedules = Awaits(schedules.list_schedules)
    get_schedule = Awaits(schedules.get_schedule)
    put_schedule = Awaits(schedules.put_schedule)
    delete_schedule = Awaits(schedules.delete_schedule)
    preview_unstored_schedule = Awaits(schedules.preview_unstored_schedule)
    preview_schedule = Awaits(schedules.preview_schedule)
    list_scheduled_starts = Awaits(schedules.list_scheduled_starts)
    pause_schedule = Awaits(schedules.pause_schedule)
    resume_schedule = Awaits(schedules.resume_schedule)
    trigger_schedule = Awaits(schedules.trigger_schedule)
    backfill_schedule = Awaits(schedules.backfill_schedule)

    list_secrets = Awaits(secrets.list_secrets)
    get_secret = Awaits(secrets.get_secret)
    put_secret = Awaits(secrets.put_secret)
    delete_secret = Awaits(secrets.delete_secret)

    list_flags = Awaits(flags.list_flags)
    get_flag = Awaits(flags.get_flag)
    put_flag = Awaits(flags.put_flag)
    delete_flag = Awaits(flags.delete_flag)

    open_run = Awaits(privacy.open_run)
    open_event = Awaits(privacy.open_event)
    export_person = Awaits(privacy.export_person)
    erase_person = Awaits(privacy.erase_person)
    get_privacy_register = Awaits(privacy.get_privacy_register)
    list_holds = Awaits(privacy.list_holds)
    put_hold = Awaits(privacy.put_hold)
    release_hold = Awaits(privacy.release_hold)
    preview_retention = Awaits(privacy.preview_retention)
    apply_retention = Awaits(privacy.apply_retention)

    list_decision_tables = Awaits(decisions.list_decision_tables)
    get_decision_table = Awaits(decisions.get_decision_table)
    get_decision_table_version = Awaits(decisions.get_decision_table_version)
    publish_decision_table = Awaits(decisions.publish_decision_table)
    validate_decision_table = Awaits(decisions.validate_decision_table)
    analyse_decision_table = Awaits(decisions.analyse_decision_table)
    evaluate_decision_table = Awaits(decisions.evaluate_decision_table)
    what_if_decision_table = Awaits(decisions.what_if_decision_table)
    list_approvals = Awaits(approvals.list_approvals)
    get_approval = Awaits(approvals.get_approval)
    vote = Awaits(approvals.vote)
    claim_approval = Awaits(approvals.claim_approval)
    release_approval = Awaits(approvals.release_approval)
    ask_approval = Awaits(approvals.ask_approval)
    list_delegations = Awaits(approvals.list_delegations)
    delegate = Awaits(approvals.delegate)
    revoke_delegation = Awaits(approvals.revoke_delegation)
    list_clocks = Awaits(clocks.list_clocks)
    list_run_clocks = Awaits(clocks.list_run_clocks)
    stop_clock = Awaits(clocks.stop_clock)
    resume_clock = Awaits(clocks.resume_clock)
    amend_clock = Awaits(clocks.amend_clock)
    file_clock = Awaits(clocks.file_clock)
    dismiss_clock = Awaits(clocks.dismiss_clock)
    learn_facts = Awaits(clocks.learn_facts)
    list_reassessments = Awaits(clocks.list_reassessments)
