"""The customer's forms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from django_opentrain.adapters import Project
from django_opentrain.crypto import SecretStr
from django_opentrain.models import ProjectLink
from django_opentrain.services.connect import MAX_TOKEN
from django_opentrain.services.linking.jobs import MAX_JOB


def _day_widget() -> forms.DateInput:
    """The browser's own field for days, which takes and sends ISO dates in every language."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class TokenForm(forms.Form):
    """The one-time token. It is never rendered back into the page, and browsers are asked not to save it."""

    token = forms.CharField(
        label=_("Token"),
        max_length=MAX_TOKEN,
        widget=forms.PasswordInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "placeholder": "ot_ptk_…",
                # Password managers offer to save what looks like a password.
                "data-1p-ignore": "",
                "data-lpignore": "true",
                "data-bwignore": "",
            },
        ),
        error_messages={"required": _("Paste the token that OpenTrain shows you.")},
    )

    def clean_token(self) -> SecretStr:
        return SecretStr(self.cleaned_data["token"])


class LinkForm(forms.Form):
    """A project of the customer's and the OpenTrain job whose trainers work in it."""

    project = forms.ChoiceField(label=_("Project"))
    job_id = forms.CharField(
        label=_("OpenTrain job"),
        max_length=MAX_JOB,
        required=False,
        help_text=_(
            "The URL of the job's page on OpenTrain, or its id. You can leave it empty and choose the job there."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    provisioning_mode = forms.ChoiceField(
        label=_("Who gives trainers their access"),
        choices=[
            (
                ProjectLink.ProvisioningMode.PARTNER_WEBHOOK,
                _("This site, when a contract starts (recommended)"),
            ),
            (ProjectLink.ProvisioningMode.MANAGED_ADAPTER, _("OpenTrain itself")),
        ],
        initial=ProjectLink.ProvisioningMode.PARTNER_WEBHOOK,
    )

    def __init__(self, projects: Iterable[Project], data: object = None, **kwargs: object) -> None:
        super().__init__(data, **kwargs)  # type: ignore[arg-type] # Form's own, unnamed here
        choices = [(project.id, project.name or project.id) for project in projects]
        self.fields["project"].choices = [("", _("Choose a project")), *choices]  # type: ignore[attr-defined] # a ChoiceField


class LinkSettingsForm(forms.Form):
    """What the customer decides about a link."""

    hours_tracked_elsewhere = forms.BooleanField(
        label=_("Hours are tracked elsewhere: report only tasks and labels"),
        required=False,
        help_text=_(
            "Choose this if trainers record their hours with OpenTrain's Time Tracker, so that no hour is paid twice."
            " It counts for every contract of this project's job. Hours that are collected here stay on this site."
            " Once you switch it off, hours are reported from the next day on."
        ),
    )
    stop_when_depleted = forms.BooleanField(
        label=_("Stop work when the budget is used up"),
        required=False,
        help_text=_(
            "Trainers have no access to this project while the budget of their contract is used up. They get it back"
            " automatically when you fund the contract again."
        ),
    )
    report_withheld_hours = forms.BooleanField(
        label=_("Also report the hours that were not reported until now"),
        required=False,
        help_text=_(
            "Only once hours are no longer tracked elsewhere, and only if they were not: else they may be paid twice."
        ),
    )


class PeriodForm(forms.Form):
    """From one day to another, both included."""

    since = forms.DateField(label=_("From"), input_formats=["%Y-%m-%d"], widget=_day_widget())
    until = forms.DateField(label=_("Until"), input_formats=["%Y-%m-%d"], widget=_day_widget())

    def clean(self) -> dict[str, Any]:
        days: dict[str, Any] = self.cleaned_data
        if len(days) == 2 and days["since"] > days["until"]:
            self.add_error("until", _("This day is before the first."))
        return days
