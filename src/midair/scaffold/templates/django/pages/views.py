"""Change GREETING and save: the page in the browser shows it."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

GREETING = "Hello from Django"


def welcome(request: HttpRequest) -> HttpResponse:
    return render(request, "index.html", {"greeting": GREETING})


def health(request: HttpRequest) -> JsonResponse:
    """midair asks here before a new version serves anybody."""
    return JsonResponse({"status": "ok"})
