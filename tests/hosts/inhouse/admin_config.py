"""The site's admin, whose pages have a policy of their own."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class InhouseAdminConfig(AdminConfig):
    """Makes it ``admin.site``."""

    default_site = "tests.hosts.inhouse.admin_site.AdminSite"
