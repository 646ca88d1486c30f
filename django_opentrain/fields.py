"""Model fields whose column holds ciphertext.

An attribute decrypts when it is read, not when its row is loaded: a list page costs nothing, and a row whose
key is lost still opens, saves and deletes. Whatever leaves the database by another way than the attribute
(``dumpdata``, ``value_to_string``) stays ciphertext.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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


class IdField(models.CharField):  # type: ignore[type-arg] # generic in the stubs only
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


class Ciphertext:
    """What an encrypted column holds."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


#: Set during ``refresh_from_db``: Django copies attribute by attribute, and none needs decrypting for that.
_copying: ContextVar[bool] = ContextVar("copying", default=False)


@contextmanager
def copying_ciphertext() -> Iterator[None]:
    """Within the block, encrypted attributes give their ciphertext."""
    token = _copying.set(True)
    try:
        yield
    finally:
        _copying.reset(token)


class EncryptedAttribute(DeferredAttribute):
    """Decrypts on access. Raises ``UndecryptableError`` when the key is lost."""

    field: EncryptedTextField | EncryptedBinaryField

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Ciphertext) and not _copying.get():
            return self.field.from_plain(crypto.decrypt(value.data))
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        # Without __set__ the instance's own dictionary would hide the descriptor.
        instance.__dict__[self.field.attname] = value


class EncryptedMixin(Field):
    """What both encrypted fields share: everything but how plaintext becomes bytes, and those ciphertext."""

    descriptor_class = EncryptedAttribute

    def to_plain(self, value: Any) -> crypto.SecretBytes:
        raise NotImplementedError

    def encrypt(self, plain: crypto.SecretBytes) -> bytes:
        raise NotImplementedError

    def to_column(self, data: bytes) -> Any:
        raise NotImplementedError

    def ciphertext(self, instance: models.Model) -> bytes | None:
        """The ciphertext of this instance's column."""
        value = instance.__dict__.get(self.attname)
        if value is None:
            return None
        return value.data if isinstance(value, Ciphertext) else self.encrypt(self.to_plain(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        # Not through the attribute: an unchanged ciphertext is written back as it is.
        return model_instance.__dict__.get(self.attname)

    def get_prep_value(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Ciphertext):
            return self.to_column(value.data)
        return self.to_column(self.encrypt(self.to_plain(value)))

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
            return Ciphertext(b64decode(value.removeprefix(SERIALISED_PREFIX)))
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

    def encrypt(self, plain: crypto.SecretBytes) -> bytes:
        return crypto.encrypt(plain)

    def from_plain(self, plain: crypto.SecretBytes) -> crypto.SecretStr:
        return crypto.SecretStr(plain.decode("utf-8", "surrogatepass"))

    def to_column(self, data: bytes) -> str:
        return data.decode("ascii")


class EncryptedBinaryField(EncryptedMixin, models.BinaryField):  # type: ignore[type-arg] # generic in the stubs only
    """Bytes; read as ``SecretBytes``."""

    description = "Encrypted bytes"

    def to_plain(self, value: Any) -> crypto.SecretBytes:
        return crypto.SecretBytes(value)

    def encrypt(self, plain: crypto.SecretBytes) -> bytes:
        return crypto.seal(plain)

    def from_plain(self, plain: crypto.SecretBytes) -> crypto.SecretBytes:
        return plain

    def to_column(self, data: bytes) -> bytes:
        return data
