"""Settings of the test suite: SQLite in memory, or what ``TEST_DATABASE`` names (postgresql, mariadb).

``TEST_ISOLATION`` is the isolation level of all transactions (repeatable read, serializable). ``TEST_PORT`` is that
of a PgBouncer, which keeps the database in use: only ``pytest --reuse-db`` ends well then.
"""

from __future__ import annotations

import os
from typing import Any

import pymysql

DATABASE_SERVERS: dict[str, dict[str, Any]] = {
    "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "postgresql": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "PORT": "5432",
    },
    "mariadb": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "test",
        "USER": "root",
        "HOST": "127.0.0.1",
        "PORT": "3306",
        "OPTIONS": {"charset": "utf8mb4"},
    },
}

DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
ISOLATION = os.environ.get("TEST_ISOLATION")
PORT = os.environ.get("TEST_PORT")
if DATABASE == "mariadb":
    # Django asks for MySQLdb, whose C extension needs MariaDB's headers; PyMySQL answers to that name.
    pymysql.install_as_MySQLdb()


def isolation_options(level: str) -> dict[str, str]:
    """Options with which every transaction has this isolation level, a single statement's, too."""
    if DATABASE == "postgresql":
        # Django's own option leaves single statements as they are.
        return {"options": f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}"}
    # The default from MariaDB 11.6 on.
    return {"isolation_level": level, "init_command": "SET innodb_snapshot_isolation = ON"}


server = DATABASE_SERVERS[DATABASE]
if PORT:
    server |= {"PORT": PORT, "DISABLE_SERVER_SIDE_CURSORS": True}
if ISOLATION and DATABASE != "sqlite":
    server |= {"OPTIONS": {**server.get("OPTIONS", {}), **isolation_options(ISOLATION)}}

DATABASES = {
    "default": {
        **server,
        # One database per checkout and process tree, so that runs side by side don't meet.
        "TEST": {
            "NAME": None
            if DATABASE == "sqlite"
            else f"test_opentrain_{os.environ.get('TEST_RUN', os.getppid())}"
        },
    }
}

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
# From Django 6.1 on a site without MAILERS is warned; older ones don't know it.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_opentrain",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

OPENTRAIN = {
    "APP_SLUG": "annotation-demo",
    "ENCRYPTION_KEYS": ["Zk1ub0tQRXJ0bDNqYm1NZ0t4d0V1VXRmQ2JhUVJpS2s="],
    "PUBLIC_URL": "https://annotate.example",
    "BASE_URL": "https://app.opentrain.test",
    "MAX_RETRIES": 0,
    "DISPATCH": "none",
}
CSRF_TRUSTED_ORIGINS = ["https://annotate.example"]
