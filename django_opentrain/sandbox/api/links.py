"""The install itself, and its project links."""

from __future__ import annotations

from django_opentrain.platform.catalog import (
    MAX_EXTERNAL_PROJECT_ID,
    MAX_EXTERNAL_PROJECT_NAME,
    MAX_EXTERNAL_PROJECT_URL,
    PARTNER_WEBHOOK,
    PROJECT_LINK_CREATED,
    PROJECT_LINK_REMOVED,
    PROVISIONING_MODES,
)
from django_opentrain.sandbox.api.routing import Call
from django_opentrain.sandbox.errors import conflict
from django_opentrain.sandbox.events import emit_link
from django_opentrain.sandbox.lookup import find_owned
from django_opentrain.sandbox.models import Job, Link, new_id
from django_opentrain.sandbox.payloads import Json, install_json, link_json


def get_install(call: Call) -> Json:
    call.query.finish()
    return {"install": install_json(call.install, call.app, call.token)}


def list_project_links(call: Call) -> Json:
    call.query.finish()
    links = reversed(call.store.owned(Link, call.install.id))
    return {"projectLinks": [link_json(link) for link in links]}


def create_project_link(call: Call) -> Json:
    call.query.finish()
    body = call.body
    external_id = body.text("externalProjectId", required=True, max_length=MAX_EXTERNAL_PROJECT_ID)
    name = body.text("externalProjectName", max_length=MAX_EXTERNAL_PROJECT_NAME)
    url = body.url("externalProjectUrl", max_length=MAX_EXTERNAL_PROJECT_URL)
    job_id = body.text("jobId")
    mode = body.text("provisioningMode", choices=PROVISIONING_MODES)
    body.finish()
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
        external_project_id=str(external_id),
        external_project_name=name,
        external_project_url=url,
        job_id=job_id,
        provisioning_mode=mode or PARTNER_WEBHOOK,
        created_at=call.store.clock.now(),
    )
    call.store.put(link)
    emit_link(call.store, call.install, link, PROJECT_LINK_CREATED)
    return {"projectLink": link_json(link)}


def get_project_link(call: Call) -> Json:
    call.query.finish()
    return {"projectLink": link_json(_link(call))}


def delete_project_link(call: Call) -> Json:
    call.query.finish()
    link = _link(call)
    call.store.remove(link)
    emit_link(call.store, call.install, link, PROJECT_LINK_REMOVED)
    return {"projectLink": link_json(link), "deleted": True}


def _link(call: Call) -> Link:
    return find_owned(call.store, Link, call.ids[0], call.install.id)
