"""Tokens and jobs as people paste them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_opentrain.errors import LinkError, TokenRefused
from django_opentrain.models import Install
from django_opentrain.platform.pasted import unwrapped
from django_opentrain.platform.redaction import redact
from django_opentrain.services import connect
from django_opentrain.services.linking import jobs
from django_opentrain.testing.kit import OpenTrain
from tests import factories

#: What mails, chats, terminals and word processors put around a copied text.
AROUND = [
    ("  ", "\r\n"),
    ('"', '"'),
    ("'", "'"),
    ("`", "`"),
    ("\u201c", "\u201d"),  # English
    ("\u201e", "\u201c"),  # German
    ("\u2018", "\u2019"),
    ("\u00ab\u00a0", "\u00a0\u00bb"),  # French, with its blanks
    ("\u2039", "\u203a"),
    ("\u300c", "\u300d"),  # Japanese
    ("<", ">"),
    ("\u200b", "\ufeff"),
    ("\u202a", "\u202c"),
    (' "<\u2060', "\u00ad>\u2028'\t"),
]


@pytest.mark.parametrize(("before", "after"), AROUND)
def test_what_copying_brings_is_no_part_of_a_token(
    db: None, opentrain: OpenTrain, before: str, after: str
) -> None:
    approval = opentrain.sandbox.approve()
    waiting = factories.make_install("acme", status=Install.Status.PENDING, token=None, opentrain_id=None)
    connected = connect.capture_token(waiting, f"{before}{approval.token}{after}")
    assert connected.token == approval.token


def test_what_cannot_be_seen_is_no_part_of_a_token_either(db: None, opentrain: OpenTrain) -> None:
    token = opentrain.sandbox.approve().token
    waiting = factories.make_install("acme", status=Install.Status.PENDING, token=None, opentrain_id=None)
    assert connect.capture_token(waiting, f"{token[:9]}\u200b\u00ad{token[9:]}").token == token


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("ot_pat_0123456789abcdef", "personal access token"),
        ("\u201cot_pat_0123456789abcdef\u201d\n", "personal access token"),
        ("ot_ptk_one ot_ptk_two", "Copy all of it"),
        ("ot_ptk_", "Copy all of it"),
        ('""', "Copy all of it"),
        ("ot_ptk_\u00e9", "Copy all of it"),
        ("ot_ptk_" + "x" * 600, "Copy all of it"),
    ],
)
def test_what_is_no_token_of_ours_is_named_for_what_it_is(db: None, pasted: str, words: str) -> None:
    waiting = factories.make_install("acme", status=Install.Status.PENDING, token=None, opentrain_id=None)
    with pytest.raises(TokenRefused, match=words) as caught:
        connect.capture_token(waiting, pasted)
    assert "ot_ptk_" in str(caught.value)
    assert "0123456789" not in str(caught.value)


def test_a_personal_access_token_is_a_secret_too() -> None:
    assert redact("refused ot_pat_0123456789abcdef") == "refused ot_pat_[redacted]"


# Jobs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ("", ""),
        ("  ", ""),
        ("job_1", "job_1"),
        (" \u201ejob_1\u201c\n", "job_1"),
        ("clx0q2v5n0000", "clx0q2v5n0000"),
        ("an id with blanks", "an id with blanks"),  # ids are OpenTrain's: it knows whether one exists
        ("https://app.opentrain.test/jobs/job_1", "job_1"),
        ("https://app.opentrain.test/jobs/job_1/", "job_1"),
        ("<https://app.opentrain.test/jobs/job_1?tab=applicants#top>", "job_1"),
        ("https://app.opentrain.test/employer/jobs/job_1/applicants", "job_1"),
        ("https://app.opentrain.test/job/job_1", "job_1"),
        ("HTTPS://APP.OpenTrain.test:443/jobs/job_1", "job_1"),
        ("app.opentrain.test/jobs/job_1", "job_1"),
    ],
)
def test_a_job_is_its_id_or_its_url(text: str, job: str) -> None:
    assert jobs.job_id(text) == job


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://evil.example/jobs/job_1", "no page of app.opentrain.test"),
        ("ot_ptk_0123456789abcdef", "no page of"),
        ("maria@opentrain.work", "no page of"),
        ("job\0_1", "no page of"),
        ("https://app.opentrain.test.evil.example/jobs/job_1", "no page of"),
        ("https://app.opentrain.test@evil.example/jobs/job_1", "no page of"),
        ("https://me@app.opentrain.test/jobs/job_1", "no page of"),
        ("https://app.opentrain.test:8443/jobs/job_1", "no page of"),
        ("https://app.opentrain.test:x/jobs/job_1", "no page of"),
        ("https://[app.opentrain.test/jobs/job_1", "no page of"),
        ("http://app.opentrain.test/jobs/job_1", "no page of"),
        ("javascript://app.opentrain.test/jobs/job_1", "no page of"),
        ("https://app.opentrain.test/", "names no job"),
        ("https://app.opentrain.test/jobs", "names no job"),
        ("https://app.opentrain.test/jobs/", "names no job"),
        ("https://app.opentrain.test/jobs/job%2F1", "names no job"),
        ("https://app.opentrain.test/contracts/ctr_1", "names no job"),
        ("https://app.opentrain.test/?next=/jobs/job_1", "names no job"),
        ("x" * 201, "too long"),
        ("https://app.opentrain.test/jobs/" + "x" * 201, "names no job"),
        ("x" * 3000, "too long"),
    ],
)
def test_another_url_is_no_job(text: str, words: str) -> None:
    with pytest.raises(LinkError, match=words) as caught:
        jobs.job_id(text)
    assert caught.value.field == "job_id"


def test_a_sandbox_with_a_port_has_pages_too() -> None:
    changed: Any = {**settings.OPENTRAIN, "BASE_URL": "http://127.0.0.1:8030"}
    with override_settings(OPENTRAIN=changed):
        assert jobs.job_id("http://127.0.0.1:8030/jobs/job_1") == "job_1"
        with pytest.raises(LinkError):
            jobs.job_id("http://127.0.0.1/jobs/job_1")


def test_cleaning_takes_linear_time() -> None:
    def seconds(text: str) -> float:
        begun = time.process_time()
        unwrapped(text)
        return time.process_time() - begun

    for hostile in ('"', "\u200b", " \u00ad", '"x', "x "):
        seconds(hostile * 1000)
        assert seconds(hostile * 200_000) < 2
