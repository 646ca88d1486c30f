"""Finding things by id, with the 404 that says what wasn't found, and sensible defaults."""

from __future__ import annotations

from typing import TypeVar

from django_opentrain.platform.catalog import INSTALL_ACTIVE
from django_opentrain.sandbox.errors import ApiError, not_found
from django_opentrain.sandbox.models import Entity, Install, Job, Link, Organization
from django_opentrain.sandbox.store import Store

E = TypeVar("E", bound=Entity)


def find(store: Store, kind: type[E], key: str | None) -> E:
    """The entity with that key; 404 otherwise."""
    entity = store.get(kind, key)
    if entity is None:
        raise _missing(kind)
    return entity


def find_owned(store: Store, kind: type[E], key: str, owner: str) -> E:
    """The entity with that key among those of ``owner``; 404 otherwise, also for one of another owner."""
    entity = store.get(kind, key)
    if entity is None or entity.owner != owner:
        raise _missing(kind)
    return entity


def default_organization(store: Store, key: str | None = None) -> Organization:
    """The organization with that id, or the first one."""
    return find(store, Organization, key) if key else store.all(Organization)[0]


def default_job(store: Store, key: str | None = None) -> Job:
    """The job with that id, or the one linked last by an active install, or the first one."""
    if key:
        return find(store, Job, key)
    for link in reversed(store.all(Link)):
        install = store.get(Install, link.install_id)
        job = store.get(Job, link.job_id)
        if job is not None and install is not None and install.status == INSTALL_ACTIVE:
            return job
    return store.all(Job)[0]


def default_install(store: Store, key: str | None = None) -> Install:
    """The install with that id, or the newest active one; 404 when there is none."""
    if key:
        return find(store, Install, key)
    active = [each for each in store.all(Install) if each.status == INSTALL_ACTIVE]
    if not active:
        raise not_found("No install is active: approve one first")
    return active[-1]


def _missing(kind: type[Entity]) -> ApiError:
    return not_found(f"{kind.__name__} not found")
