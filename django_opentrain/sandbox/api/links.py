"""The install itself, and its project links."""

from __future__ import annotations

from django_opentrain.platform.catalog import PARTNER_WEBHOOK, PROJECT_LINK_CREATED, PROJECT_LINK_REMOVED
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.errors import conflict
from django_opentrain.sandbox.events import emit, link_content
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Job, Link, new_id
from django_opentrain.sandbox.payloads import Json, install_json, link_json


def get_install(call: Call) -> Json:
    return {"install": install_json(call.install, call.app, call.token)}


def list_project_links(call: Call) -> Json:
    links = reversed(call.store.owned(Link, call.install.id))
    return {"projectLinks": [link_json(link) for link in links]}


def create_project_link(call: Call) -> Json:
    external_id, job_id = call.body["externalProjectId"], call.body.get("jobId")
    if job_id is not None:
        find_owned(call.store, Job, job_id, call.install.organization_id)
    links = call.store.owned(Link, call.install.id)
    if any(link.external_project_id == external_id for link in links):
        raise conflict("This project is linked already")
    if len(links) >= call.app.link_limit:
        raise conflict(f"An install has at most {call.app.link_limit} project links")
    link = Link(
        id=new_id("lnk"),
        install_id=call.install.id,
        external_project_id=external_id,
        external_project_name=call.body.get("externalProjectName"),
        external_project_url=call.body.get("externalProjectUrl"),
        job_id=job_id,
        provisioning_mode=call.body.get("provisioningMode", PARTNER_WEBHOOK),
        created_at=call.store.clock.now(),
    )
    call.store.put(link)
    emit(call.store, call.install, PROJECT_LINK_CREATED, link_content(link))
    return {"projectLink": link_json(link)}


def get_project_link(call: Call) -> Json:
    return {"projectLink": link_json(_link(call))}


def delete_project_link(call: Call) -> Json:
    link = _link(call)
    call.store.remove(link)
    emit(call.store, call.install, PROJECT_LINK_REMOVED, link_content(link))
    return {"projectLink": link_json(link), "deleted": True}


def _link(call: Call) -> Link:
    return find_owned(call.store, Link, call.ids[0], call.install.id)
