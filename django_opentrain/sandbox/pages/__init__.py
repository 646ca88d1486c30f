"""The sandbox's pages: consent, control, and their stylesheet."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote

from django_opentrain.sandbox import control
from django_opentrain.sandbox.errors import ApiError
from django_opentrain.sandbox.http import Request, Response
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.pages import consent, trainer
from django_opentrain.sandbox.pages.dashboard import dashboard
from django_opentrain.sandbox.pages.layout import STYLESHEET, error_page, redirect

STYLESHEET_FILE = Path(__file__).parent.parent / "assets" / "sandbox.css"
FORM_PATH = "/control/"


def handle(market: Marketplace, request: Request) -> Response:
    """A page, the stylesheet, or what a button does; 404 for anything else."""
    found = consent.PATH.fullmatch(request.path)
    reading = request.method in {"GET", "HEAD"}
    if not (reading or request.method == "POST"):
        raise ApiError("BAD_REQUEST", "Use GET or POST", status=405, headers={"Allow": "GET, POST"})
    if found is not None:
        return consent.consent_page(market, unquote(found[1]), request)
    profile = trainer.PATH.fullmatch(request.path)
    if profile is not None and reading:
        return trainer.profile_page(market.store, unquote(profile[1]))
    if request.path == "/" and reading:
        return dashboard(market)
    if request.path == STYLESHEET and reading:
        headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "max-age=60"}
        return Response(status=200, headers=headers, body=STYLESHEET_FILE.read_bytes())
    if request.path.startswith(FORM_PATH) and not reading:
        return _submit(market, request)
    return error_page(404, "Not found", "There is no such page.")


def _submit(market: Marketplace, request: Request) -> Response:
    """Do one of the control API's verbs from a form, and go back to where it stood."""
    form = dict(parse_qsl(request.body.decode("utf-8", errors="replace")))
    try:
        control.run_form(market, request.path[len(FORM_PATH) :], form)
    except ApiError as error:
        return dashboard(market, problem=error.message, status=error.status)
    section = dict(parse_qsl(request.query)).get("section", "")
    return redirect("/#" + "".join(each for each in section if each.isalpha()))
