"""The default adapter: trainers are users of the site's Django user model, and access is a group per project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _

from django_opentrain.adapters import accounts, addresses, canary, first_login
from django_opentrain.adapters.base import OpenTrainAdapter, Project, UserT
from django_opentrain.adapters.naming import group_name
from django_opentrain.conflicts import retried
from django_opentrain.crypto import SecretStr
from django_opentrain.errors import AdapterError
from django_opentrain.models import AccessGrant, Participant, TrainerAccount
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import atomic

if TYPE_CHECKING:
    from django.http import HttpRequest

_NO_PROJECTS: Final = (
    "OPENTRAIN['ADAPTER'] must name a subclass of DjangoUsersAdapter that implements list_projects() and"
    " get_project()."
)


class DjangoUsersAdapter(OpenTrainAdapter[UserT]):
    """Finds or creates a Django user for each trainer, and adds them to the project's group.

    A site subclasses it and lists its projects; if access isn't a group, it overrides ``open_project`` and
    ``close_project``. No account is ever deleted and no work is touched. An account that was created for a trainer is
    deactivated with their last grant, which ends its sessions and API tokens.
    """

    sends_first_login = True

    #: Whether an account that already has a trainer's Work Email may become theirs: which one, says ``may_adopt``.
    #: False: none; a new account is made beside it, where two accounts may have the same e-mail.
    adopt_existing_accounts = True

    #: Whether an account that has a trainer's Work Email, and may not be adopted, gives way: it is deactivated and
    #: loses the address, and the trainer gets a new account. By default it stays, and the trainer has no access until
    #: a person consents.
    replace_unproven_accounts = False

    def get_tenant(self, request: HttpRequest) -> str | None:
        """Each user is a customer of their own. Sites with teams or organizations override this."""
        return str(request.user.pk) if request.user.is_authenticated else None

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        """Whether this request's user acts for ``tenant``; accounts that were made for trainers do for none."""
        if tenant != self.get_tenant(request):
            return False
        return not TrainerAccount.objects.filter(user=request.user.pk, created_by_us=True).exists()

    def list_projects(self, tenant: str) -> Iterable[Project]:
        """Raises ``ImproperlyConfigured``: only the site knows its projects."""
        raise ImproperlyConfigured(_NO_PROJECTS)

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """Raises ``ImproperlyConfigured``: only the site knows its projects."""
        raise ImproperlyConfigured(_NO_PROJECTS)

    def account_key(self, request: HttpRequest) -> str | None:
        """None: whose account is a trainer's is remembered, also once their access has ended."""
        return None

    # What access is ---------------------------------------------------------------------------

    def project_group(self, tenant: str, external_project_id: str) -> Group:
        """The group whose members may work in this project; created if it doesn't exist. Optional.

        Called by ``open_project`` and ``close_project`` as they are by default.
        """
        return Group.objects.get_or_create(name=group_name(tenant, external_project_id))[0]

    def open_project(self, user: UserT, grant: AccessGrant) -> None:
        """Give this user access to the grant's project. Idempotent. Optional; by default it is a group.

        Called each time access is given, or given again, in its transaction.
        """
        _groups(user).add(self.project_group(grant.tenant, grant.external_project_id))

    def close_project(self, user: UserT, grant: AccessGrant) -> None:
        """End this user's access to the grant's project. Idempotent. Optional, with ``open_project``.

        Called when access ends or is paused, unless another grant gives the same, in a transaction.
        """
        _groups(user).remove(self.project_group(grant.tenant, grant.external_project_id))

    def has_project(self, user: UserT, grant: AccessGrant) -> bool:
        """Whether this user has access to the grant's project. Optional, with ``open_project``.

        Called before access is given again, to see removals by hand; and by the doctor, to prove removals.
        """
        name = group_name(grant.tenant, grant.external_project_id)
        return bool(_groups(user).filter(name=name).exists())

    def has_projects(self, users: Sequence[tuple[UserT, AccessGrant]]) -> Mapping[int, bool | None]:
        """What ``has_project`` says of each of these users and grants, by the grants' ``pk``. Optional, with it.

        Called at each reconciliation, for all trainers of a customer at once. Answer with one query, or two. What is
        left out isn't known; nor is anything where a subclass overrides what access is, and not this.
        """
        names = {grant.pk: group_name(grant.tenant, grant.external_project_id) for _user, grant in users}
        members = accounts.members_of(set(names.values()), {user.pk for user, _grant in users})
        return {grant.pk: (user.pk, names[grant.pk]) in members for user, grant in users}

    def has_access(self, grant: AccessGrant) -> bool | None:
        """Whether the trainer's account may log in and has the project, as ``has_project`` says it."""
        if self._opens_otherwise():
            return None
        account = accounts.account_of(grant.participant.opentrain_user_id)
        if account is None:
            return False  # the user was deleted, and the account with it
        if accounts.is_locked_out(account):
            # A deactivation of ours is none of a person's.
            return None if account.deactivated_at else False
        return self.has_project(self._user(account), grant)

    def access_states(self, grants: Sequence[AccessGrant]) -> Mapping[int, bool | None]:
        """Whether the trainers' accounts may log in and have the projects, as ``has_projects`` says it."""
        if not self._answers_for_all():
            return {}
        found = accounts.accounts_of(grant.participant.opentrain_user_id for grant in grants)
        states: dict[int, bool | None] = {}
        asked = []
        for grant in grants:
            account = found.get(grant.participant.opentrain_user_id)
            if account is None or accounts.is_locked_out(account):
                states[grant.pk] = False
            else:
                asked.append((account, grant))
        left_active = _left_active(asked)
        users = [(self._user(account), grant) for account, grant in asked if grant.pk not in left_active]
        return {**states, **(self.has_projects(users) if users else {})}

    def _answers_for_all(self) -> bool:
        """Whether ``has_projects`` is no older than what a subclass has made of access."""
        names = (
            "has_access",
            "has_project",
            "grant_access",
            "revoke_access",
            "open_project",
            "close_project",
        )
        newest = min(self._age_of(name) for name in (*names, "project_group"))
        return self._age_of("has_projects") <= newest

    @classmethod
    def _age_of(cls, name: str) -> int:
        """How far from this class the one is that defines it."""
        return next(age for age, each in enumerate(cls.__mro__) if name in vars(each))

    def _opens_otherwise(self) -> bool:
        """Whether a subclass gives access in a way of its own, and hasn't said how to see it."""
        own, base = type(self), DjangoUsersAdapter
        opens = own.grant_access, own.open_project, own.project_group
        return own.has_project is base.has_project and opens != (
            base.grant_access,
            base.open_project,
            base.project_group,
        )

    # Granting and revoking it -------------------------------------------------------------------

    @retried
    @atomic()
    def grant_access(self, grant: AccessGrant) -> str:
        """Give the trainer access, with an account that is found or created, and return the account's id.

        Raises ``AdapterError`` if a person has to decide: the account was deactivated here, or several
        accounts have the Work Email.
        """
        email, trainer = grant.participant.work_email, grant.participant.opentrain_user_id
        if not email:
            raise AdapterError(_("This trainer has no Work Email yet."))
        account, created = accounts.bound_account(trainer), False
        if account is None:
            account, created = accounts.bind(
                trainer,
                email,
                may_adopt=self.may_adopt if self.adopt_existing_accounts else None,
                replace=self.replace_unproven_accounts,
                create=partial(self._create, email, grant),
            )
        accounts.require_consent(account, grant.tenant)
        returned = self._reactivate(account)
        moved = accounts.follow_email(account, grant.participant)
        if account.created_by_us:
            self.populate_user(self._user(account), grant.participant)
        self.open_project(self._user(account), grant)
        # A link that went to another address stops working with it.
        needs_link = created or returned or (moved and account.invitation in TrainerAccount.OPEN_INVITATIONS)
        if needs_link and self.sends_first_login:
            first_login.request(account)
        return str(account.user.pk)

    def may_adopt(self, user: UserT) -> bool:
        """Whether ``user`` has proven that their e-mail address, a trainer's Work Email, is theirs.

        Called before anything is changed. Optional; by default with django-allauth, if they have verified it. Without
        it never: with any address people can sign up that they know.
        """
        return addresses.is_verified(user)

    def account_to_bind(self, grant: AccessGrant) -> UserT:
        """The one account that has the trainer's Work Email; never one of staff, superusers or other trainers."""
        email = str(grant.participant.work_email)
        return cast("UserT", accounts.bindable_user(grant.participant.opentrain_user_id, email))

    def bind_account(self, grant: AccessGrant, user: UserT, *, by: str, tenant: str = "") -> None:
        """It becomes the trainer's, and is never deactivated here."""
        accounts.consent(grant.participant.opentrain_user_id, user, by=by, tenant=tenant)

    def create_user(self, email: str, participant: Participant) -> UserT:
        """A new account for a trainer who has none, with their Work Email; never one that was there before. Optional.

        Called in the transaction that gives access, before ``prepare_user``; it is saved after that. By default a
        user of the site's model, active, without privileges, with an unusable password and a free username.
        """
        return cast("UserT", accounts.new_user(email, participant.opentrain_user_id))

    def prepare_user(self, user: UserT, grant: AccessGrant) -> None:
        """Fill in what the site's user model requires of a new account. Optional.

        Called after ``create_user``, before the account is saved.
        """

    def populate_user(self, user: UserT, participant: Participant) -> None:
        """Bring an account that was created for the trainer up to date with what OpenTrain says of them. Optional.

        Called each time access is given, and when OpenTrain says something new, in its transaction, before
        ``open_project``. The account is saved already: save what you change.
        """

    def _create(self, email: str, grant: AccessGrant) -> UserT:
        user = self.create_user(email, grant.participant)
        accounts.show_texts(cast("Any", user))
        self.prepare_user(user, grant=grant)
        return user

    def revoke_access(self, grant: AccessGrant) -> None:
        """End the access, and with the last grant deactivate an account that was created for the trainer.

        Each is done in a transaction of its own, whatever becomes of the other. What failed is raised, so that the
        removal is retried.
        """
        # Loaded before the transactions, if it isn't yet: under REPEATABLE READ they see what was committed before
        # their first read, which has to come after the account's lock.
        prefetch_related_objects([grant], "participant")
        unclosed = _error_of(self._close, grant)
        still_active = _error_of(self._end_account, grant)
        if unclosed is not None:
            raise unclosed
        if still_active is not None:
            raise AdapterError(
                _("The project is closed. The trainer's account could not be deactivated (%(error)s).")
                % {"error": type(still_active).__name__}
            ) from still_active

    @retried
    @atomic()
    def _close(self, grant: AccessGrant) -> None:
        """The essential step: this grant's project is closed, unless another grant gives it."""
        account = accounts.bound_account(grant.participant.opentrain_user_id)
        # Checked again under the account's lock: another worker may have granted the same access since.
        if account is not None and self._can_have_opened(grant):
            same = AccessGrant.objects.wanted().of_project(grant.tenant, grant.external_project_id)
            if not same.of_trainer(grant).exists():
                self.close_project(self._user(account), grant)

    @retried
    @atomic()
    def _end_account(self, grant: AccessGrant) -> None:
        account = accounts.bound_account(grant.participant.opentrain_user_id)
        # While work is paused, of this grant or of another one, the account stays as it is.
        paused = grant.desired == AccessGrant.Desired.PAUSED
        is_last = not paused and not AccessGrant.objects.unrevoked().of_trainer(grant).exists()
        if account is not None and account.created_by_us and is_last:
            first_login.cancel(account)
            self._deactivate(account)

    def _can_have_opened(self, grant: AccessGrant) -> bool:
        """Whether the grant can have opened its project: a link made on OpenTrain may name another customer's."""
        return bool(grant.host_user_ref or self.get_project(grant.tenant, grant.external_project_id))

    def _reactivate(self, account: TrainerAccount) -> bool:
        """Undo a deactivation of ours; returns whether there was one."""
        return accounts.let_in(account)

    def _deactivate(self, account: TrainerAccount) -> None:
        # The site may have given it privileges since: then it is not ours to deactivate.
        if not accounts.is_locked_out(account) and not accounts.is_privileged(account.user):
            accounts.lock_out(account)

    def _user(self, account: TrainerAccount) -> UserT:
        """The trainer's account, as one of the site's user model."""
        return cast("UserT", account.user)

    # The first login ----------------------------------------------------------------------------

    def set_password_url(self, user: UserT) -> str:
        """The absolute URL at which this user chooses a password. Optional; by default a page of this package's.

        Called by ``invite``, for each mail.
        """
        return first_login.set_password_url(user)

    def invite(self, user: UserT) -> bool:
        """Send the set-password link to the user's Work Email; returns whether the mail server accepted it.

        A worker calls it when the mail is due, and retries it if it returns False or raises (by default
        ``AdapterError``, with the reason).
        """
        if not user.is_active:
            raise accounts.deactivated(user)
        return first_login.send(user, SecretStr(self.set_password_url(user)))

    def resend_first_login(self, grant: AccessGrant) -> bool:
        """Resend the set-password link. Raises ``AdapterError`` for accounts that weren't created for trainers."""
        trainer = grant.participant.opentrain_user_id
        created = TrainerAccount.objects.filter(opentrain_user_id=trainer, created_by_us=True)
        account = created.select_related("user").first()
        if account is None:
            raise AdapterError(_("This trainer signs in with an account that they had before."))
        return self.invite(self._user(account))

    def check_revocation(self) -> str | None:
        """Give a canary account access, revoke it, and check what it still reaches. Everything is rolled back.

        Raises ``NotImplementedError`` while no project is linked and access is more than a group here: then
        there is no project to test it with.
        """
        any_project_will_do = type(self).open_project is DjangoUsersAdapter.open_project
        return canary.check(self, any_project_will_do=any_project_will_do)


def _error_of(step: Callable[[AccessGrant], None], grant: AccessGrant) -> Exception | None:
    """Take a step of a removal; what it raised, so that the next one is taken all the same."""
    try:
        step(grant)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code may raise anything
        return error
    return None


def _left_active(asked: Sequence[tuple[TrainerAccount, AccessGrant]]) -> set[int]:
    """The grants that are over, and whose account was made for the trainer and is active without any grant."""
    over = {
        grant.pk: account.opentrain_user_id
        for account, grant in asked
        if account.created_by_us and grant.desired == AccessGrant.Desired.REVOKED
    }
    if not over:
        return set()
    wanted = AccessGrant.objects.unrevoked().filter(participant__opentrain_user_id__in=set(over.values()))
    working = set(wanted.values_list("participant__opentrain_user_id", flat=True))
    return {key for key, trainer in over.items() if trainer not in working}


def _groups(user: UserT) -> Any:
    """The user's groups; a site whose user model has none overrides what access is."""
    return cast("Any", user).groups
