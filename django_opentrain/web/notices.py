"""Notices: what was done, shown on the next page.

A code in that page's URL says it: ``django.contrib.messages`` may not be installed, and a session may be a readable
cookie. The codes are a closed list, so that a forged link can't put text into the page.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_opentrain.web.parts import home_url

DONE: Final[dict[str, Promise]] = {
    "connected": _("Connected to OpenTrain."),
    "disconnected": _(
        "Disconnected. The trainers you hired lose their access now. To end the connection on OpenTrain's side too,"
        " remove this site in your OpenTrain settings."
    ),
    "verified": _("OpenTrain confirms this connection."),
    "linked": _("The project is linked. Trainers you hire for its job get access automatically."),
    "link-pending": _(
        "OpenTrain hasn't confirmed the link yet. It will be completed automatically; you don't have to"
        " do anything."
    ),
    "unlinked": _("The project is unlinked, and the access that came with the link ends now."),
    "unlink-pending": _(
        "The access that came with the link ends now. OpenTrain couldn't be notified yet; this will be"
        " retried automatically."
    ),
    "link-changed": _("The settings are saved."),
    "recovered": _("Notifications are enabled again. What was missed is being fetched."),
    "rotated": _(
        "Notifications have a new secret. The old one is accepted until its last deliveries have arrived."
    ),
    "rotated-compromised": _(
        "Notifications have a new secret, and the old one is refused. What is lost with it is being fetched."
    ),
    "retried": _("It is being retried now. Reload the page in a moment to see the result."),
    "given-again": _("Access is being given again. Reload the page in a moment to see the result."),
    "account-used": _(
        "The account is the trainer's now, and access is being given with it. Reload the page in a moment to see the"
        " result."
    ),
    "invited": _("The link for the first login was sent to the trainer's Work Email."),
    "objected": _(
        "Your objection is stored. Your customer and this site's administrators see it beside this day."
    ),
    "objection-withdrawn": _("Your objection is withdrawn."),
    "objection-answered": _("The objection is answered and closed. The trainer reads your answer."),
    "removals-confirmed": _("Confirmed. Access is being revoked."),
}


def notice(request: HttpRequest) -> Promise | None:
    """The text for this page's notice; None when there is none."""
    return DONE.get(request.GET.get("done", ""))


def redirect_with_notice(done: str, to: str | None = None, **parameters: str | int) -> HttpResponse:
    """Redirect to a page (by default the home page) that shows the notice ``done``."""
    query = urlencode({"done": done, **parameters})
    return HttpResponseRedirect(f"{to or home_url()}?{query}")
