"""One language per page: texts, dates, form errors and direction go together."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_opentrain import languages
from django_opentrain.services.access import invitations
from tests import factories
from tests.services.test_invitations import hire
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.scenes import full_scene
from tests.web.test_decorators import ask, readable_pages

HOME = "/opentrain/"
#: Django has these languages, and we don't; one is written from right to left.
FOREIGN = ["fi", "he"]
WITH_LOCALE = ["django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever catalogues are added, the tests know which there are."""
    monkeypatch.setattr(languages, "catalogues", lambda: frozenset({"en", "de", "pt-br", "zh-hans"}))


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("en", "en"),
        ("en-gb", "en-gb"),
        ("de", "de"),
        ("de-at", "de-at"),  # gettext finds "de" for it, Django the numbers of Austria
        ("pt-br", "pt-br"),
        ("pt", "pt-br"),
        ("pt-pt", "pt-br"),
        ("zh-hans", "zh-hans"),
        ("zh-cn", "zh-hans"),
        ("fi", "en"),
        ("he", "en"),
        ("x", "en"),
    ],
)
def test_variants_are_found_as_django_finds_them(language: str, spoken: str) -> None:
    assert languages.spoken(language) == spoken


@pytest.mark.long
@pytest.mark.parametrize("language", FOREIGN)
def test_no_page_mixes_our_english_with_another_language(visitor: Visitor, language: str) -> None:
    scene = full_scene()
    trainer = scene.grant.participant.opentrain_user_id
    maria, boss = visitor("maria"), visitor("acme-boss")
    factories.make_trainer_account(User.objects.get(username="maria"), opentrain_user_id=trainer)
    day = {"pk": scene.contract.pk, "day": timezone.now().date().isoformat()}
    work = [reverse("opentrain:work"), reverse("opentrain:work-day", kwargs=day), f"{HOME}work/99/"]
    count = 0
    with override_settings(LANGUAGE_CODE=language):
        visits = [(boss, url) for url in readable_pages(scene)]
        visits += [
            (visitor("acme-clerk"), HOME),
            (visitor("stranger"), HOME),
            *((maria, url) for url in work),
        ]
        for client, url in visits:
            response = ask(client, "GET", url)
            if response.status_code in (302, 405) or response.streaming:
                continue
            (html,) = page_of(response).all("html")
            assert html.attributes == {"lang": "en"}, url
            assert response["Content-Language"] == "en"
            count += 1
    assert count > 20


@pytest.mark.parametrize("language", FOREIGN)
def test_dates_and_errors_are_english_with_it(boss: Client, language: str) -> None:
    scene = full_scene()
    with override_settings(LANGUAGE_CODE=language):
        page = text_of(boss.get(reverse("opentrain:contract", args=[scene.contract.pk])))
        assert "Nov. 2, 2026" in page
        url = reverse("opentrain:link", args=[scene.install.pk])
        assert "This field is required." in text_of(send(boss, url))
        assert translation.get_language() == language  # the rest of the request is the host's


def send(client: Client, url: str, **data: str) -> Any:
    client.cookies["csrftoken"] = token = "c" * 32
    return client.post(url, {"csrfmiddlewaretoken": token, **data})


@pytest.mark.parametrize("language", FOREIGN)
def test_a_page_that_django_renders_later_is_english_too(client: Client, language: str) -> None:
    user = factories.make_user("maria")
    factories.make_trainer_account(user)
    key = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    url = reverse("opentrain:set-password", kwargs={"uidb64": key, "token": token})
    validators = [{"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"}]
    with override_settings(LANGUAGE_CODE=language, AUTH_PASSWORD_VALIDATORS=validators):
        response = client.get(url, follow=True)
    text = text_of(response)
    assert "New password" in text
    assert "entirely numeric" in text
    assert '<html lang="en">' in response.content.decode()


def test_a_visitors_language_is_not_mixed_with_the_sites(boss: Client) -> None:
    """gettext would say in the site's German what it doesn't find in Finnish."""
    with override_settings(LANGUAGE_CODE="de", MIDDLEWARE=WITH_LOCALE):
        foreign = boss.get(HOME, headers={"accept-language": "fi"})
        german = boss.get(HOME, headers={"accept-language": "de-at"})
    assert "Not connected" in text_of(foreign)
    assert foreign["Content-Language"] == "en"
    assert "Nicht verbunden" in text_of(german)


@pytest.mark.parametrize(("language", "lang"), [("de-at", "de-at"), ("pt", "pt-br"), ("en-gb", "en-gb")])
def test_a_page_says_which_variant_it_is_in(boss: Client, language: str, lang: str) -> None:
    with override_settings(LANGUAGE_CODE=language):
        (html,) = page_of(boss.get(HOME)).all("html")
    assert html.attributes == {"lang": lang}


def test_a_language_from_right_to_left_that_we_speak_is_written_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "catalogues", lambda: frozenset({"en", "he"}))
    with override_settings(LANGUAGE_CODE="he"):
        (html,) = page_of(boss.get(HOME)).all("html")
    assert html.attributes == {"lang": "he", "dir": "rtl"}


def test_a_mail_is_in_one_language(db: None) -> None:
    adapter = "django_opentrain.adapters.users.DjangoUsersAdapter"
    with (
        override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}, LANGUAGE_CODE="fi"),
        translation.override("fi"),
    ):
        hire("maria")
        invitations.send_due()
    assert "The link works once" in str(mail.outbox[0].body)


@pytest.mark.parametrize("language", ["de", "he"])
def test_a_site_without_translations_is_english_and_says_so(boss: Client, language: str) -> None:
    with override_settings(LANGUAGE_CODE=language, USE_I18N=False):
        response = boss.get(HOME)
    assert '<html lang="en">' in response.content.decode()
    assert "Not connected" in text_of(response)


# Which catalogues there are ---------------------------------------------------------------------


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()


def test_the_catalogues_are_those_in_the_folder(real: None) -> None:
    folders = {
        translation.to_language(path.parent.parent.name)
        for path in languages.LOCALE.glob("*/LC_MESSAGES/django.mo")
    }
    assert languages.catalogues() == folders | {"en"}
    assert "de" in languages.catalogues()


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="compiles a catalogue")
def test_a_site_adds_a_language_by_a_catalogue_of_our_texts(real: None, tmp_path: Path) -> None:
    for language, text in (("fi", "Connect to OpenTrain"), ("he", "Something of the site's")):
        folder = tmp_path / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        (folder / "django.po").write_text(f'{head}msgid "{text}"\nmsgstr "x"\n', encoding="utf-8")
        subprocess.run(["msgfmt", "-o", folder / "django.mo", folder / "django.po"], check=True)
    with override_settings(LOCALE_PATHS=[tmp_path]):
        assert languages.spoken("fi") == "fi"
        assert languages.spoken("he") == "en"
