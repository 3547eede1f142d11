"""Two pages, one of them for midair."""

import os

from django.http import JsonResponse
from django.urls import path

from shop import VERSION


def welcome(request):
    return JsonResponse({"version": VERSION, "worker": os.getpid()})


def health(request):
    return JsonResponse({"status": "ok"})


urlpatterns = [path("", welcome), path("health", health)]
