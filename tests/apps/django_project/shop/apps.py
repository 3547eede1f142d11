"""Runs a query when Django is set up, as many projects do by accident."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("create table if not exists visits (at integer)")
            cursor.execute("select count(*) from visits")
