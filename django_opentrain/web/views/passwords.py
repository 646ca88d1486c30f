"""The first login of a trainer: they follow the link that was sent to them, and choose a password."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe

from django_opentrain.models import TrainerAccount
from django_opentrain.view_decorators import open_to_anonymous
from django_opentrain.web.decorators import protected


class SetPasswordView(PasswordResetConfirmView):
    """Django's own page for a password reset, for accounts of trainers who have access."""

    template_name = "opentrain/set_password.html"
    success_url = reverse_lazy("opentrain:set-password-done")

    def get_user(self, uidb64: str) -> Any:
        """The trainer's account; None, as for an invalid link, for any other user and once access has ended."""
        user: AbstractBaseUser | None = super().get_user(uidb64)
        if user is None or not user.is_active or not TrainerAccount.objects.filter(user_id=user.pk).exists():
            return None
        return user


set_password = open_to_anonymous(protected(SetPasswordView.as_view()))


@open_to_anonymous
@protected
@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """The password is set: a link to the login page."""
    return render(request, "opentrain/set_password_done.html", {"login_url": resolve_url(settings.LOGIN_URL)})
