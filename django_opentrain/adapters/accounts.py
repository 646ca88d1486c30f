"""Trainers' accounts on this site: found, adopted or created, and kept up to date."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser, User
from django.db import IntegrityError
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import addresses
from django_opentrain.crypto import SecretStr
from django_opentrain.errors import AccountExists, AdapterError
from django_opentrain.models import Participant, TrainerAccount
from django_opentrain.transactions import atomic
from django_opentrain.user_model import user_model

#: Django's flags of the privileges that a trainer never has.
PRIVILEGES: Final = frozenset({"is_staff", "is_superuser"})
#: Characters of a username that distinguish two trainers.
_SUFFIX_LENGTH: Final = 8
#: The domain of the addresses of accounts that gave way: no mail arrives there (RFC 2606).
REPLACED_DOMAIN: Final = "replaced.invalid"
#: Of a username that fits into every user model.
_LONGEST_NAME: Final = 20

logger = logging.getLogger(__name__)


def bound_account(opentrain_user_id: str) -> TrainerAccount | None:
    """The trainer's account, locked until the transaction ends; None when they have none here yet.

    The lock is an UPDATE that changes nothing, which works on every database, SQLite too. So two workers that revoke
    a trainer's last two grants at once see each other's work.
    """
    rows = TrainerAccount.objects.filter(opentrain_user_id=opentrain_user_id)
    rows.update(opentrain_user_id=F("opentrain_user_id"))
    return rows.select_related("user").first()


def account_of(opentrain_user_id: str) -> TrainerAccount | None:
    """The trainer's account, to look at."""
    return TrainerAccount.objects.filter(opentrain_user_id=opentrain_user_id).select_related("user").first()


def accounts_of(opentrain_user_ids: Iterable[str]) -> dict[str, TrainerAccount]:
    """The accounts of these trainers, by their ids, to look at."""
    accounts = TrainerAccount.objects.filter(opentrain_user_id__in=set(opentrain_user_ids))
    return {account.opentrain_user_id: account for account in accounts.select_related("user")}


def members_of(groups: Collection[str], keys: Collection[Any]) -> set[tuple[Any, str]]:
    """Which of the users with these keys are in which of the groups of these names. One query."""
    members = _users().filter(pk__in=keys, groups__name__in=groups)
    return set(members.order_by().values_list("pk", "groups__name"))


def bind(
    opentrain_user_id: str,
    email: str,
    *,
    may_adopt: Callable[[Any], bool] | None,
    replace: bool,
    create: Callable[[], AbstractBaseUser],
) -> tuple[TrainerAccount, bool]:
    """Give a trainer an account: the one that has this Work Email, if it ``may_adopt`` that, else a new one.

    Without ``may_adopt`` always a new one; with ``replace``, others that have the Work Email give way to it, in the
    caller's transaction. ``create`` makes the new one; it needn't save it.

    Returns it, and whether it was created. Raises ``AdapterError`` if a person has to decide.
    """
    user = _adopted(email, may_adopt, replace=replace) if may_adopt else None
    created = user is None
    try:
        if user is None:
            _check_email_is_free(email)
        with atomic():
            owner = user or _created(email, create)
            account = TrainerAccount.objects.create(
                opentrain_user_id=opentrain_user_id, user_id=owner.pk, created_by_us=created
            )
    except IntegrityError:
        # Another worker may have been faster: with this trainer, or with this account.
        faster = bound_account(opentrain_user_id)
        if faster is None:
            raise _not_created(email) from None
        return faster, False
    return account, created


def bindable_user(opentrain_user_id: str, email: str) -> AbstractBaseUser:
    """The one account with this Work Email that may become the trainer's if a person consents.

    Or the one that is theirs by a customer's consent, for that customer alone. Raises ``AdapterError`` where there is
    none, and where the trainer has one already.
    """
    account = account_of(opentrain_user_id)
    if account is not None and not account.bound_for:
        raise AdapterError(_("This trainer has an account already."))
    user = adoptable_user(email) if account is None else account.user
    if user is None or is_privileged(user):
        raise AdapterError(
            _(
                "No account that may become the trainer's has their Work Email: never one of staff or superusers."
            )
        )
    owners = _owners_of(email) if account is None else [user]
    if len(owners) > 1:
        raise _several(owners)
    return user


def consent(opentrain_user_id: str, user: AbstractBaseUser, *, by: str, tenant: str) -> None:
    """A person consents that this account of ``bindable_user`` becomes the trainer's, as it is.

    For ``tenant`` alone, if that is not "". Raises ``AdapterError`` where the trainer or the account has another one.
    """
    given = {"consented_by": by, "consented_at": timezone.now(), "bound_for": tenant}
    rows = TrainerAccount.objects.filter(opentrain_user_id=opentrain_user_id, user=user.pk)
    # For all, also where it was for one customer; never for another one instead.
    if not tenant and rows.exclude(bound_for="").update(**given):
        return
    try:
        with atomic():
            TrainerAccount.objects.create(opentrain_user_id=opentrain_user_id, user_id=user.pk, **given)
    except IntegrityError:
        raise AdapterError(_("This trainer has an account already.")) from None


def require_consent(account: TrainerAccount, tenant: str) -> None:
    """Raises ``AccountExists`` if the account is the trainer's by the consent of another customer than this one."""
    if account.bound_for not in ("", tenant):
        raise AccountExists(
            _(
                "Account %(id)s is this trainer's for another customer only. An administrator of this site has to"
                ' consent: "Use existing account" in the admin, or opentrain_bind.'
            )
            % {"id": account.user_id}
        )


def _check_email_is_free(email: str, owner: User | None = None) -> None:
    """Raises ``IntegrityError``, as the database does, where another one has this e-mail in other letters."""
    if addresses.is_taken(email, owner) or (
        _email_is_unique() and any(user != owner for user in _owners_of(email))
    ):
        raise IntegrityError


def _email_is_unique() -> bool:
    model = user_model()
    name = model.get_email_field_name()
    return any(field.unique for field in model._meta.concrete_fields if field.name == name)


def _owners_of(email: str) -> list[User]:
    """All accounts with this e-mail, in upper or lower case."""
    same_email = {f"{user_model().get_email_field_name()}__iexact": email}
    return [user for user in _users().filter(**same_email) if _has(user, email)]


def _not_created(email: str) -> AdapterError:
    """Why the database takes no new account for this trainer. Raises it where it is the existing account's state."""
    verified = addresses.is_taken(email)
    if (verified or _email_is_unique()) and (user := adoptable_user(email)):
        return _unproven(user)
    if verified or _users_named(email).exists():
        return AdapterError(
            _("No account can be created for this trainer: another account has their Work Email or username.")
        )
    return AdapterError(
        _(
            "No account can be created for this trainer: this site's user model requires more than an e-mail"
            " address (%(columns)s). The adapter's prepare_user() has to fill it in."
        )
        % {"columns": ", ".join(_required_columns()) or "?"}
    )


def _users_named(email: str) -> QuerySet[User]:
    """All accounts with this e-mail or username, in upper or lower case."""
    model = user_model()
    names = {model.get_email_field_name(), model.USERNAME_FIELD}
    return _users().filter(reduce(or_, (Q(**{f"{name}__iexact": email}) for name in names)))


def _required_columns() -> list[str]:
    """The columns of the user model that are empty in a new account, and may not be."""
    user = _new_user("")
    return [
        field.name
        for field in user_model()._meta.concrete_fields
        if not (field.null or field.primary_key) and getattr(user, field.attname) is None
    ]


def _adopted(email: str, may_adopt: Callable[[Any], bool], *, replace: bool) -> User | None:
    """The one account with this e-mail that has proven it; None if no account has it, or has it any longer.

    One that has it and has proven nothing gives way, or raises ``AccountExists``: other customers know a Work Email,
    and can sign up with it.
    """
    candidates = _adoptable_users(email)
    proven = _only_one([user for user in candidates if may_adopt(user)])
    if proven is None and replace:
        for user in candidates:
            _give_way(user, email)
    elif proven is None and (unproven := _only_one(candidates)):
        raise _unproven(unproven)
    return proven


def _give_way(user: User, email: str) -> None:
    """Free the address, and end the account's sessions and API tokens; it keeps all that it has.

    The trainer's account is another one. So it has nothing that could open this one later: a login that was half
    way, a token that ignores ``is_active``, a second address for a new password.
    """
    name = uuid4().hex[:_LONGEST_NAME]
    changes = {user.USERNAME_FIELD: name, user.get_email_field_name(): f"{name}@{REPLACED_DOMAIN}"}
    changed = [field for field in changes if str(getattr(user, field)).lower() == email.lower()]
    for field in changed:
        setattr(user, field, changes[field])
    user.save(update_fields=changed)
    _end_logins(user)
    addresses.remove(user, email)
    logger.info("Account %s gave way: it had a trainer's Work Email, and didn't prove it.", user.pk)


def adoptable_user(email: str) -> User | None:
    """The one account with this e-mail (in upper or lower case) that may become the trainer's.

    Raises ``AdapterError`` for two candidates, and for one that was deactivated on this site.
    """
    return _only_one(_adoptable_users(email))


def _adoptable_users(email: str) -> list[User]:
    """The active accounts with this e-mail.

    Staff, superusers and other trainers' accounts are skipped: a Work Email must not open what they open. Raises
    ``AdapterError`` if all were deactivated on this site: a second account would circumvent that decision.
    """
    candidates = [user for user in _users_with(email) if not is_privileged(user) and _has(user, email)]
    active = [user for user in candidates if user.is_active]
    if candidates and not active:
        raise deactivated(candidates[0])
    return active


def _only_one(users: list[User]) -> User | None:
    if len(users) > 1:
        raise _several(users)
    return users[0] if users else None


def _unproven(user: AbstractBaseUser) -> AccountExists:
    return AccountExists(
        _(
            "Account %(id)s has this trainer's Work Email, and nothing proves that it is theirs. It becomes theirs"
            ' only if an administrator of this site consents ("Use existing account" in the admin, or'
            " opentrain_bind), or the customer whose own account it is."
        )
        % {"id": user.pk}
    )


def _several(users: Iterable[AbstractBaseUser]) -> AdapterError:
    return AdapterError(
        _(
            "Several accounts have this trainer's Work Email: %(ids)s. Keep it on one of them only, then retry."
        )
        % {"ids": ", ".join(str(user.pk) for user in users)}
    )


def deactivated(user: AbstractBaseUser) -> AdapterError:
    """The trainer's account was deactivated on this site, which only this site's staff may undo."""
    return AdapterError(
        _(
            "Account %(id)s of this trainer is inactive: it was deactivated on this site, or never activated."
            " Activate it, then retry."
        )
        % {"id": user.pk}
    )


def is_privileged(user: AbstractBaseUser) -> bool:
    """Whether the account has privileges that no trainer may have."""
    return any(getattr(user, name, False) for name in PRIVILEGES)


def _users_with(email: str) -> QuerySet[User]:
    same_email = {f"{user_model().get_email_field_name()}__iexact": email}
    return _users().filter(**same_email, opentrain_account__isnull=True).order_by("pk")


def _has(user: AbstractBaseUser, email: str) -> bool:
    """Whether this is the user's e-mail: for MySQL's default collations ``mária`` and ``maria`` are equal."""
    return str(getattr(user, user.get_email_field_name())).lower() == email.lower()


def _users() -> QuerySet[User]:
    """All accounts of the site, whatever its user model and managers are."""
    return user_model()._base_manager.all()  # noqa: SLF001 - documented: every model has it, whatever its name


def new_user(email: str, opentrain_user_id: str) -> User:
    """A new active account, not saved: no usable password and no privileges, whatever the model's defaults are."""
    user = _new_user(email)
    if user.get_email_field_name() != user.USERNAME_FIELD:
        setattr(user, user.USERNAME_FIELD, free_username(email, opentrain_user_id))
    return user


def show_texts(user: User) -> None:
    """Let the account's e-mail and username be ordinary texts, where the site has set a masked Work Email."""
    for name in {user.get_email_field_name(), user.USERNAME_FIELD}:
        if isinstance(value := getattr(user, name), SecretStr):
            setattr(user, name, str(value))


def _created(email: str, create: Callable[[], AbstractBaseUser]) -> AbstractBaseUser:
    """A new account, saved. Raises ``AdapterError`` if it was there before: only ``may_adopt`` opens such a one."""
    there_before = set(_users_named(email).values_list("pk", flat=True))
    user = create()
    if user.pk in there_before:
        raise AdapterError(
            _(
                "The adapter's create_user() returned account %(id)s, which was there before. It has to make a new"
                " one."
            )
            % {"id": user.pk}
        )
    user.save()
    addresses.set_verified(user, email)
    return user


def _new_user(email: str) -> User:
    model = user_model()
    fields = {field.name for field in model._meta.get_fields()}
    user = model(**{model.get_email_field_name(): email}, **dict.fromkeys(PRIVILEGES & fields, False))
    if has_active_column():
        user.is_active = True
    user.set_unusable_password()
    return user


def has_active_column() -> bool:
    """Whether accounts of the site's user model can be deactivated: Django asks for no such column."""
    return any(field.name == "is_active" for field in user_model()._meta.concrete_fields)


def is_locked_out(account: TrainerAccount) -> bool:
    """Whether the account is deactivated. What we deactivated may have been activated by hand since."""
    return not account.user.is_active if has_active_column() else account.deactivated_at is not None


def lock_out(account: TrainerAccount) -> None:
    """Deactivate the account; where the user model has no column for that, end its password, and so its sessions."""
    _end_logins(account.user)
    account.deactivated_at = timezone.now()
    account.save(update_fields=["deactivated_at"])


def _end_logins(user: User) -> None:
    if has_active_column():
        user.is_active = False
        user.save(update_fields=["is_active"])
    else:
        user.set_unusable_password()
        user.save(update_fields=["password"])


def let_in(account: TrainerAccount) -> bool:
    """Undo a deactivation of ours; returns whether there was one. Raises ``AdapterError`` for any other."""
    user, ours = account.user, account.deactivated_at is not None
    if not user.is_active and not ours:
        raise deactivated(user)
    returned = is_locked_out(account)
    if returned and has_active_column():
        user.is_active = True
        user.save(update_fields=["is_active"])
    if ours:
        account.deactivated_at = None
        account.save(update_fields=["deactivated_at"])
    return returned


def free_username(email: str, opentrain_user_id: str) -> str:
    """The e-mail as a username; with a suffix of the trainer's own if another account has that name."""
    model = user_model()
    longest = getattr(model._meta.get_field(model.USERNAME_FIELD), "max_length", None) or 150
    name = model.normalize_username(email)
    if len(name) <= longest and not _name_is_taken(name):
        return name
    suffix = hashlib.sha256(opentrain_user_id.encode("utf-8", "surrogatepass")).hexdigest()[:_SUFFIX_LENGTH]
    return f"{name[: longest - _SUFFIX_LENGTH - 1]}-{suffix}"


def _name_is_taken(name: str) -> bool:
    return _users().filter(**{f"{user_model().USERNAME_FIELD}__iexact": name}).exists()


def follow_email(account: TrainerAccount, participant: Participant) -> bool:
    """Update the e-mail of an account that was created for the trainer, if their Work Email has changed.

    Each customer's install reports it at its own time: the newest counts. The account's username follows if it was
    the old e-mail. An adopted account is its owner's to change. Raises ``AdapterError`` if another account has the
    e-mail and the site requires it to be unique.
    """
    user, email = account.user, str(participant.work_email)
    old = getattr(user, user.get_email_field_name())
    follows = old == email and addresses.is_primary(user, email)
    if not account.created_by_us or follows or _has_older_email(participant):
        return False
    try:
        _check_email_is_free(email, user)
        with atomic():
            _change_email(account, email)
            addresses.set_verified(user, email, replaces=old)
    except IntegrityError:
        raise AdapterError(
            _("Account %(id)s can't take the trainer's new Work Email: another account has it.")
            % {"id": user.pk}
        ) from None
    return bool(old != email)


def _change_email(account: TrainerAccount, email: str) -> None:
    user = account.user
    field, name_field = user.get_email_field_name(), user.USERNAME_FIELD
    old = getattr(user, field)
    changed = {field: email}
    # A change of case alone leaves the username: its owner types it as before.
    named_by_email = user.get_username().lower() == old.lower() != email.lower()
    if name_field != field and named_by_email:
        changed[name_field] = free_username(email, account.opentrain_user_id)
    for name, value in changed.items():
        setattr(user, name, value)
    user.save(update_fields=list(changed))


def _has_older_email(participant: Participant) -> bool:
    """Whether another customer's install has a newer Work Email of this trainer."""
    since = participant.email_changed_at
    others = Participant.objects.filter(opentrain_user_id=participant.opentrain_user_id)
    newer = Q(email_changed_at__isnull=False) if since is None else Q(email_changed_at__gt=since)
    return others.filter(newer).exists()
