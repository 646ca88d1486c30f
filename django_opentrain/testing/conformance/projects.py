"""Whose projects are whose, and who may act for whom."""

from __future__ import annotations

from itertools import product

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.utils.module_loading import import_string

from django_opentrain.adapters import OpenTrainAdapter
from django_opentrain.models import Contract
from django_opentrain.platform import catalog
from django_opentrain.testing.conformance.hooks import AdapterHooks
from django_opentrain.testing.kit import OpenTrain

#: A link can be made on OpenTrain, with any text for a project id.
FOREIGN_IDS = ("", "0", "-1", "no such project", "9" * 40, "x" * 200, "1' OR '1'='1", "../1", "١٢٣", "🦉")


@pytest.mark.django_db
class ProjectsConformance(AdapterHooks):
    """``get_project``, ``list_projects``, ``get_tenant``, ``can_manage``, ``budget_changed``."""

    def test_a_customers_project_is_found(self, adapter: OpenTrainAdapter) -> None:
        for project_id in (self.project_id, self.other_project_id):
            project = adapter.get_project(self.tenant, project_id)
            assert project is not None
            assert project.id == project_id

    def test_another_customers_project_is_not_found(self, adapter: OpenTrainAdapter) -> None:
        """Else a link made on OpenTrain would open any project."""
        assert adapter.get_project(self.other_tenant, self.project_id) is None

    @pytest.mark.parametrize("project_id", FOREIGN_IDS)
    def test_an_unknown_project_is_not_found(self, adapter: OpenTrainAdapter, project_id: str) -> None:
        assert adapter.get_project(self.tenant, project_id) is None

    def test_the_list_has_the_customers_projects(self, adapter: OpenTrainAdapter) -> None:
        listed = list(adapter.list_projects(self.tenant))
        ids = [project.id for project in listed]
        assert {self.project_id, self.other_project_id} <= set(ids)
        assert len(ids) == len(set(ids)), "a project is listed twice"
        for project in listed:
            assert adapter.get_project(self.tenant, project.id) == project
            assert len(project.id) <= catalog.MAX_EXTERNAL_PROJECT_ID
            assert len(project.url) <= catalog.MAX_EXTERNAL_PROJECT_URL

    def test_another_customers_list_has_none_of_them(self, adapter: OpenTrainAdapter) -> None:
        others = {project.id for project in adapter.list_projects(self.other_tenant)}
        assert not others & {self.project_id, self.other_project_id}

    def test_an_anonymous_visitor_has_no_tenant(self, adapter: OpenTrainAdapter) -> None:
        request = RequestFactory().get("/")
        request.user = AnonymousUser()
        # As the middleware leaves it: some hosts keep the current customer there.
        request.session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")()
        assert adapter.get_tenant(request) is None
        assert not adapter.can_manage(request, self.tenant)
        assert not adapter.can_view(request, self.tenant)

    def test_every_change_of_a_budget_is_taken(self, linked: OpenTrain, adapter: OpenTrainAdapter) -> None:
        """Also the same change twice: it may be announced again."""
        hire = linked.hire()
        linked.run()
        for before, after in product(catalog.BUDGET_STATES, repeat=2):
            Contract.objects.filter(opentrain_id=hire.id).update(budget_state=after)
            for _ in range(2):
                adapter.budget_changed(hire.contract, before)
            assert self.can_enter(hire.grant), "a budget decides about tasks, not about access"
