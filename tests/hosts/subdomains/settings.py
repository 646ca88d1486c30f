"""The site's settings. docs/how-to/recipes.md shows parts of them."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_KEY = "only for tests, and as long as the hash of a token wants it"
ALLOWED_HOSTS = [".annotate.example"]
USE_TZ = True
ROOT_URLCONF = "tests.hosts.subdomains.urls"
LOGIN_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_FROM_EMAIL = "annotate@annotate.example"
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "ATOMIC_REQUESTS": True,
        "TEST": {"NAME": f"test_subdomains_{os.environ.get('TEST_RUN', os.getpid())}"},
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
SHARED_APPS = [
    "django_tenants",
    "tests.hosts.subdomains.customers",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_opentrain",
]
TENANT_APPS = ["tests.hosts.subdomains.projects"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_opentrain.middleware.acting_user",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
STATIC_URL = "/static/"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": ["'self'"], "form-action": ["'self'"]}}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
# A token ends with the password with which it was obtained, too.
SIMPLE_JWT = {"CHECK_REVOKE_TOKEN": True}

OPENTRAIN = {
    "APP_SLUG": "acme-labels",
    "PUBLIC_URL": "https://annotate.example",
    "ENCRYPTION_KEYS": ["Zk1ub0tQRXJ0bDNqYm1NZ0t4d0V1VXRmQ2JhUVJpS2s="],
    "ADAPTER": "tests.hosts.subdomains.adapter.Adapter",
    "DISPATCH": "none",
}
CSRF_TRUSTED_ORIGINS = ["https://*.annotate.example"]
