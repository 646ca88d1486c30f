"""A job as people name it: by its id, or by the URL of its page on OpenTrain."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.errors import LinkError
from django_opentrain.platform.pasted import unwrapped
from django_opentrain.platform.redaction import redact
from django_opentrain.platform.values import MAX_ID, MAX_URL

#: Characters of what may be pasted.
MAX_JOB: Final = MAX_URL
#: What comes before a job's id in the path of its page.
_FOLDERS: Final = frozenset({"job", "jobs"})
_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID}}}")
_PORTS: Final = {"http": 80, "https": 443}


def job_id(text: str) -> str:
    """The id of the job that a person named; "" for none. Raises ``LinkError`` if it can't be found in the text."""
    if len(text) > MAX_JOB:
        raise _refused(_("This is too long for a job's id or URL."))
    named = unwrapped(text)
    site = urlsplit(conf.base_url)
    if named.lower().startswith(f"{site.netloc}/".lower()):
        named = f"{site.scheme}://{named}"
    found = _in_url(named, site) if "://" in named else named
    if len(found) > MAX_ID:
        text = _("This is too long for a job's id: it has at most %(limit)d characters.")
        raise _refused(text % {"limit": MAX_ID})
    if redact(found) != found:
        # A token, an address, or what can't be printed: as an id it would be sent, stored and shown.
        raise _elsewhere(site)
    return found


def _in_url(url: str, site: SplitResult) -> str:
    try:
        parts = urlsplit(url)
        origin = _origin(parts)
    except ValueError:
        raise _elsewhere(site) from None
    if origin != _origin(site) or "@" in parts.netloc:
        raise _elsewhere(site)
    steps = pairwise(parts.path.split("/"))
    named = next((step for folder, step in steps if folder in _FOLDERS), "")
    if not _ID.fullmatch(named):
        raise _refused(
            _("This URL names no job. Open the job on OpenTrain and copy the URL of its page, or its id.")
        )
    return named


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    """Raises ``ValueError`` for a port that can't be."""
    return url.scheme, url.hostname or "", url.port or _PORTS.get(url.scheme)


def _elsewhere(site: SplitResult) -> LinkError:
    text = _("This is no page of %(site)s. Copy the job's URL there, or its id.")
    return _refused(text % {"site": site.netloc})


def _refused(text: str) -> LinkError:
    return LinkError(text, field="job_id")
