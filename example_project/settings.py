"""Settings of the example: everything that depends on where it runs comes from the environment (django-environ)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import environ  # type: ignore[import-untyped] # it has no annotations
from cryptography.fernet import Fernet

from django_opentrain.schedule import BEAT_SCHEDULE

HERE = Path(__file__).resolve().parent
env = environ.Env()

#: Where this site keeps its database, its broker's messages, its mail and its keys.
DATA = Path(env("DATA_DIR", default=str(HERE / ".data"))).resolve()


def kept(name: str, make: Callable[[], str]) -> str:
    """A secret of this site: generated once, kept in a file that only its owner can read."""
    path, draft = DATA / name, DATA / f"{name}.{os.getpid()}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(make(), encoding="utf-8")
        # Another process may be starting, too: the first file is kept.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="utf-8")


def folder(name: str) -> str:
    """A folder below ``DATA``; created if it doesn't exist."""
    path = DATA / name
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def at_pace(schedule: dict[str, dict[str, Any]], pace: float) -> dict[str, dict[str, Any]]:
    """The schedule, with what runs every so many seconds running ``pace`` times as often, but at most every two
    seconds, and for all customers at once, each hour of theirs, what they have turns for: demos are in a hurry.
    """
    if pace == 1:
        return schedule
    quicker = {name: entry for name, entry in schedule.items() if isinstance(entry["schedule"], float)}
    for name, entry in quicker.items():
        normal = 3600.0 if entry.get("kwargs", {}).get("in_turns") else entry["schedule"]
        seconds = max(normal / pace, min(normal, 2.0))
        quicker[name] = {**entry, "schedule": seconds, "kwargs": {}, "options": {"expires": seconds}}
    return {**schedule, **quicker}


DATA.mkdir(parents=True, exist_ok=True)
SECRET_KEY = env("SECRET_KEY", default="") or kept("secret-key", lambda: secrets.token_urlsafe(50))
DEBUG = env.bool("DEBUG", default=False)
PUBLIC_URL = env("PUBLIC_URL", default="http://127.0.0.1:8000")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", urlsplit(PUBLIC_URL).hostname])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_opentrain",
    "example_project.labelling",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.labelling.middleware.content_security_policy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "projects"
LOGOUT_REDIRECT_URL = "login"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db("DATABASE_URL", default=f"sqlite:///{DATA / 'site.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Several processes write: they wait for each other instead of giving up.
    DATABASES["default"]["OPTIONS"] = {"timeout": 30}
    if django.VERSION >= (5, 1):
        DATABASES["default"]["OPTIONS"] |= {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        }

# Mail: without a server by default, mails are files.
mail_server = env("EMAIL_HOST", default="")
backend = f"django.core.mail.backends.{'smtp' if mail_server else 'filebased'}.EmailBackend"
if django.VERSION >= (6, 1):
    options = {"host": mail_server} if mail_server else {"file_path": folder("mail")}
    MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
else:
    EMAIL_BACKEND, EMAIL_HOST, EMAIL_FILE_PATH = backend, mail_server, folder("mail")
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="annotate@example.com")

# Celery: without a server by default, its messages are files.
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="filesystem://")
CELERY_TASK_DEFAULT_QUEUE = env("CELERY_QUEUE", default="opentrain-example")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = TIME_ZONE
if CELERY_BROKER_URL.startswith("filesystem:"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": folder("broker/messages"),
        "data_folder_out": folder("broker/messages"),
        "control_folder": folder("broker/control"),
        "polling_interval": 0.25,
    }
CELERY_BEAT_SCHEDULE = at_pace(BEAT_SCHEDULE, env.float("BEAT_PACE", default=1))

OPENTRAIN = {
    "APP_SLUG": env("OPENTRAIN_APP_SLUG", default="annotation-demo"),
    "ENCRYPTION_KEYS": env.list("OPENTRAIN_ENCRYPTION_KEYS", default=[])
    or [kept("encryption-key", lambda: Fernet.generate_key().decode())],
    "PUBLIC_URL": PUBLIC_URL,
    "BASE_URL": env("OPENTRAIN_BASE_URL", default="http://127.0.0.1:8800"),
    "ADAPTER": "example_project.labelling.adapter.LabellingAdapter",
    "REVOKE_GRACE": env.int("OPENTRAIN_REVOKE_GRACE", default=900),
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
