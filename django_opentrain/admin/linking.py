"""The form with which an operator links a customer's project to a job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from django_opentrain.adapters import Project, get_adapter
from django_opentrain.admin import history, looks, services
from django_opentrain.admin.customers import customer_name
from django_opentrain.errors import EXPECTED
from django_opentrain.models import Install, ProjectLink
from django_opentrain.platform.redaction import mask
from django_opentrain.web.forms import LinkForm

if TYPE_CHECKING:
    from django_opentrain.admin.base import OpenTrainAdmin

logger = logging.getLogger(__name__)


def link_project(model_admin: OpenTrainAdmin, request: HttpRequest, install: Install) -> HttpResponse:
    """The form, and what it does: the same as the customer's page."""
    projects, problem = _projects(install)
    form = LinkForm(projects, request.POST if request.method == "POST" else None)
    if problem:
        messages.error(request, problem)
    if form.is_bound and form.is_valid() and (made := _link(install, form)):
        history.record(request, [made], _("Linked."))
        pending = made.status == ProjectLink.Status.PENDING
        messages.success(
            request, _("OpenTrain didn't answer yet; workers complete the link.") if pending else _("Linked.")
        )
        opts = model_admin.opts
        view = f"admin:{opts.app_label}_{opts.model_name}_change"
        return HttpResponseRedirect(reverse(view, args=[made.pk], current_app=model_admin.admin_site.name))
    looks.dress(form)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Link a project of %(customer)s") % {"customer": customer_name(install.tenant)},
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, looks.template("link_project.html"), context)


def _projects(install: Install) -> tuple[list[Project], str]:
    """The customer's projects that can be chosen; else why there are none."""
    try:
        return list(get_adapter().list_projects(install.tenant)), ""
    except Exception:  # host code
        logger.exception("The adapter's list_projects failed.")
        return [], _("This site's adapter can't list the customer's projects; the log says why.")


def _link(install: Install, form: LinkForm) -> ProjectLink | None:
    """The link; without it the form says why."""
    values = form.cleaned_data
    try:
        return services.linking.link(
            install,
            values["project"],
            job_id=values["job_id"] or None,
            provisioning_mode=values["provisioning_mode"],
        )
    except EXPECTED as error:
        form.add_error(None, mask(str(error)))
    except Exception:  # host code: the project is asked for once more
        logger.exception("A project could not be linked.")
        form.add_error(None, _("This site's adapter failed; the log says why."))
    return None
