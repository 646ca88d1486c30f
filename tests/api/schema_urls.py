"""The same host with an API of its own, for the same sessions: its URLs."""

from __future__ import annotations

from tests import urls
from tests.api import schema_host_alone

urlpatterns = [*urls.urlpatterns, *schema_host_alone.urlpatterns]
