"""The addresses that chats send to, under /chat/."""

from django.urls import path

from people.chats import views

app_name = "chat"
urlpatterns = [
    path("slack", views.of_slack, name="slack"),
    path("teams", views.of_teams, name="teams"),
]
