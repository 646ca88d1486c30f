"""The site's settings. docs/how-to/recipes.md shows parts of them."""

from __future__ import annotations

import os
from typing import Any

from django.utils.csp import CSP

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["annotate.example"]
USE_TZ = True
ROOT_URLCONF = "tests.hosts.inhouse.urls"
AUTH_USER_MODEL = "inhouse.User"
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_FROM_EMAIL = "annotate@annotate.example"
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
CSRF_TRUSTED_ORIGINS = ["https://annotate.example"]

server: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
if os.environ.get("TEST_DATABASE") == "postgresql":
    server = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "TEST": {"NAME": f"test_inhouse_{os.environ.get('TEST_RUN', os.getpid())}"},
    }
DATABASES = {"default": server}

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin
    "tests.hosts.inhouse.admin_config.InhouseAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "guardian",
    "knox",
    "rest_framework",
    "tests.hosts.inhouse",
    "django_opentrain",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_opentrain.middleware.acting_user",
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
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "guardian.backends.ObjectPermissionBackend",
]
GUARDIAN_MONKEY_PATCH_USER = False
ANONYMOUS_USER_NAME = None
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}

# allauth: people log in with an e-mail address that they have verified.
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"

# A strict policy for all pages; those of django_opentrain send their own.
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}

OPENTRAIN = {
    "APP_SLUG": "acme-labels",
    "PUBLIC_URL": "https://annotate.example",
    "ENCRYPTION_KEYS": ["Zk1ub0tQRXJ0bDNqYm1NZ0t4d0V1VXRmQ2JhUVJpS2s="],
    "ADAPTER": "tests.hosts.inhouse.adapter.Adapter",
    "DISPATCH": "none",
}
