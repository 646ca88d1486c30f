"""Pages of a host on which trainers work: one for each project, and an app that loads no further pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import Context, Template
from django.urls import path

from django_opentrain.middleware import timer
from tests.urls import urlpatterns as site

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
PAGE = Template(
    '<!doctype html><html lang="en"><title>Label</title><body><h1>Invoice 17</h1>'
    '<p><label for="answer">Is it paid?</label> <input id="answer"></p>{{ tag }}</body></html>'
)
TAG = Template("{% load opentrain %}{% opentrain_timer project %}")


def work(_request: HttpRequest, project: str) -> HttpResponse:
    tag = TAG.render(Context({"project": project}))
    return HttpResponse(PAGE.render(Context({"tag": tag})), headers={"Content-Security-Policy": POLICY})


def app(request: HttpRequest, rest: str) -> HttpResponseBase:
    page = HttpResponse(PAGE.render(Context()), headers={"Content-Security-Policy": POLICY})
    # Not in MIDDLEWARE: the server of these tests is started before their settings.
    answer: HttpResponseBase = timer(lambda _request: page)(request)
    return answer


urlpatterns = [path("work/<project>/", work), path("app/<path:rest>", app), *site]
