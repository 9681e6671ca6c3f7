"""Mounted at /console/ by the project."""

from django.urls import path

from console.assets import asset
from console.pages import choose_theme
from console.views import alerts, capacity, health, home, metrics

app_name = "console"
urlpatterns = [
    path("", home.home, name="home"),
    path("health", health.health, name="health"),
    path("metrics", metrics.metrics, name="metrics"),
    path("capacity", capacity.capacity, name="capacity"),
    path("alerts", alerts.alerts, name="alerts"),
    path("alerts/rules", alerts.rules, name="rules"),
    path("alerts/silence", alerts.new_silence, name="new-silence"),
    path("alerts/silences", alerts.silence, name="silence"),
    path("alerts/silences/<alert_number:number>/end", alerts.end_silence, name="end-silence"),
    path("alerts/<alert_number:number>", alerts.alert, name="alert"),
    path("alerts/<alert_number:number>/acknowledge", alerts.acknowledge, name="acknowledge"),
    path("theme", choose_theme, name="theme"),
    path("assets/<str:digest>/<str:name>", asset, name="asset"),
]
