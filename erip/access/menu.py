"""The admin's menu, of what the apps add to it. A line is shown to those who may see its page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

from erip.foundation.hooks import Link, menu


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sections, as Unfold's sidebar takes them."""
    sections: dict[str, list[Link]] = {}
    for added in sorted(menu.all(), key=lambda one: one.place):
        sections.setdefault(added.title, []).extend(added.links)
    return [
        {"title": title, "separator": index > 0, "items": [_item(link) for link in links]}
        for index, (title, links) in enumerate(sections.items())
    ]


def _item(link: Link) -> dict[str, Any]:
    item: dict[str, Any] = {"title": link.title, "icon": link.icon, "link": reverse_lazy(link.url)}
    if link.permission:
        item["permission"] = _holds(link.permission)
    return item


def _holds(permission: str) -> Callable[[HttpRequest], bool]:
    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return allowed
