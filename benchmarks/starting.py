"""One process of ``benchmarks.startup``: starts a site, with ``post`` also answers a delivery, and prints its cost.

Run in a process of its own, in which nothing else has been imported.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import benchmarks.bare_site.celery  # noqa: F401 - the site's package does it, by Celery's guide for Django


def post(path: str, body: bytes, signature: str) -> None:
    """One delivery through Django's WSGI handler. Raises ``SystemExit`` if the answer isn't 200."""
    import io  # noqa: PLC0415 - after Django, as everything of the measured site

    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415

    handler = WSGIHandler()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "annotate.example",
        "SERVER_PORT": "443",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_OPENTRAIN_SIGNATURE": signature,
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    status: list[str] = []

    def start_response(line: str, *_headers: object) -> Callable[[bytes], object]:
        status.append(line)
        return lambda _body: None

    handler(environ, start_response).close()
    if status != ["200 OK"]:
        raise SystemExit(f"Expected 200, got {status}")


def main() -> None:
    """Start the site, and print milliseconds of CPU, MB of memory and the number of modules."""
    import django  # noqa: PLC0415 - the site imports its Celery app first

    django.setup()
    if len(sys.argv) > 1:
        path, body, signature = sys.argv[1:]
        post(path, body.encode(), signature)
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stdout.write(f"{(used.ru_utime + used.ru_stime) * 1e3} {used.ru_maxrss / 1024} {len(sys.modules)}\n")


if __name__ == "__main__":
    main()
