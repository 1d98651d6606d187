"""Where things are."""

from django.contrib.auth.views import LoginView
from django.urls import include, path

from inventory import views

urlpatterns = [
    path("accounts/login/", LoginView.as_view(template_name="login.html")),
    path("devices/<int:pk>", views.device),
    path("rowhooks/", include("rowhooks.integrations.django.buttons")),
]
