"""Each action of the admin: a scene to try it in, and what is true once it is done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.platform import catalog
from django_opentrain.services import linking, usage, work
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import CAUSE, fresh

Action = tuple[type[models.Model], str]
#: What an action is tried on, and what has to be true afterwards.
Case = tuple[models.Model, Callable[[], bool]]


def verify(_opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(status=Install.Status.UNAUTHORIZED, last_error="refused")
    return install, lambda: fresh(install).status == Install.Status.ACTIVE and not fresh(install).last_error


def reconcile_now(opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(reconciled_at=None, next_reconcile_at=None)

    def reconciled() -> bool:
        opentrain.run()
        return fresh(install).reconciled_at is not None

    return install, reconciled


def confirm_held_removals(_opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(removals_held=6)
    return install, lambda: fresh(install).removals_confirmed and bool(fresh(install).next_reconcile_at)


def disconnect(opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install

    def disconnected() -> bool:
        opentrain.run()
        return (
            fresh(install).status == Install.Status.DISCONNECTED
            and hire.grant.state == AccessGrant.State.REVOKED
        )

    return install, disconnected


def unlink(opentrain: OpenTrain, hire: Hire) -> Case:
    link = hire.grant.link

    def unlinked() -> bool:
        opentrain.run()
        remote = link.install.client.list_project_links()
        return not remote and hire.grant.state == AccessGrant.State.REVOKED and CAUSE in hire.grant.cause

    return link, unlinked


def retry_now(opentrain: OpenTrain, hire: Hire) -> Case:
    later = timezone.now() + timedelta(hours=1)
    AccessGrant.objects.update(state=AccessGrant.State.FAILED, attempts=9, next_attempt_at=later)

    def settled() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return hire.grant, settled


def revoke(opentrain: OpenTrain, hire: Hire) -> Case:
    def gone() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.REVOKED and hire.grant.cause == CAUSE

    return hire.grant, gone


def restore(opentrain: OpenTrain, hire: Hire) -> Case:
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED, state=AccessGrant.State.REVOKED)

    def back() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED and hire.grant.cause == CAUSE

    return hire.grant, back


def give_again(opentrain: OpenTrain, hire: Hire) -> Case:
    AccessGrant.objects.update(state=AccessGrant.State.REMOVED_BY_HAND)

    def back() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return hire.grant, back


def bind(opentrain: OpenTrain, hire: Hire) -> Case:
    TrainerAccount.objects.all().delete()
    known = factories.make_user("known", email=hire.work_email.upper())
    User.objects.exclude(pk=known.pk).filter(email=hire.work_email).delete()
    AccessGrant.objects.update(state=AccessGrant.State.FAILED)

    def bound() -> bool:
        account = TrainerAccount.objects.get(user=known)
        opentrain.run()
        return hire.grant.host_user_ref == str(known.pk) and not account.created_by_us

    return hire.grant, bound


def accept_email(opentrain: OpenTrain, _hire: Hire) -> Case:
    held = opentrain.hire("Ken T.", work_email="ken@elsewhere.example")
    opentrain.run()

    def accepted() -> bool:
        opentrain.run()
        return held.grant.state == AccessGrant.State.GRANTED

    return held.grant, accepted


def pause(_opentrain: OpenTrain, hire: Hire) -> Case:
    endpoint = WebhookEndpoint.objects.get()

    def paused() -> bool:
        remote = hire.contract.install.client.get_webhook_endpoint(endpoint.opentrain_id)
        here = fresh(endpoint).status == WebhookEndpoint.Status.PAUSED
        return here and remote.status == catalog.ENDPOINT_DISABLED

    return endpoint, paused


def recover(_opentrain: OpenTrain, hire: Hire) -> Case:
    endpoint, client = WebhookEndpoint.objects.get(), hire.contract.install.client
    client.update_webhook_endpoint(endpoint.opentrain_id, status=catalog.ENDPOINT_DISABLED)
    WebhookEndpoint.objects.update(status=WebhookEndpoint.Status.DISABLED)

    def recovered() -> bool:
        here = fresh(endpoint).status == WebhookEndpoint.Status.ACTIVE
        return here and client.get_webhook_endpoint(endpoint.opentrain_id).status == catalog.ENDPOINT_ACTIVE

    return endpoint, recovered


def redeliver(opentrain: OpenTrain, hire: Hire) -> Case:
    """A delivery that was lost here, after OpenTrain had an answer."""
    event = WebhookEvent.objects.get(type=catalog.CONTRACT_STARTED)
    FORMS[WebhookEndpoint, "redeliver"]["delivery_id"] = event.delivery_id
    WebhookEvent.objects.all().delete()
    Contract.objects.all().delete()

    def redelivered() -> bool:
        opentrain.run()
        return WebhookEvent.objects.filter(delivery_id=event.delivery_id).exists() and hire.grant.is_settled

    return event.endpoint, redelivered


def rotate_secret(_opentrain: OpenTrain, _hire: Hire) -> Case:
    endpoint = WebhookEndpoint.objects.get()

    def rotated() -> bool:
        successor = WebhookEndpoint.objects.exclude(pk=endpoint.pk).get()
        return (
            fresh(endpoint).status == WebhookEndpoint.Status.RETIRING
            and successor.status == WebhookEndpoint.Status.ACTIVE
            and bool(successor.secret != endpoint.secret)
        )

    return endpoint, rotated


def replace_compromised(_opentrain: OpenTrain, _hire: Hire) -> Case:
    endpoint = WebhookEndpoint.objects.get()

    def replaced() -> bool:
        successor = WebhookEndpoint.objects.exclude(pk=endpoint.pk).get()
        gone = fresh(endpoint)
        return (gone.status, gone.secret, successor.status) == ("REMOVED", None, "ACTIVE")

    return endpoint, replaced


def process_now(opentrain: OpenTrain, hire: Hire) -> Case:
    opentrain.end(hire)
    opentrain.deliver()
    event = WebhookEvent.objects.get(status=WebhookEvent.Status.PENDING)

    def processed() -> bool:
        ended = hire.contract.status == Contract.Status.ENDED
        return ended and fresh(event).status == WebhookEvent.Status.PROCESSED

    return event, processed


def replay(opentrain: OpenTrain, hire: Hire) -> Case:
    Contract.objects.all().delete()
    event = WebhookEvent.objects.get(type=catalog.CONTRACT_STARTED)

    def replayed() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return event, replayed


def report_again(opentrain: OpenTrain, hire: Hire) -> Case:
    row = usage.record(hire.contract, opentrain.today, total_seconds=3600)
    DailyUsage.objects.update(status=DailyUsage.Status.REFUSED, error="no")

    def reported() -> bool:
        opentrain.run()
        return bool(fresh(row).status == DailyUsage.Status.REPORTED)

    return row, reported


def withhold_hours(_opentrain: OpenTrain, hire: Hire) -> Case:
    link = hire.grant.link
    return link, lambda: bool(fresh(link).hours_tracked_elsewhere)


def report_hours_again(_opentrain: OpenTrain, hire: Hire) -> Case:
    link = hire.grant.link
    ProjectLink.objects.update(hours_tracked_elsewhere=True)
    return link, lambda: not fresh(link).hours_tracked_elsewhere


def report_withheld_hours(opentrain: OpenTrain, hire: Hire) -> Case:
    row = usage.record(hire.contract, opentrain.today, total_seconds=3600)
    DailyUsage.objects.update(status=DailyUsage.Status.WITHHELD, hours_withheld=True)

    def reported() -> bool:
        opentrain.run()
        return (fresh(row).status, fresh(row).hours_withheld) == (DailyUsage.Status.REPORTED, False)

    return row, reported


def stop_work(opentrain: OpenTrain, hire: Hire) -> Case:
    Contract.objects.update(budget_state=catalog.BUDGET_DEPLETED)

    def stopped() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.PAUSED

    return hire.grant.link, stopped


def let_work(opentrain: OpenTrain, hire: Hire) -> Case:
    Contract.objects.update(budget_state=catalog.BUDGET_DEPLETED)
    linking.configure(hire.grant.link, stop_when_depleted=True)
    opentrain.run()
    assert hire.grant.state == AccessGrant.State.PAUSED

    def goes_on() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return hire.grant.link, goes_on


def answer_objection(_opentrain: OpenTrain, hire: Hire) -> Case:
    row = factories.make_objection(hire.contract)

    def answered() -> bool:
        now = fresh(row)
        return (now.status, now.answer, now.closed_by) == ("ANSWERED", "left the team", "operator ada")

    return row, answered


def _observed(opentrain: OpenTrain, hire: Hire) -> DailyUsage:
    """A day of twenty minutes, observed."""
    opentrain.travel(minutes=30)
    assert work.observe(hire.grant.host_user_ref, "1", "UPDATED", seconds=1200)
    usage.collect(hire.contract)
    return DailyUsage.objects.get()


def _is_corrected(row: DailyUsage) -> bool:
    entry = WorkEntry.objects.get(kind=WorkEntry.Kind.CORRECTED)
    said = (entry.reason, entry.corrected_by) == ("left the team", "operator ada")
    return said and (fresh(row).total_seconds, fresh(row).status) == (600, DailyUsage.Status.DUE)


def correct(opentrain: OpenTrain, hire: Hire) -> Case:
    row = _observed(opentrain, hire)
    return row, lambda: _is_corrected(row)


def correct_day(opentrain: OpenTrain, hire: Hire) -> Case:
    row = _observed(opentrain, hire)
    FORMS[Contract, "correct_day"]["work_date"] = row.work_date.isoformat()
    return hire.contract, lambda: _is_corrected(row)


def refresh_budget(_opentrain: OpenTrain, hire: Hire) -> Case:
    Contract.objects.update(budget_updated_at=None, payment_type="")
    return hire.contract, lambda: bool(hire.contract.budget_updated_at and hire.contract.payment_type)


def collect_and_report(opentrain: OpenTrain, hire: Hire) -> Case:
    usage.record(hire.contract, opentrain.today, total_seconds=3600)
    later = timezone.now() + timedelta(hours=1)
    Contract.objects.update(next_report_at=later, next_collect_at=later)
    return hire.contract, lambda: DailyUsage.objects.get().status == DailyUsage.Status.REPORTED


def apply_access(_opentrain: OpenTrain, hire: Hire) -> Case:
    later = timezone.now() + timedelta(hours=1)
    AccessGrant.objects.update(state=AccessGrant.State.FAILED, attempts=9, next_attempt_at=later)
    return hire.contract, lambda: hire.grant.state == AccessGrant.State.GRANTED


#: What is filled in before an action is confirmed, besides the reason.
FORMS: dict[Action, dict[str, str]] = {
    (WebhookEndpoint, "redeliver"): {},
    (DailyUsage, "correct"): {"minutes": "-10", "key": "once"},
    (Contract, "correct_day"): {"minutes": "-10"},
}

CASES: dict[Action, Callable[[OpenTrain, Hire], Case]] = {
    (Install, "verify"): verify,
    (Install, "reconcile_now"): reconcile_now,
    (Install, "confirm_held_removals"): confirm_held_removals,
    (Install, "disconnect"): disconnect,
    (ProjectLink, "unlink"): unlink,
    (ProjectLink, "withhold_hours"): withhold_hours,
    (ProjectLink, "report_hours"): report_hours_again,
    (ProjectLink, "stop_work"): stop_work,
    (ProjectLink, "let_work"): let_work,
    (AccessGrant, "retry_now"): retry_now,
    (AccessGrant, "give_again"): give_again,
    (AccessGrant, "bind"): bind,
    (AccessGrant, "accept_email"): accept_email,
    (AccessGrant, "revoke"): revoke,
    (AccessGrant, "restore"): restore,
    (WebhookEndpoint, "recover"): recover,
    (WebhookEndpoint, "redeliver"): redeliver,
    (WebhookEndpoint, "pause"): pause,
    (WebhookEndpoint, "rotate_secret"): rotate_secret,
    (WebhookEndpoint, "replace_compromised"): replace_compromised,
    (WebhookEvent, "process_now"): process_now,
    (WebhookEvent, "replay"): replay,
    (DailyUsage, "report_again"): report_again,
    (DailyUsage, "report_hours"): report_withheld_hours,
    (DailyUsage, "correct"): correct,
    (Contract, "refresh_budget"): refresh_budget,
    (Contract, "collect_and_report"): collect_and_report,
    (Contract, "apply_access"): apply_access,
    (Contract, "correct_day"): correct_day,
    (UsageObjection, "answer_and_close"): answer_objection,
}
