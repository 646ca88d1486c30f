"""What the serializers share: OpenTrain's spelling, strict input, and the query of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from django_opentrain.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from django_opentrain.platform.values import camel

MAX_CURSOR: Final = 200


class CamelSerializer(serializers.Serializer[Any]):
    """Declared with Python's names, serialized with OpenTrain's."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = {}
        for name, field in super().get_fields().items():
            if field.source is None and camel(name) != name:
                field.source = name
            fields[camel(name)] = field
        return fields


class StrictSerializer(CamelSerializer):
    """Input: unknown fields are refused, so that a misspelt one doesn't go unnoticed."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = data.keys() - self.fields.keys() if isinstance(data, Mapping) else set()
        errors: dict[str, Any] = {str(name): [_("Unknown field.")] for name in sorted(unknown, key=str)}
        value: Any = None
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors.update(error.detail)  # type: ignore[arg-type] # a serializer's is always by field
        if errors:
            raise serializers.ValidationError(errors)
        return value


class EmptySerializer(StrictSerializer):
    """The body of an action that needs none: absent or ``{}``."""


class PageQuery(StrictSerializer):
    """What every list takes; subclasses add their filters."""

    #: By the name of a filter, the look-up that it is.
    lookups: Mapping[str, str] = {}

    limit = serializers.IntegerField(
        min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="How many rows at most."
    )
    cursor = serializers.CharField(
        max_length=MAX_CURSOR,
        default="",
        allow_blank=True,
        help_text="Where to continue: `nextCursor` of the previous page.",
    )
    ordering = serializers.ChoiceField(["-id", "id"], default="-id")

    def filters(self) -> dict[str, Any]:
        """The validated filters as look-ups."""
        values = self.validated_data
        return {lookup: values[name] for name, lookup in self.lookups.items() if name in values}
