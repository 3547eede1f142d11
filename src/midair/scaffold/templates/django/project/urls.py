from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path
from pages import views

urlpatterns = [
    path("", views.welcome),
    path("health", views.health),
    *staticfiles_urlpatterns(),  # with DEBUG only: in production a proxy or WhiteNoise serves `collected`
]
