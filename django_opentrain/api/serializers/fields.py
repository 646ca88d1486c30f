"""Strict fields: a number is not a string, and a date has one format."""

from __future__ import annotations

import datetime
import re
from typing import Any, Final

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import ISO_8601, serializers

from django_opentrain.api.pagination import LARGEST_ID
from django_opentrain.crypto import SecretStr
from django_opentrain.explanations import reason_for_customers
from django_opentrain.fields import MAX_ID

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: Links that we show must open a page, not run a script.
WEB_URL: Final = RegexValidator(r"^https?://[^\s]+\Z", _("Enter a URL that begins with http:// or https://."))


class StrictCharField(serializers.CharField):
    """A string, unchanged: a JSON number is refused, and an id's spaces are part of it."""

    def __init__(self, **kwargs: Any) -> None:
        # In addition to the default ``allow_blank=False``, which a schema doesn't show.
        super().__init__(trim_whitespace=False, min_length=1, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdField(StrictCharField):
    """An id of OpenTrain's or the host's."""

    def __init__(self, *, max_length: int = MAX_ID, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)


class TokenField(StrictCharField):
    """A secret: it is never returned, and its ``repr`` is masked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(write_only=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return SecretStr(super().to_internal_value(data))


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: neither a string of digits, nor 1.0, nor true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class StrictBooleanField(serializers.BooleanField):
    """``true`` or ``false``: no string, no number."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data


class PrimaryKeyField(serializers.IntegerField):
    """Our own key of something."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_ID, **kwargs)


class StrictPrimaryKeyField(StrictIntegerField, PrimaryKeyField):
    """Our own key of something, in a JSON body."""


class StrictDateField(serializers.DateField):
    """``YYYY-MM-DD`` and no other of ISO 8601's forms."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, input_formats=[ISO_8601], **kwargs)

    def to_internal_value(self, data: Any) -> datetime.date:
        if not isinstance(data, str) or not _DATE.fullmatch(data):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(data)


class UTCDateTimeField(serializers.DateTimeField):
    """A time in UTC, to the microsecond, whatever ``DATETIME_FORMAT`` and ``TIME_ZONE`` are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, default_timezone=datetime.timezone.utc, **kwargs)


class NullableCharField(serializers.CharField):
    """A text that may be unknown: empty in the database, null in JSON, as in OpenTrain's API."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return str(value) or None


class FailureReasonField(NullableCharField):
    """Why something failed, as customers may read it; null if nothing failed."""

    def get_attribute(self, instance: Any) -> str:
        return reason_for_customers(instance, str(self.source))
