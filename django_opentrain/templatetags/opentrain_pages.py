"""Tags and filters for our own pages. Hosts use ``{% load opentrain %}``."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.db.models import Model
from django.forms import BoundField
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_opentrain import languages, relative_time
from django_opentrain.conf import conf
from django_opentrain.explanations import reason_for_customers
from django_opentrain.models import AccessGrant, Contract, DailyUsage, WebhookEndpoint
from django_opentrain.web import customers
from django_opentrain.web.customers import parameters, with_customer
from django_opentrain.web.nonces import nonce_attribute
from django_opentrain.web.parts import home_url, is_open
from django_opentrain.web.presenters import access, budgets, endpoints
from django_opentrain.web.presenters.status import Status
from django_opentrain.web.presenters.work import hours_and_minutes
from django_opentrain.web.views import assets

register = template.Library()

_USAGE_TONES = {
    DailyUsage.Status.DUE: "wait",
    DailyUsage.Status.REPORTED: "ok",
    DailyUsage.Status.REFUSED: "bad",
    DailyUsage.Status.WITHHELD: "off",
}


@register.simple_tag
def asset(name: str) -> str:
    """The URL of one of our static files."""
    return assets.asset_url(name)


@register.simple_tag(takes_context=True)
def nonce(context: Context) -> SafeString:
    """The attribute for what a page loads, where the site's policy trusts nonces."""
    return nonce_attribute(context.get("request"))


@register.simple_tag
def page_language() -> str:
    """The language in which this page is."""
    return languages.current()


@register.filter
def is_rtl(language: str) -> bool:
    """Whether this language is written from right to left."""
    return language.partition("-")[0] in settings.LANGUAGES_BIDI


@register.simple_tag(takes_context=True)
def customer_url(context: Context, view_name: str, **query: object) -> str:
    """The URL of one of the customer's pages, for the customer for whom this page acts."""
    url = home_url() if view_name == "opentrain:home" else reverse(view_name)
    return with_customer(context["request"], url, **query)


@register.simple_tag(takes_context=True)
def customer_field(context: Context) -> SafeString:
    """The same for a form: a hidden field, where there is something to say."""
    pairs = parameters(context["request"]).items()
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', pairs)


@register.filter
def are_open(part: str) -> bool:
    """Whether these pages are open on this site."""
    return is_open(part)


@register.filter
def manages(request: HttpRequest) -> bool:
    """Whether this page's user may act, or only look."""
    return customers.manages(request)


@register.simple_tag
def opentrain_url() -> str:
    """Where the customer goes on OpenTrain."""
    return conf.base_url


@register.filter
def described(field: BoundField) -> str:
    """A field that announces its help and errors to screen readers, as Django does itself from 5.2 on."""
    parts = [("helptext", field.help_text), ("error", field.errors)]
    ids = [f"{field.auto_id}_{name}" for name, content in parts if content]
    attributes: dict[str, str | bool] = {"aria-describedby": " ".join(ids)} if ids else {}
    return field.as_widget(attrs={**attributes, "aria-invalid": "true"} if field.errors else attributes)


@register.simple_tag
def public_url() -> str:
    """The site's own origin: the way back to the host's pages."""
    return conf.public_url


@register.filter
def host(url: str) -> str:
    """The host of a URL, by which people know a site."""
    return urlsplit(url).netloc


@register.filter
def job(contract: Contract) -> str:
    """What the contract's job is called."""
    return contract.title or _("Untitled job")


@register.filter
def trainer_and_job(contract: Contract) -> str:
    """A contract as customers know it: who was hired, and for what."""
    return f"{contract.trainer} · {job(contract)}" if contract.trainer else job(contract)


@register.filter
def budget(contract: Contract) -> budgets.BudgetStatus:
    """A contract's budget in words."""
    return budgets.describe(contract)


@register.filter
def budget_left(contract: Contract) -> str:
    """What is left of a contract's budget."""
    return budgets.left(contract)


@register.filter
def access_state(grant: AccessGrant) -> Status:
    """The status of a trainer's access."""
    return access.describe(grant)


@register.filter
def login_state(grant: AccessGrant) -> Status | None:
    """How far a trainer's first login is; None where none is waited for."""
    return access.describe_login(grant)


@register.filter
def endpoint_state(endpoint: WebhookEndpoint) -> Status:
    """The status of a webhook endpoint."""
    return endpoints.describe(endpoint)


@register.filter
def reason(row: Model, column: str) -> str:
    """What this column of a row says went wrong, as far as it is for a customer."""
    return reason_for_customers(row, column)


@register.filter
def usage_tone(entry: DailyUsage) -> str:
    """The tone of an entry's status."""
    return _USAGE_TONES[DailyUsage.Status(entry.status)]


@register.filter
def web_url(url: str) -> str:
    """A URL that OpenTrain sent; "" unless it is http(s). It could be ``javascript:…``."""
    return url if url.startswith(("https://", "http://")) else ""


@register.filter
def age(moment: datetime) -> str:
    """How long ago a moment was."""
    return relative_time.age(moment)


@register.filter
def hours(seconds: int | None) -> str:
    """A duration as hours and minutes: ``3:07``."""
    return "" if seconds is None else hours_and_minutes(seconds)


@register.filter
def clock(time: timedelta) -> str:
    """A duration to the second: ``0:04:37``."""
    seconds = int(abs(time).total_seconds())
    sign = "\u2212" if time < timedelta(0) and seconds else ""
    return f"{sign}{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


@register.filter
def grouped(count: int | None) -> str:
    """A count that is easy to read; "" for none at all, which isn't zero."""
    return "" if count is None else number_format(count, force_grouping=True)
