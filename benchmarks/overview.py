"""What the admin's overview and the first pages of its lists cost on a large site.

::

    python -m benchmarks.overview [--events 2000000] [--contracts 100000] [--days 1000000] [--rounds 5] [--explain]

Each contract has two grants. The rows are copied inside the database (PostgreSQL's): one in a thousand needs
attention. Printed are the median milliseconds of each page; ``--explain`` prints the plans of slow statements to the
standard error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.lines import Line, command
from benchmarks.site import database
from django_opentrain.models import Heartbeat, Install
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_trainer_account,
    make_usage,
    make_user,
)
from tests.settings import MIDDLEWARE

INSTALLS = 1000
#: Milliseconds that the overview may take.
WANTED = 150
LISTS = "/admin/django_opentrain"
PAGES = {
    "overview": f"{LISTS}/",
    "connections": f"{LISTS}/install/",
    "connections, searched": f"{LISTS}/install/?q=acme+77",
    "links": f"{LISTS}/projectlink/",
    "links, a customer's": f"{LISTS}/projectlink/?q=acme+7",
    "contracts": f"{LISTS}/contract/",
    "contracts, searched": f"{LISTS}/contract/?q=ctr_77",
    "contracts, a customer's": f"{LISTS}/contract/?q=acme+7",
    "contracts, by title": f"{LISTS}/contract/?q=Photos",
    "contracts, by trainer": f"{LISTS}/contract/?q=Maria+77",
    "trainers": f"{LISTS}/participant/",
    "trainers, searched": f"{LISTS}/participant/?q=Maria+77",
    "grants": f"{LISTS}/accessgrant/",
    "grants, searched": f"{LISTS}/accessgrant/?q=usr_77",
    "grants, a customer's": f"{LISTS}/accessgrant/?q=acme+7",
    "grants, failing": f"{LISTS}/accessgrant/?attention=yes",
    "accounts": f"{LISTS}/traineraccount/",
    "accounts, searched": f"{LISTS}/traineraccount/?q=usr_77",
    "endpoints": f"{LISTS}/webhookendpoint/",
    "endpoints, searched": f"{LISTS}/webhookendpoint/?q=end_77",
    "events": f"{LISTS}/webhookevent/",
    "events, searched": f"{LISTS}/webhookevent/?q=res_77",
    "events, not found": f"{LISTS}/webhookevent/?q=res_none",
    "events, a customer's": f"{LISTS}/webhookevent/?q=acme+7",
    "events, failed": f"{LISTS}/webhookevent/?attention=events-failed",
    "events, processed": f"{LISTS}/webhookevent/?status__exact=PROCESSED",
    "daily usage": f"{LISTS}/dailyusage/",
    "daily usage, searched": f"{LISTS}/dailyusage/?q=usr_77",
    "daily usage, not found": f"{LISTS}/dailyusage/?q=usr_none",
    "daily usage, a customer's": f"{LISTS}/dailyusage/?q=acme+7",
    "daily usage, due": f"{LISTS}/dailyusage/?status__exact=DUE",
}


def copy(row: Model, count: int, **columns: str) -> int:
    """Insert this many copies of a row; ``columns`` are SQL expressions over ``n``, from 1.

    Returns the last key before them.
    """
    table, fields = row._meta.db_table, row._meta.concrete_fields
    names = [str(field.column) for field in fields if not field.primary_key]
    unknown = set(columns) - set(names)
    assert not unknown, unknown
    values = [columns.get(name, f't."{name}"') for name in names]
    (key,) = (field.column for field in fields if field.primary_key)
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT MAX("{key}") FROM "{table}"')
        (last,) = cursor.fetchone()
        cursor.execute(
            f'INSERT INTO "{table}" ({", ".join(f"{chr(34)}{name}{chr(34)}" for name in names)})'
            f' SELECT {", ".join(values)} FROM "{table}" t, generate_series(1, {count}) n'
            f' WHERE t."{key}" = {row.pk} ORDER BY n'
        )
    return int(last)


def seed(events: int, contracts: int, days: int) -> None:
    """A site with this much in it."""
    now = timezone.now()
    Heartbeat.objects.create(name="sweep", beat_at=now, host="localhost")
    install = make_install("acme")
    link, person = make_link(install), make_participant(install, opentrain_user_id="first")
    contract = make_contract(install, [link], trainer=person, payment_type="PAY_PER_LABEL")
    grant, endpoint = make_grant(contract, link, person), make_endpoint(install)
    event, day = make_event(endpoint, status="PROCESSED"), make_usage(contract)
    account = make_trainer_account(make_user(), opentrain_user_id=person.opentrain_user_id)
    Install.objects.update(reconciled_at=now)

    rare = "n % 1000 = 7"
    of = f"1 + n % {INSTALLS}"
    installs = copy(install, INSTALLS, tenant="'acme ' || n", opentrain_id="'ins_' || n")
    links = copy(link, INSTALLS, install_id=f"{installs} + n", opentrain_id="'lnk_' || n")
    copy(
        endpoint, INSTALLS, install_id=f"{installs} + n", opentrain_id="'end_' || n", key="gen_random_uuid()"
    )
    persons = copy(
        person,
        contracts,
        install_id=f"{installs} + {of}",
        opentrain_user_id="'usr_' || n",
        display_name="'Maria ' || n",
    )
    hired = copy(
        contract,
        contracts,
        install_id=f"{installs} + {of}",
        opentrain_id="'ctr_' || n",
        trainer_id=f"{persons} + n",
        status="CASE WHEN n % 3 = 0 THEN 'ended' ELSE 'active' END",
        ended_at="CASE WHEN n % 3 = 0 THEN now() - interval '90 days' END",
        budget_state="CASE WHEN n % 20 = 1 THEN 'LOW' WHEN n % 50 = 1 THEN 'DEPLETED' ELSE 'OK' END",
        collect_error=f"CASE WHEN {rare} THEN 'KeyError' ELSE '' END",
    )
    for second in (False, True):
        copy(
            grant,
            contracts,
            contract_id=f"{hired} + n",
            participant_id=f"{persons} + n",
            link_id=f"{links} + {of}" if not second else f"{links} + 1 + (n + 1) % {INSTALLS}",
            desired="CASE WHEN n % 3 = 0 THEN 'REVOKED' ELSE 'GRANTED' END",
            state=f"CASE WHEN {rare} THEN 'FAILED' WHEN n % 3 = 0 THEN 'REVOKED' ELSE 'GRANTED' END",
        )
    with connection.cursor() as cursor:
        users = account.user._meta.db_table
        cursor.execute(f'SELECT MAX(id) FROM "{users}"')
        (last,) = cursor.fetchone()
    copy(account.user, contracts, username="'trainer' || n")
    copy(
        account,
        contracts,
        user_id=f"{last} + n",
        opentrain_user_id="'usr_' || n",
        invitation=f"CASE WHEN {rare} THEN 'FAILED' WHEN n % 100 = 1 THEN 'SENT' ELSE 'LOGGED_IN' END",
        invitation_sent_at="now() - interval '10 days'",
    )
    copy(
        event,
        events,
        endpoint_id=f"{endpoint.pk} + {of}",
        event_id="'evt_' || n",
        delivery_id="'dlv_' || n",
        resource_id="'res_' || n",
        digest="md5(n::text) || md5((-n)::text)",
        # Thirty days of them.
        received_at=f"now() - interval '30 days' * ({events} - n) / {events}",
        status=f"CASE WHEN {rare} THEN 'FAILED' WHEN n > {events} - 2000 THEN 'PENDING'"
        " WHEN n % 5 = 1 THEN 'IGNORED' ELSE 'PROCESSED' END",
        body=f"CASE WHEN n > {events} / 2 THEN t.body || decode(repeat(md5(n::text), 20), 'hex') END",
    )
    copy(
        day,
        days,
        contract_id=f"{hired} + 1 + n % {contracts}",
        # Ninety days, a row for each contract and ninth day.
        work_date=f"current_date - (n / {contracts}) * 9 - n % 9",
        status=f"CASE WHEN {rare} THEN 'REFUSED' WHEN n < {contracts} / 50 THEN 'DUE' ELSE 'REPORTED' END",
        updated_at="now() - interval '2 days'",
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def milliseconds(step: Callable[[], Any]) -> float:
    """How long it took."""
    began = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - began)


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What each page takes."""
    with database(), override_settings(ROOT_URLCONF="tests.urls", MIDDLEWARE=MIDDLEWARE):
        seed(options.events, options.contracts, options.days)
        client = Client()
        client.force_login(make_user("root", is_staff=True, is_superuser=True))
        for name, url in PAGES.items():
            assert client.get(url).status_code == 200, url
            took = [milliseconds(partial(client.get, url)) for _ in range(options.rounds)]
            limit = WANTED if name == "overview" else None
            yield Line(name=name, unit="ms", ours=statistics.median(took), limit=limit)
            if options.explain:
                explain(client, url)


def explain(client: Client, url: str) -> None:
    """Print how the database runs the page's slow statements."""
    with CaptureQueriesContext(connection) as statements:
        client.get(url)
    for statement in statements:
        if float(statement["time"]) <= 0.02:
            continue
        print(f"{1000 * float(statement['time']):.0f} ms: {statement['sql'][:4000]}", file=sys.stderr)
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement['sql']}".replace("%", "%%"))
            print(*(f"    {line}" for (line,) in cursor.fetchall()), sep="\n", file=sys.stderr)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overview", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--contracts", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--explain", action="store_true", help="show the plan of each slow statement")
    command(measure, parser)


if __name__ == "__main__":
    main()
