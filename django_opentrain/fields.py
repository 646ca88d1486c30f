"""Model fields whose column holds ciphertext.

An attribute decrypts when it is read, not when its row is loaded: a list page costs nothing, and a row whose
key is lost still opens, saves and deletes. Whatever leaves the database by another way than the attribute
(``dumpdata``, ``value_to_string``) stays ciphertext.

A ciphertext is bound to its table, column and row. A row is recognised by the columns that ``bound_to`` names: they
are set before its first INSERT and never change. So a value is encrypted when its row is saved, which knows them:
``update()`` and ``bulk_update()`` take None and what ``encrypted()`` returns, and refuse everything else.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from django_opentrain import crypto

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Lookup

    Field = models.Field[Any, Any]
else:
    Field = object

#: The longest id, OpenTrain's or the host's, that a column takes. OpenTrain doesn't document the form of its ids;
#: a longer one is refused where it arrives, with a reason, instead of being truncated.
MAX_ID = 200

#: Marks ciphertext in serialised data, so that ``loaddata`` doesn't encrypt it a second time.
SERIALISED_PREFIX = "encrypted:"

# The JSON of one text. That of a list would first build an encoder, at each delivery.
_json = json.JSONEncoder().encode


class IdMixin(Field):
    """An id that is compared character by character on every database.

    MySQL's and MariaDB's default collations hold ``abc``, ``ABC`` and ``äbc`` to be equal, and most also ``abc`` and
    ``abc`` with a blank behind it ("PAD SPACE"): two contracts, or two customers, would be one.
    """

    description = "Case-sensitive id"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", MAX_ID)
        super().__init__(*args, **kwargs)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = connection.mysql_is_mariadb  # type: ignore[attr-defined] # this vendor's only
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


if TYPE_CHECKING:
    # A subclass would have to be generic, which CharField is in the stubs only.
    IdField = models.CharField
else:

    class IdField(IdMixin, models.CharField):
        __doc__ = IdMixin.__doc__


class Ciphertext:
    """What an encrypted column holds."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Dumped(Ciphertext):
    """A ciphertext of serialised data. Its attribute gives it as it is: ``loaddata`` saves what attributes give."""

    __slots__ = ()


#: Set during ``refresh_from_db``: Django copies attribute by attribute, and none needs decrypting for that.
_copying: ContextVar[bool] = ContextVar("copying", default=False)


def copying_ciphertext(copy: Callable[[], None]) -> None:
    """Call ``copy``; in it, encrypted attributes give their ciphertext.

    In a context of its own: wherever the call is stopped, by a time limit for example, nothing stays set.
    """
    copy_context().run(_copy_ciphertext, copy)


def _copy_ciphertext(copy: Callable[[], None]) -> None:
    _copying.set(True)
    copy()


class EncryptedAttribute(DeferredAttribute):
    """Decrypts on access. Raises ``UndecryptableError`` when the key is lost."""

    field: EncryptedTextField | EncryptedBinaryField

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if type(value) is not Ciphertext or instance is None or _copying.get():
            return value
        return self.field.from_plain(crypto.decrypt(value.data, self.field.place(instance)))

    def __set__(self, instance: models.Model, value: Any) -> None:
        # Without __set__ the instance's own dictionary would hide the descriptor.
        vars(instance)[self.field.attname] = self.field.masked(value)


class EncryptedMixin(Field):
    """What both encrypted fields share: everything but how plaintext becomes bytes, and those ciphertext."""

    descriptor_class = EncryptedAttribute
    non_db_attrs = (*models.Field.non_db_attrs, "bound_to")

    def __init__(self, *args: Any, bound_to: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bound_to = tuple(bound_to)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "bound_to": self.bound_to}

    def place(self, instance: models.Model) -> bytes:
        """Where this instance's column is."""
        values = [each.to_python(getattr(instance, each.attname)) for each in self._row_columns()]
        return self.place_of(*(None if value is None else str(value) for value in values))

    def place_of(self, *row: str | None) -> bytes:
        """The same, of the row with these values of ``bound_to``, as texts."""
        return f"[{', '.join(map(_json, (self.model._meta.db_table, self.column, *row)))}]".encode()

    def _row_columns(self) -> list[Any]:
        return [self.model._meta.get_field(name) for name in self.bound_to]

    def masked(self, value: Any) -> Any:
        raise NotImplementedError

    def to_plain(self, value: Any) -> crypto.SecretBytes:
        raise NotImplementedError

    def encrypt(self, plain: crypto.SecretBytes, place: bytes) -> bytes:
        raise NotImplementedError

    def to_column(self, data: bytes) -> Any:
        raise NotImplementedError

    def ciphertext(self, instance: models.Model) -> bytes | None:
        """The ciphertext of this instance's column. Raises ``FieldError`` if its row can't be recognised yet."""
        # Not through the attribute: an unchanged ciphertext is written back as it is.
        value = instance.__dict__.get(self.attname)
        if value is None:
            return None
        if isinstance(value, Ciphertext):
            return value.data
        for each in self._row_columns():
            if getattr(instance, each.attname) is None:
                raise FieldError(f"{self.name} is encrypted for its row: set {each.name} first.")
        return self.encrypt(self.to_plain(value), self.place(instance))

    def pre_save(self, model_instance: models.Model, add: bool) -> Ciphertext | None:
        data = self.ciphertext(model_instance)
        return None if data is None else Ciphertext(data)

    def get_prep_value(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Ciphertext):
            return self.to_column(value.data)
        raise FieldError(f"{self.name} is encrypted for its row: assign it and save() the row.")

    def from_db_value(
        self, value: Any, _expression: object, _connection: BaseDatabaseWrapper
    ) -> Ciphertext | None:
        if value is None:
            return None
        return Ciphertext(value.encode() if isinstance(value, str) else bytes(value))

    def value_from_object(self, obj: models.Model) -> Any:
        # For serializers, which must neither show plaintext nor fail for a lost key.
        return obj.__dict__.get(self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        return SERIALISED_PREFIX + b64encode(self.ciphertext(obj) or b"").decode()

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(SERIALISED_PREFIX):
            return Dumped(b64decode(value.removeprefix(SERIALISED_PREFIX)))
        return value

    def get_lookup(self, lookup_name: str) -> type[Lookup[Any]] | None:
        if lookup_name != "isnull":
            # Each encryption differs, so a comparison could only ever be false.
            raise FieldError(f"{self.name} is encrypted: it can't be searched or compared.")
        return super().get_lookup(lookup_name)


class EncryptedTextField(EncryptedMixin, models.TextField):  # type: ignore[type-arg] # generic in the stubs only
    """Text; reads as ``SecretStr``."""

    description = "Encrypted text"

    def to_plain(self, value: Any) -> crypto.SecretBytes:
        # surrogatepass: JSON can hold a lone surrogate, and what OpenTrain sent must not make us fail.
        return crypto.SecretBytes(str(value).encode("utf-8", "surrogatepass"))

    def masked(self, value: Any) -> Any:
        return crypto.SecretStr(value) if isinstance(value, str) else value

    def encrypt(self, plain: crypto.SecretBytes, place: bytes) -> bytes:
        return crypto.to_text(crypto.seal(plain, place))

    def from_plain(self, plain: crypto.SecretBytes) -> crypto.SecretStr:
        return crypto.SecretStr(plain.decode("utf-8", "surrogatepass"))

    def to_column(self, data: bytes) -> str:
        return data.decode("ascii")


class EncryptedBinaryField(EncryptedMixin, models.BinaryField):  # type: ignore[type-arg] # generic in the stubs only
    """Bytes; read as ``SecretBytes``."""

    description = "Encrypted bytes"

    def to_plain(self, value: Any) -> crypto.SecretBytes:
        return crypto.SecretBytes(value)

    def masked(self, value: Any) -> Any:
        return crypto.SecretBytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else value

    def encrypt(self, plain: crypto.SecretBytes, place: bytes) -> bytes:
        return crypto.seal(plain, place)

    def from_plain(self, plain: crypto.SecretBytes) -> crypto.SecretBytes:
        return plain

    def to_column(self, data: bytes) -> bytes:
        return data


def encrypted(instance: models.Model, name: str) -> Ciphertext | None:
    """What this attribute has, encrypted for its row: for ``update()``."""
    value: Ciphertext | None = instance._meta.get_field(name).pre_save(instance, add=False)  # type: ignore[union-attr] # a column's
    return value
