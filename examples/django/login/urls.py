"""The page, and what its script asks."""

from django.urls import path

from login import views

urlpatterns = [
    path("", views.page),
    path("call", views.call),
    path("status", views.status),
    path("sms", views.sms),
    path("check", views.check),
]
