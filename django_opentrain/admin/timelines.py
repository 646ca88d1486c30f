"""What happened to a row, and when: a list of entries for its page, made of what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Model, QuerySet
from django.utils import timezone

from django_opentrain import relative_time
from django_opentrain.admin.columns import Tone
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.models import WebhookEvent
from django_opentrain.models.access import EVENT_CAUSE
from django_opentrain.platform.redaction import mask

if TYPE_CHECKING:
    from django_opentrain.admin.columns import Label

#: Entries of a page.
MAX_ENTRIES: Final = 50


class Said(NamedTuple):
    """What a row says of one of its times.

    :param by: the event, poll or person; "" where that isn't stored.
    """

    tone: Tone
    what: Label
    detail: str = ""
    by: str = ""


class Entry(NamedTuple):
    """Something that happened, or is going to, with the row that says so."""

    at: datetime
    tone: Tone
    what: str
    detail: str
    by: str
    #: The page of the event that is named in ``by``; "" where none is.
    by_url: str = ""
    #: The row's name and page; "" for the page's own row.
    row: str = ""
    url: str = ""

    @property
    def age(self) -> str:
        """How long ago, or how far off."""
        return relative_time.age(self.at)

    @property
    def is_ahead(self) -> bool:
        """Whether it hasn't happened yet."""
        return self.at > timezone.now()


class Timeline(NamedTuple):
    """The newest entries first."""

    entries: Sequence[Entry]
    #: Whether there are older ones.
    has_more: bool


#: By the name of a column with a time: what it says of a row; None where that is nothing.
Moments = Mapping[str, Callable[[Any], Said | None]]


class Source(NamedTuple):
    """Rows that belong to the page's; each column costs one statement, however many rows there are."""

    rows: QuerySet[Any, Any]
    moments: Moments
    name: Callable[[Any], str] = str

    def newest(self) -> Iterator[tuple[Any, datetime, Said]]:
        """The newest of each column, one more than a page shows."""
        for column, say in self.moments.items():
            rows = self.rows.filter(**{f"{column}__isnull": False}).order_by(F(column).desc(), "-pk")
            for row in rows[: MAX_ENTRIES + 1]:
                if said := say(row):
                    yield row, getattr(row, column), said


def build(
    links: RowLinks,
    of: Model,
    moments: Moments,
    *,
    beside: Iterable[tuple[Model | None, Moments]] = (),
    sources: Iterable[Source],
) -> Timeline:
    """The timeline of a row.

    :param beside: loaded rows to which it belongs, with what they say.
    :param sources: rows that belong to it. Of models that the reader may not view, nothing is shown.
    """
    entries = [_entry(at, said) for at, said in _said_by(of, moments)]
    for row, theirs in beside:
        if row is not None and links.lead_to(type(row)):
            place = {"row": mask(str(row)), "url": links.url(type(row), row.pk)}
            entries += [_entry(at, said, **place) for at, said in _said_by(row, theirs)]
    events: dict[str, str] = {}
    for source in sources:
        if not links.lead_to(source.rows.model):
            continue
        for row, at, said in source.newest():
            url = links.url(type(row), row.pk)
            entries.append(_entry(at, said, row=mask(source.name(row)), url=url))
            if isinstance(row, WebhookEvent):
                events[row.event_id] = url
    entries += [_entry(entry.action_time, _logged(entry)) for entry in _history(of)]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    shown = [entry._replace(by_url=events.get(_event_id(entry.by), "")) for entry in entries[:MAX_ENTRIES]]
    return Timeline(entries=shown, has_more=len(entries) > MAX_ENTRIES)


def _said_by(row: Model, moments: Moments) -> Iterator[tuple[datetime, Said]]:
    for column, say in moments.items():
        if (at := getattr(row, column)) and (said := say(row)):
            yield at, said


def _entry(at: datetime, said: Said, **place: str) -> Entry:
    return Entry(
        at=at, tone=said.tone, what=mask(str(said.what)), detail=mask(said.detail), by=mask(said.by), **place
    )


def _event_id(cause: str) -> str:
    """The id of the event that a cause names; "" where it names none."""
    kind, _space, rest = cause.partition(" ")
    return rest.partition(" ")[0] if kind == EVENT_CAUSE else ""


def _history(row: Model) -> QuerySet[LogEntry]:
    """What people did to a row on these pages."""
    content_type = ContentType.objects.get_for_model(row)
    entries = LogEntry.objects.filter(content_type=content_type, object_id=str(row.pk))
    return entries.select_related("user").order_by("-action_time", "-pk")[: MAX_ENTRIES + 1]


def _logged(entry: LogEntry) -> Said:
    return Said(tone="off", what=entry.get_change_message(), by=entry.user.get_username())
