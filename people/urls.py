"""The addresses of approvals under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from people.api import views


class ApprovalNumber(IntConverter):
    """The id of an approval or a delegation in an address."""

    regex = "[1-9][0-9]{0,17}"  # eighteen digits stay within PostgreSQL's bigint


register_converter(ApprovalNumber, "approval")

urlpatterns = [
    path("approvals", views.Approvals.as_view()),
    path("approvals/<approval:number>", views.ApprovalOne.as_view()),
    path("approvals/<approval:number>/votes", views.ApprovalVotes.as_view()),
    path("approvals/<approval:number>/claim", views.ApprovalClaim.as_view()),
    path("approvals/<approval:number>/questions", views.ApprovalQuestions.as_view()),
    path("delegations", views.Delegations.as_view()),
    path("delegations/<approval:number>", views.DelegationOne.as_view()),
]
