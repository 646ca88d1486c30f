"""The first login of a trainer: they follow the link that was sent to them, and choose a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_safe

from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.view_decorators import open_to_anonymous
from django_opentrain.web.decorators import login_url, protected


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

    def get_success_url(self) -> str:
        """To the page that leads on to the project."""
        url = _project_url(self.user)
        return f"{self.success_url}?{urlencode({'next': url})}" if url else str(self.success_url)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With the login page, for a link that was used."""
        return super().get_context_data(login_url=login_url(), **kwargs)


def _project_url(user: Any) -> str:
    """The page of the project for which this trainer was hired; "" if it is unknown, or there are several."""
    trainer = user.opentrain_account.opentrain_user_id
    granted = AccessGrant.objects.wanted().filter(participant__opentrain_user_id=trainer)
    urls = set(granted.values_list("link__external_project_url", flat=True))
    return urls.pop() if len(urls) == 1 else ""


set_password = open_to_anonymous(protected(SetPasswordView.as_view()))


@open_to_anonymous
@protected
@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """The password is set: a link to the login page, and from there to a page of this site."""
    url = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure())
    context = {"login_url": login_url(url if is_ours else "")}
    return render(request, "opentrain/set_password_done.html", context)
