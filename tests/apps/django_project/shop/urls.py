"""The same answers from Django; ``/query`` uses the database."""

import os
import time

from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path

from shop import VERSION


def about(request):
    return JsonResponse({"version": VERSION, "pid": os.getpid(), "generation": os.environ.get("MIDAIR_GENERATION")})


def slow(request):
    time.sleep(float(request.GET.get("s", "2")))
    return about(request)


def echo(request):
    return HttpResponse(request.body, headers={"X-Version": VERSION})


def query(request):
    with connection.cursor() as cursor:
        cursor.execute("insert into visits values (1)")
    return about(request)


urlpatterns = [
    path("", about),
    path("health", about),
    path("slow", slow),
    path("echo", echo),
    path("query", query),
]
