#!/usr/bin/env bash
# Found: Webhook.sign() of standardwebhooks, and of svix, which uses it, doesn't convert an aware datetime to UTC: it
# exchanges its zone for UTC and keeps the clock's digits. What is signed is the right moment only for a datetime in
# UTC; in any other zone the library doesn't verify its own signature.
#
# Versions: standardwebhooks 1.1.0, svix 2.9.1.
#
# Source: the Standard Webhooks specification: the timestamp is the Unix time of the attempt, in whole seconds. A Unix
# time doesn't depend on a zone. standardwebhooks/webhooks.py signs `timestamp.replace(tzinfo=timezone.utc)`. The README
# of the library doesn't say that the argument has to be in UTC, and the type is a plain datetime.
#
# Why a good guess is wrong: two aware datetimes that are equal (==) give two signatures. It passes on a server in UTC.
# Whom it hurts: who sends webhooks from Django with timezone.localtime(), or a datetime that a form or a test made in
# the user's zone. Receivers answer "no matching signature", so the secret is suspected, not the clock.
# The way out: pass timestamp.astimezone(timezone.utc).
#
# Output seen:
#   standardwebhooks, UTC:           accepted
#   standardwebhooks, Europe/Berlin: WebhookVerificationError: No matching signature found
#   svix, UTC:                       accepted
#   svix, Europe/Berlin:             WebhookVerificationError: No matching signature found
#   Berlin's signature is that of the moment 3600 seconds later (in summer: 7200)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check standardwebhooks==1.1.0 svix==2.9.1 tzdata==2026.3
cat >"$work/finding.py" <<'PYTHON'
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import standardwebhooks
import svix.webhooks

SECRET, BODY, BERLIN = "whsec_Zm9yIHRoaXMgZmluZGluZyBvbmx5", '{"type": "contract.ended"}', ZoneInfo("Europe/Berlin")
seen = []
for name, library in (("standardwebhooks", standardwebhooks), ("svix", svix.webhooks)):
    webhook = library.Webhook(SECRET)
    for zone in (ZoneInfo("UTC"), BERLIN):
        now = datetime.now(zone)
        signature = webhook.sign("msg_1", now, BODY)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            webhook.verify(BODY, headers)
            result = "accepted"
        except standardwebhooks.WebhookVerificationError as problem:
            result = f"{type(problem).__name__}: {problem}"
        print(f"{name}, {zone}: {result}")
        seen.append(result == "accepted")
    shift = now.utcoffset()
    if webhook.sign("msg_1", now.astimezone(UTC) + shift, BODY) != signature or shift <= timedelta(0):
        sys.exit("it signs another moment than was found")
print(f"Berlin's signature is that of the moment {shift.seconds} seconds later")
if seen != [True, False, True, False]:
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
