from django.http import HttpRequest, HttpResponse
from django.urls import path


def answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse("added")


urlpatterns = [path("addon", answer, name="addon-page")]
