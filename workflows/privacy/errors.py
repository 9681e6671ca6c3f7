"""What can go wrong with sensitive data, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class PrivacyError(WorkflowsError):
    """Something about sensitive data went wrong."""

    code = "privacy_error"


class UnknownSubject(PrivacyError):
    """No run is about this person: nothing is sealed with a key of theirs."""

    code = "unknown_subject"
    status = 404


class DataErased(PrivacyError):
    """The data was erased: its key was destroyed, and nobody can read it any more."""

    code = "data_erased"
    status = 410


class HeldForLaw(PrivacyError):
    """A legal hold keeps this person's data. Lift the hold first."""

    code = "held_for_law"
    status = 409


class AlreadyHeld(PrivacyError):
    """There is a legal hold on this person's data already."""

    code = "already_held"
    status = 409


class NotHeld(PrivacyError):
    """There is no such legal hold in force."""

    code = "not_held"
    status = 409


class UnknownHold(PrivacyError):
    """There is no legal hold of that number."""

    code = "unknown_hold"
    status = 404


class UnknownErasure(PrivacyError):
    """There is no erasure of that number."""

    code = "unknown_erasure"
    status = 404
