"""Label Studio: a trainer's work is what they save, skip, draft and delete in requests of their own.

The rows say how things stand: anyone may edit them, name another author, import them again. So each save and deletion
is observed when it happens: who made the request, and what this action has changed. What Label Studio creates in bulk
(imports, annotations from predictions) sends no signal: no person made it here. Nothing of it is imported before it
runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timezone as tz
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db.models.signals import post_delete, post_init, post_save
from django.utils.module_loading import import_string

from django_opentrain.models import WorkEntry
from django_opentrain.observers.guard import harmless
from django_opentrain.services import work

Kind = WorkEntry.Kind

#: With this Label Studio deletes projects and organizations.
_DISCONNECTED: Final = "core.utils.common.temporary_disconnect_all_signals"
_CURRENT_REQUEST: Final = "core.current_request.get_current_request"
#: What an instance was loaded with, or last saved with.
_SEEN: Final = "_opentrain_seen"
#: A deferred column: it is not fetched.
_UNKNOWN: Final = object()
#: It makes a draft that has the time of the annotation that it was.
_CONVERSION: Final = "tasks:api-annotations:annotation-convert-to-draft"


def connect() -> None:
    """Observe annotations and drafts in this process, if it is one of Label Studio's.

    While it deletes a project, it takes the receivers of all signals away, in all threads, and leaves the signals
    remembering that there are none. Ours stay.
    """
    if not apps.is_installed("organizations"):
        return
    disconnected = import_string(_DISCONNECTED)
    for signal in (post_init, post_save, post_delete):
        _connect(signal)
    disconnect, reconnect = disconnected.disconnect, disconnected.reconnect

    def disconnect_others(self: Any, signal: Any) -> None:
        disconnect(self, signal)
        # Not to deletions: Django would load all columns of what is deleted with a project.
        if signal in (post_init, post_save):
            _connect(signal)

    def reconnect_all(self: Any, signal: Any) -> None:
        reconnect(self, signal)
        getattr(signal, "sender_receivers_cache", {}).clear()
        _connect(signal)

    disconnected.disconnect, disconnected.reconnect = disconnect_others, reconnect_all


def _connect(signal: Any) -> None:
    """Once, however often it is called; it makes the signal forget which receivers there were."""
    for name, receiver in _RECEIVERS.get(signal, ()):
        uid = f"opentrain {receiver.__name__}"
        signal.connect(receiver, sender=apps.get_model(name), dispatch_uid=uid)


class _State(NamedTuple):
    """What counts of a row. Any of it may be unknown."""

    lead_time: Any
    #: As it was loaded: a list that an edit replaces.
    result: Any
    was_cancelled: Any

    @classmethod
    def of(cls, instance: Any) -> _State:
        return cls(*(instance.__dict__.get(name, _UNKNOWN) for name in cls._fields))

    @property
    def seconds(self) -> float:
        """The time that the browser, or any client, says all of the work on the row took."""
        known = self.lead_time is not _UNKNOWN and self.lead_time is not None
        seconds = float(self.lead_time or 0) if known else 0.0
        # NaN is not greater.
        return seconds if seconds > 0 else 0.0

    @property
    def labels(self) -> int:
        """As Label Studio counts them. Not its ``result_count``, which is 0 for what was imported."""
        known = self.result if isinstance(self.result, list) else []
        return len({str(each.get("id")) for each in known if isinstance(each, dict)})

    def seconds_since(self, before: _State, *, continued: bool = True) -> float:
        """The time of one action: of one that was not ``continued``, all of it, as of one that is smaller now."""
        if _UNKNOWN in (self.lead_time, before.lead_time) or self.lead_time == before.lead_time:
            return 0.0
        more = self.seconds - before.seconds
        return more if continued and more >= 0 else self.seconds

    def labels_since(self, before: _State) -> int:
        """How many labels one action has added; negative for those that it has removed."""
        return 0 if _UNKNOWN in (self.result, before.result) else self.labels - before.labels


_NOTHING_SEEN: Final = _State(_UNKNOWN, _UNKNOWN, _UNKNOWN)


def _remember(instance: Any, **_signal: Any) -> None:
    instance.__dict__[_SEEN] = _State.of(instance)


def _changes(instance: Any) -> tuple[_State, _State]:
    """What the row had before this save, and has now."""
    before, now = instance.__dict__.get(_SEEN, _NOTHING_SEEN), _State.of(instance)
    instance.__dict__[_SEEN] = now
    return before, now


@harmless
def _annotation_saved(instance: Any, *, created: bool, raw: bool, **_signal: Any) -> None:
    before, now = _changes(instance)
    user = _acting_user()
    if raw or user is None:
        return
    if created:
        _completed(user, instance, now, now.seconds)
        return
    # Who made it is in the ledger: the row's author can be changed.
    added = 0 if now.was_cancelled is True else now.labels_since(before)
    change = work.Change(added, labels=now.labels)
    if before.was_cancelled is (not now.was_cancelled):
        # The editor begins anew after a skip.
        seconds = now.seconds_since(before, continued=now.was_cancelled is True)
        _completed(user, instance, now, seconds, change)
    else:
        _edited(user, instance, now, now.seconds_since(before), change)


def _completed(
    user: Any, annotation: Any, now: _State, seconds: float, change: work.Change | None = None
) -> None:
    """Submitted or skipped. What is skipped now is no task, and was one if it was submitted before."""
    if now.was_cancelled is True:
        kind, tasks, labels = Kind.SKIPPED, work.TAKE_BACK, work.TAKE_BACK
    else:
        kind, tasks, labels = Kind.SUBMITTED, 1, now.labels
    _observe(user, annotation, kind, seconds=seconds, tasks=tasks, labels=labels, change=change)


def _edited(user: Any, annotation: Any, now: _State, seconds: float, change: work.Change) -> None:
    if not seconds and not change.added:
        return  # another column, such as the author
    kind = Kind.SKIPPED if now.was_cancelled is True else Kind.UPDATED
    _observe(user, annotation, kind, seconds=seconds, labels=change.added, change=change)


@harmless
def _draft_saved(instance: Any, *, created: bool, raw: bool, **_signal: Any) -> None:
    """The time in a draft isn't in the annotation that is made of it."""
    before, now = _changes(instance)
    user = _acting_user()
    if raw or user is None:
        return
    # The first draft of an annotation begins with that one's time, which may be another's.
    other_time = instance.annotation_id is not None or _is_conversion()
    first = 0.0 if other_time else now.seconds
    seconds = first if created else now.seconds_since(before)
    if seconds:
        _observe(user, instance, Kind.DRAFTED, seconds=seconds)


@harmless
def _annotation_deleted(instance: Any, origin: Any, **_signal: Any) -> None:
    """The trainer's own deletion takes back what it had brought them; another's changes nothing of it.

    Where annotations go with their tasks or project, which no trainer deletes, not each of them is looked at.
    """
    if getattr(origin, "model", type(origin)) is not type(instance):
        return
    user = _acting_user()
    if user is not None:
        _observe(user, instance, Kind.DELETED, tasks=work.TAKE_BACK, labels=work.TAKE_BACK)
    work.note_removal(_project_of(instance), _name_of(instance))


_RECEIVERS: Final[Mapping[Any, Sequence[tuple[str, Callable[..., None]]]]] = {
    post_init: [("tasks.Annotation", _remember), ("tasks.AnnotationDraft", _remember)],
    post_save: [("tasks.Annotation", _annotation_saved), ("tasks.AnnotationDraft", _draft_saved)],
    post_delete: [("tasks.Annotation", _annotation_deleted)],
}

# ----------------------------------------------------------------------------------------------


def _acting_user() -> Any:
    """Who makes the current request, as Label Studio knows it; None where there is none, or no one has signed in."""
    request = _request()
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def _request() -> Any:
    return import_string(_CURRENT_REQUEST)()


def _is_conversion() -> bool:
    match = getattr(_request(), "resolver_match", None)
    return match is not None and match.view_name == _CONVERSION


def _observe(user: Any, instance: Any, kind: str, **amounts: Any) -> bool:
    names: dict[str, Any] = {"object_id": _name_of(instance), "task_id": _name_of(instance.task)}
    return work.observe(user, _project_of(instance), kind, **names, **amounts)


def _project_of(instance: Any) -> Any:
    """A draft has its task's, which is loaded when it is saved."""
    project = instance.__dict__.get("project_id")
    return getattr(instance.task, "project_id", "") if project is None else project


def _name_of(instance: Any) -> str:
    """With its time, since SQLite uses the ids of deleted rows again; "" if that isn't loaded."""
    created_at = instance.__dict__.get("created_at")
    if created_at is None:
        return ""
    return f"{instance._meta.model_name} {instance.pk} {created_at.astimezone(tz.utc).isoformat()}"
