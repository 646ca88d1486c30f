"""A site under OpenTelemetry's real instrumentations of Django, Celery and requests; prints, as JSON, its spans.

A process of its own: the instrumentations patch all three for good.
"""

from __future__ import annotations

import json
import os
from typing import Any

import django
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.test import Client, override_settings
from django.test.utils import setup_test_environment
from django.urls import reverse
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

METRICS_TOKEN = "metrics-token-of-the-monitor"


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    instrumentors: list[Any] = [DjangoInstrumentor, CeleryInstrumentor, RequestsInstrumentor]
    for instrumentor in instrumentors:
        instrumentor().instrument()
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)
    options = {
        **settings.OPENTRAIN,
        "ADAPTER": "tests.testing.hosts.GroupAdapter",
        "METRICS_TOKEN": METRICS_TOKEN,
    }
    with override_settings(OPENTRAIN=options):
        secrets = whole_loop()
    # As the exporters send them.
    spans = [json.loads(span.to_json()) for span in exporter.get_finished_spans()]
    print(json.dumps({"spans": spans, "secrets": secrets}))  # noqa: T201 - its result


def whole_loop() -> dict[str, str]:
    """Connect by the pages, hire, log in, report, and all of it failing; returns the secrets that were used."""
    from django_opentrain import tasks
    from django_opentrain.conf import conf
    from django_opentrain.models import WebhookEndpoint
    from django_opentrain.services import usage
    from django_opentrain.testing.kit import OpenTrain
    from tests.factories import make_user
    from tests.web.test_connect import arrive, send

    with OpenTrain() as opentrain:
        boss = Client(enforce_csrf_checks=True)
        boss.force_login(make_user("acme-boss"))
        url, token = arrive(boss, opentrain)
        send(boss, url, token=token[:-1])
        send(boss, url, token=token)
        install = opentrain.connect()
        opentrain.link("1")
        hire = opentrain.hire("Maria")
        opentrain.run()
        login_link = str(mail.outbox[-1].body).split("set-password/")[1].split()[0]
        opentrain.first_login(hire)
        tasks.converge_access.apply((hire.grant.pk,))
        endpoint = WebhookEndpoint.objects.get(install=install)
        Client().get(reverse("opentrain:metrics"), headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        usage.add(hire.contract, opentrain.today, total_seconds=3600)
        opentrain.fail_next(500, times=20)
        tasks.collect_and_report_usage.apply()
        tasks.reconcile_install.apply((install.pk,))
        opentrain.end(hire)
        opentrain.deliver()
        with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": ["x" * 43 + "="]}):
            tasks.drain.apply()
            tasks.reconcile_install.apply((install.pk,))
        return {
            "pasted token": token,
            "token": install.token or "",
            "secret": endpoint.secret or "",
            "Work Email": hire.work_email,
            "metrics token": METRICS_TOKEN,
            "encryption key": conf.encryption_keys[0],
            "first login": login_link,
        }


if __name__ == "__main__":
    main()
