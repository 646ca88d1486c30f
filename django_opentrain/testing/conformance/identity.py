"""Who a trainer is: neither their name nor their Work Email, but OpenTrain's user id."""

from __future__ import annotations

import pytest

from django_opentrain.testing.conformance.hooks import STRANGERS_PASSWORD, AdapterHooks
from django_opentrain.testing.kit import OpenTrain

NAMES = {
    "one letter": "X",
    "apostrophe": "Seán O'Brien-Müller",
    "arabic": "محمد الأحمد",
    "hebrew": "שרה כהן",
    "chinese": "王小明",
    "japanese": "さくら 山田",
    "hindi": "अनिल कुमार",
    "emoji": "👩🏽‍💻 Ana 🦜",
    "right to left override": "Ana \u202ertl\u202c",
    "combining": "Zoe\u0308 A\u030a",
    "markup": "<b>Maria</b> & {{ name }} %s",
    "long": "Maria " + "x" * 294,
    "long, four bytes each": "🦜" * 300,
}

STRANGER_GOT_IN = (
    "A stranger who signed up with the trainer's Work Email has the trainer's access. An account may be adopted only"
    " if its owner has proven the address: leave may_adopt() of DjangoUsersAdapter as it is, or return False there"
    " for such an account; a grant_access() of your own raises AccountExists."
)


@pytest.mark.django_db
class IdentityConformance(AdapterHooks):
    """Names with every script, the same name twice, a Work Email that changes."""

    def test_every_name_gets_in(self, linked: OpenTrain) -> None:
        trainers = {kind: linked.hire(name) for kind, name in NAMES.items()}
        linked.run()
        outside = {kind: hire.grant for kind, hire in trainers.items() if not self.can_enter(hire.grant)}
        assert not outside, {kind: grant.last_error for kind, grant in outside.items()}
        for hire in trainers.values():
            linked.end(hire)
        linked.run()
        assert not [kind for kind, hire in trainers.items() if self.can_enter(hire.grant)]

    def test_namesakes_are_two_trainers(self, linked: OpenTrain) -> None:
        one, other = linked.hire("Maria S."), linked.hire("Maria S.")
        linked.run()
        assert one.grant.host_user_ref != other.grant.host_user_ref
        linked.end(one)
        linked.run()
        assert not self.can_enter(one.grant)
        assert self.can_enter(other.grant)

    def test_an_account_that_has_proven_nothing_gets_no_access(self, linked: OpenTrain) -> None:
        """Other customers know a Work Email: a stranger can sign up with it before the trainer is hired."""
        stranger = self.sign_up("maria.s@opentrain.work")
        session = stranger.get_session_auth_hash()
        maria = linked.hire("Maria S.", work_email="maria.s@opentrain.work")
        for _attempt in range(2):
            linked.run()
            linked.travel(hours=1)
        stranger.refresh_from_db()
        gets_in = stranger.check_password(STRANGERS_PASSWORD) or stranger.get_session_auth_hash() == session
        assert not (maria.grant.host_user_ref == str(stranger.pk) and gets_in), STRANGER_GOT_IN

    def test_a_long_work_email_gets_in(self, linked: OpenTrain) -> None:
        """64 characters before the @ (RFC 5321, section 4.5.3.1.1)."""
        trainer = linked.hire(work_email="m" * 64 + "@opentrain.work")
        linked.run()
        assert self.can_enter(trainer.grant), trainer.grant.last_error

    def test_another_work_email_is_the_same_trainer(self, linked: OpenTrain) -> None:
        before = linked.hire("Maria S.", work_email="maria.old@opentrain.work")
        linked.run()
        account = before.grant.host_user_ref
        linked.change_email(before, "maria.new@opentrain.work")
        after = linked.hire(again=before)
        linked.run()
        assert after.participant.work_email == "maria.new@opentrain.work"
        assert {before.grant.host_user_ref, after.grant.host_user_ref} == {account}
        assert self.can_enter(after.grant), after.grant.last_error

        linked.end(before)
        linked.end(after)
        linked.run()
        assert not self.can_enter(before.grant)
        assert not self.can_enter(after.grant)

    def test_a_work_email_in_other_letters_is_the_same_trainer(self, linked: OpenTrain) -> None:
        before = linked.hire("Maria S.", work_email="maria.s@opentrain.work")
        linked.run()
        account = before.grant.host_user_ref
        linked.change_email(before, "Maria.S@opentrain.work")
        after = linked.hire(again=before)
        linked.run()
        assert self.can_enter(after.grant), after.grant.last_error
        assert {before.grant.host_user_ref, after.grant.host_user_ref} == {account}
