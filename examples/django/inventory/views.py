"""The pages, and who somebody is to PostgreSQL."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from inventory.models import Device


def role_of(request: HttpRequest) -> str | None:
    """Return the PostgreSQL role of a request's user. Here it has the user's name."""
    return request.user.get_username() if request.user.is_authenticated else None


@login_required
def device(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a device and its buttons."""
    return render(request, "device.html", {"device": get_object_or_404(Device, pk=pk)})


def policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let nothing into the pages but our own scripts."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'"
        )
        return response

    return answer
