from django.apps import AppConfig


class PeerConfig(AppConfig):
    """An app with the steps of W4, as a user's would be."""

    name = "benchmarks.peers.erip"
    label = "w4"
