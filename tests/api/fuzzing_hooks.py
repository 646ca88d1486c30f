"""What a browser adds to each call, for schemathesis: the CSRF token that belongs to the session's cookie."""

from __future__ import annotations

import os
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_context: object, case: Any, _kwargs: object) -> None:
    token = os.environ["CSRF_TOKEN"]
    case.headers["X-CSRFToken"] = token
    case.cookies["csrftoken"] = token
