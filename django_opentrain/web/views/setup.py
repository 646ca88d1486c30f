"""What a customer sees after they pasted the token: a page that reloads itself until the connection is set up.

By the header ``Refresh``, which needs no script: a few times, and only while the page has no form that a reload would
empty.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.models import Install
from django_opentrain.services.connect import local_url
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.connection import missing_permissions

#: Says in the URL which reload is next.
PARAMETER: Final = "setup"
#: The seconds before each reload: less than a minute in all.
WAITS: Final = (2, 2, 3, 5, 8, 13, 21)
_NUMBERS: Final = {str(number): number for number in range(1, len(WAITS) + 1)}


def page(request: HttpRequest, install: Install | None) -> HttpResponse | None:
    """The page that reloads itself; None where that isn't asked for, is no help, or has been done often enough."""
    number = _NUMBERS.get(request.GET.get(PARAMETER, ""))
    if number is None or install is None or not install.is_being_set_up or missing_permissions(install):
        return None
    query = request.GET.copy()
    query[PARAMETER] = str(number + 1)
    following = f"{request.path}?{query.urlencode()}"
    del query[PARAMETER]
    context = {
        "whole": f"{request.path}?{query.urlencode()}",
        "notice": notice(request),
        "next_url": local_url(request.GET.get("next")),
    }
    response = render(request, "opentrain/setting_up.html", context)
    response["Refresh"] = f"{WAITS[number - 1]}; url={following}"
    return response
