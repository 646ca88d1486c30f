"""Which reasons of a failure a customer may read.

The services keep an error as ``Kind: text``. OpenTrain's words and an adapter's are for people. The text of any
other exception comes from inside the host (a database, a file system), and is for its operators only.
"""

from __future__ import annotations

import re
from typing import Final

from django.utils.translation import gettext as _

from django_opentrain.adapters import AdapterError
from django_opentrain.errors import BusyError, LinkConflict, LinkError, UndecryptableError
from django_opentrain.platform import errors

_FOR_PEOPLE: Final = {
    kind.__name__
    for kind in (AdapterError, UndecryptableError, BusyError, LinkError, LinkConflict, *vars(errors).values())
    if isinstance(kind, type) and issubclass(kind, Exception)
}
_KIND: Final = re.compile(r"([A-Z]\w*): ")


def readable(reason: str) -> str:
    """A stored reason, as far as it is for a customer."""
    kind = _KIND.match(reason)
    if kind is None:
        return reason
    if kind[1] in _FOR_PEOPLE:
        return reason[kind.end() :]
    return _("The operators of this site can see the reason.")
