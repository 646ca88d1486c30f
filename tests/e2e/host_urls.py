"""A page of a host whose policy lets forms go to its own origin only."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import RequestContext, Template
from django.urls import path

from django_opentrain.adapters import conf
from tests.urls import urlpatterns as site

PAGE = Template(
    """<!doctype html><html lang="en"><title>Project</title><body><h1>Invoices</h1>
<form method="post" action="{% url 'opentrain:connect' %}">{% csrf_token %}
<input type="hidden" name="next" value="{{ request.path }}"><button>Hire AI trainers</button></form></body></html>"""
)
POLICY = "default-src 'none'; form-action 'self'"


def project(request: HttpRequest, _pk: int) -> HttpResponse:
    return HttpResponse(PAGE.render(RequestContext(request)), headers={"Content-Security-Policy": POLICY})


def redirects(_request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(f"{conf.base_url}/integrations/annotation-demo/connect")


urlpatterns = [path("projects/<int:_pk>/", project), path("redirects/", redirects), *site]
