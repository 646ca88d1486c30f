"""Settings of a host whose REST framework defaults are not ours: ``HOST`` names it. They hold from the start, since
views read most of them when they are imported.
"""

from __future__ import annotations

import os
from typing import Any

from tests.settings import *  # noqa: F403 - the same site
from tests.settings import DATABASES

LABEL_STUDIO = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "tests.api.hostile.tell_everything",
    "PAGE_SIZE": 100,
}
DOCCANO = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.BrowsableAPIRenderer",
        "rest_framework.renderers.JSONRenderer",
    ],
    "PAGE_SIZE": 5,
    "SEARCH_PARAM": "q",
}
CVAT = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tests.api.hostile.AskPolicyServer"],
    "DEFAULT_PARSER_CLASSES": ["tests.api.hostile.FormsOnly"],
    "DEFAULT_RENDERER_CLASSES": ["tests.api.hostile.Envelope"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "ALLOWED_VERSIONS": ["2.0"],
    "DEFAULT_VERSION": "1.0",
    "DEFAULT_THROTTLE_CLASSES": ["tests.api.hostile.OncePerHour"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 10,
}
OPEN = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "%d/%m/%y",
    "DATE_FORMAT": "%d/%m/%y",
    "DATE_INPUT_FORMATS": ["%d/%m/%y"],
    "COERCE_DECIMAL_TO_STRING": True,
    "COMPACT_JSON": False,
    "STRICT_JSON": False,
    "UNICODE_JSON": True,
    "NON_FIELD_ERRORS_KEY": "all_errors",
    "URL_FORMAT_OVERRIDE": "ordering",
    "DEFAULT_METADATA_CLASS": "rest_framework.metadata.SimpleMetadata",
}
HOSTS: dict[str, dict[str, Any]] = {
    "label-studio": LABEL_STUDIO,
    "doccano": DOCCANO,
    "cvat": CVAT,
    "open": OPEN,
}

REST_FRAMEWORK = {**HOSTS[os.environ["HOST"]], "TEST_REQUEST_DEFAULT_FORMAT": "json"}
DATABASES = {"default": {**DATABASES["default"], "ATOMIC_REQUESTS": True}}
TIME_ZONE = "Asia/Kathmandu"
LANGUAGE_CODE = "fi"  # not one of ours: the tests read texts in English
