"""The API's refusals, in OpenTrain's envelope."""

from __future__ import annotations

from collections.abc import Mapping

from django_opentrain.platform.catalog import ERROR_STATUSES


class ApiError(Exception):
    """An answer that isn't 2xx. ``code`` is OpenTrain's; ``details`` are the sandbox's own."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.status = ERROR_STATUSES[code] if status is None else status
        self.headers = dict(headers or {})


def bad_request(message: str, **details: object) -> ApiError:
    return ApiError("BAD_REQUEST", message, details=details)


def unauthorized(message: str) -> ApiError:
    return ApiError("UNAUTHORIZED", message)


def forbidden(message: str, **details: object) -> ApiError:
    return ApiError("FORBIDDEN", message, details=details)


def not_found(message: str) -> ApiError:
    return ApiError("NOT_FOUND", message)


def conflict(message: str) -> ApiError:
    return ApiError("CONFLICT", message)
