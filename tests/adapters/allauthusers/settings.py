"""The test site's settings, with django-allauth."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - settings are extended so
from tests.settings import INSTALLED_APPS, MIDDLEWARE, OPENTRAIN

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "knox",
    "rest_framework.authtoken",
]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ROOT_URLCONF = "tests.adapters.allauthusers.urls"
LOGIN_URL = "account_login"
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_RATE_LIMITS = False
REST_KNOX = {"AUTH_HEADER_PREFIX": "Knox"}
OPENTRAIN = {**OPENTRAIN, "ADAPTER": "tests.testing.hosts.GroupAdapter"}
