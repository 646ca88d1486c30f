"""The JSON API for host front ends: what the customer's pages do, within the caller's tenant.

Mount it with the package's URLs, or alone by ``include("django_opentrain.api.urls")``.
"""
