"""Label Studio, community edition: a trainer may label in the projects that were opened for them, and nothing else.

There a member of the organization may do everything in every project. Its settings name what is here, as
docs/how-to/label-studio.md shows. The owner, superusers and members who are no trainers may do what they could
before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import ResolverMatch
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from projects.mixins import ProjectMixin as _ProjectMixin  # type: ignore[import-not-found] # Label Studio's
from rest_framework.exceptions import APIException
from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

#: Any: Label Studio has no types.
_model: Callable[[str], Any] = apps.get_model

# What the "pk" in a view's URL names, or else where its project is.
_PROJECT: Final = "projects.Project"
_TASK: Final = "tasks.Task"
_ANNOTATION: Final = "tasks.Annotation"
_DRAFT: Final = "tasks.AnnotationDraft"
_TAB: Final = "data_manager.View"
_ML_BACKEND: Final = "ml.MLBackend"
_NAMED: Final = "named in the query or in the body"
_ASKED: Final = "found by the view, which asks the project for permission"
_LISTED: Final = "a list of projects, of which a trainer sees theirs"
_OWN_ACCOUNT: Final = "the trainer's account"
_NONE: Final = ""

#: What a trainer may call below ``/api/``, by the name of its URL: the methods, and where the project is.
OPEN: Final[Mapping[str, tuple[str, str]]] = {
    "projects:api:project-list": ("GET", _LISTED),
    "projects:api:project-counts-list": ("GET", _LISTED),
    "projects:api:project-detail": ("GET", _PROJECT),
    "projects:api:project-next": ("GET", _PROJECT),
    "projects:api:label-stream-history": ("GET", _PROJECT),
    "projects:api:project-summary": ("GET", _PROJECT),
    "projects:api:project-tasks-list": ("GET", _PROJECT),
    "projects:api:project-model-versions": ("GET", _PROJECT),
    "projects:api:project-annotators": ("GET", _PROJECT),
    "data_manager:dm-columns": ("GET", _NAMED),
    "data_manager:dm-project": ("GET", _NAMED),
    "data_manager:dm-actions": ("GET POST", _NAMED),  # see check_action_permission()
    "data_manager:api:view-list": ("GET POST", _NAMED),
    "data_manager:api:view-detail": ("GET PATCH PUT", _TAB),
    "tasks:api:task-list": ("GET", _ASKED),
    "tasks:api:task-detail": ("GET", _TASK),
    "tasks:api:task-agreement": ("GET", _TASK),
    "tasks:api:task-annotations": ("GET POST", _TASK),
    "tasks:api:task-drafts": ("GET POST", _TASK),
    "tasks:api:task-annotations-drafts": ("GET POST", _TASK),
    "tasks:api-annotations:annotation-detail": ("GET PATCH PUT DELETE", _ANNOTATION),
    "tasks:api-annotations:annotation-convert-to-draft": ("POST", _ANNOTATION),
    "tasks:api-drafts:draft-detail": ("GET PATCH PUT DELETE", _DRAFT),
    "ml:api:ml-list": ("GET", _NAMED),
    "ml:api:ml-interactive-annotating": ("POST", _ML_BACKEND),
    "user-detail": ("GET PATCH", _OWN_ACCOUNT),
    "user-avatar": ("POST DELETE", _OWN_ACCOUNT),
    "current-user-reset-token": ("POST", _NONE),
    "current-user-token": ("GET", _NONE),
    "current-user-whoami": ("GET", _NONE),
    "current-user-hotkeys": ("GET PATCH", _NONE),
    "product-tour": ("GET PATCH", _NONE),
    "jwt_auth:api-jwt-settings": ("GET", _NONE),
    "jwt_auth:token_manage": ("GET POST", _NONE),
    "jwt_auth:token_refresh": ("POST", _NONE),
    "jwt_auth:token_rotate": ("POST", _NONE),
    "jwt_auth:token_blacklist": ("POST", _NONE),
    "version": ("GET", _NONE),
}
_ACTIONS_SETTING: Final = "DATA_MANAGER_CHECK_ACTION_PERMISSION"
_ACTIONS_DEFAULT: Final = "data_manager.actions.check_action_permission"
#: The data manager's actions that a trainer may use: the next task of the label stream.
ACTIONS: Final = frozenset({"next_task"})


class ProjectMixin(_ProjectMixin):  # type: ignore[misc] # Label Studio has no types
    """For ``PROJECT_MIXIN``: a project is open to a trainer only if it was opened for them."""

    def has_permission(self, user: Any) -> bool:
        """Whether this user may see and use the project; Label Studio asks it of all that belongs to one."""
        return bool(super().has_permission(user)) and (not is_trainer(user) or self.has_collaborator(user))


def check_action_permission(user: Any, action: Mapping[str, Any], project: Any) -> bool:
    """For ``DATA_MANAGER_CHECK_ACTION_PERMISSION``: trainers delete no tasks, and make no annotations in bulk."""
    # Not at the top: it imports the models, which import this module.
    check = import_string(_ACTIONS_DEFAULT)
    return bool(check(user, action, project)) and (not is_trainer(user) or action["id"] in ACTIONS)


class TrainerMiddleware:
    """For ``MIDDLEWARE``, at its end: below ``/api/`` trainers may call what ``OPEN`` says, in their projects.

    The names of a subclass's ``also_open`` are added to it, in the same form: for a site's own views.
    """

    also_open: Mapping[str, tuple[str, str]] = {}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Refuse what is closed to the trainer whose request this is; let the view see no other projects."""
        match = request.resolver_match
        if match is None or not request.path_info.startswith("/api/"):
            return None
        user = next((each for each in _users(request, view) if is_trainer(each)), None)
        if user is None:
            return None
        where = self._open_to(match, str(request.method))
        if where is None or not _is_theirs(user, where, kwargs):
            return JsonResponse({"detail": _("This is not open to trainers.")}, status=403)
        if where in (_NONE, _OWN_ACCOUNT):
            return None
        response: HttpResponse = _narrowed(view, where)(request, *args, **kwargs)
        return response

    def _open_to(self, match: ResolverMatch, method: str) -> str | None:
        """Where the project of this request is; None if it is closed to trainers."""
        methods, where = self.also_open.get(match.view_name) or OPEN.get(match.view_name) or ("", _NONE)
        return where if method in {"OPTIONS", *methods.replace("GET", "GET HEAD").split()} else None


def missing_settings() -> list[str]:
    """The settings without which trainers can do more than they should."""
    middleware = [import_string(name) for name in settings.MIDDLEWARE]
    given = {
        "PROJECT_MIXIN": issubclass(_model(_PROJECT), ProjectMixin),
        "MIDDLEWARE": any(
            isinstance(each, type) and issubclass(each, TrainerMiddleware) for each in middleware
        ),
        _ACTIONS_SETTING: getattr(settings, _ACTIONS_SETTING) != _ACTIONS_DEFAULT,
    }
    return [name for name, there in given.items() if not there]


def is_trainer(user: Any) -> bool:
    """Whether access of this user's is a contract's; never the organization's owner or a superuser.

    Until the last removal of access has been done. Asked once per request.
    """
    known: bool | None = getattr(user, "_is_opentrain_trainer", None)
    if known is None:
        known = user._is_opentrain_trainer = _is_trainer(user)  # noqa: SLF001 - ours
    return known


def _is_trainer(user: Any) -> bool:
    if not user.is_authenticated or user.is_superuser:
        return False
    account = _model("django_opentrain.TrainerAccount").objects.filter(user=user.pk)
    grants = _model("django_opentrain.AccessGrant").objects.filter(
        participant__opentrain_user_id__in=account.values("opentrain_user_id")
    )
    return grants.exclude(desired="REVOKED", state="REVOKED").exists() and not _owns(user)


def _owns(user: Any) -> bool:
    organization = user.active_organization
    return organization is not None and organization.created_by_id == user.pk


def _users(request: HttpRequest, view: Any) -> Iterator[Any]:
    """Who may be found to act: the session's user or the JWT's, and the one of any other token."""
    yield request.user
    if "Authorization" in request.headers and hasattr(view, "cls"):
        try:
            yield Request(request, authenticators=view.cls().get_authenticators()).user
        except APIException:
            return  # the view answers so, too


def _is_theirs(user: Any, where: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether what the URL names is the trainer's, if it names anything."""
    if where == _OWN_ACCOUNT:
        return str(kwargs.get("pk")) == str(user.pk)
    if "." not in where:
        return True
    column = "pk" if where == _PROJECT else "project"
    if where == _DRAFT:
        column = "task__project"
    projects = _model(where)._default_manager.filter(pk=kwargs["pk"]).values(column)
    return bool(_projects_of(user).filter(pk__in=projects).exists())


def _projects_of(user: Any) -> Any:
    members = _model("projects.ProjectMember").objects.filter(user=user.pk)
    return _model(_PROJECT).objects.filter(pk__in=members.values("project"))


def _narrowed(view: Any, where: str) -> Any:
    """The same view, which refuses other projects in the query and the body, and leaves them out of lists."""
    changes = {**view.initkwargs, "permission_classes": [*view.cls.permission_classes, _InTheirProjects]}
    if where in _FIXED:
        changes["permission_classes"].append(partial(_LeavesTheAuthor, where))
    elif where == _NAMED:
        changes["permission_classes"].append(_NamesAProject)
    elif where == _LISTED:
        changes["filter_backends"] = [*view.cls.filter_backends, _TheirProjects]
    arguments = [view.actions] if getattr(view, "actions", None) else []
    return view.cls.as_view(*arguments, **changes)


class _TheirProjects(BaseFilterBackend):
    """Leaves the projects in a list that were opened for the trainer."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        """The projects that were opened for them."""
        return queryset.filter(pk__in=_projects_of(request.user).values("pk"))


class _InTheirProjects(BasePermission):
    """What the query or the body names as project or task is the trainer's."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether it all is."""
        projects = _projects_of(request.user)
        tasks = _model(_TASK).objects.filter(project__in=projects.values("pk"))
        return all(
            _all_in(rows, _named(request, name)) for rows, name in ((projects, "project"), (tasks, "task"))
        )


#: Columns that say whose work a row is, and where: what a body may name, and not change.
_FIXED: Final[Mapping[str, Mapping[str, str]]] = {
    _TASK: {"task": "pk", "project": "project"},
    _ANNOTATION: {"task": "task", "project": "project", "completed_by": "completed_by"},
    _DRAFT: {"task": "task", "annotation": "annotation", "user": "user"},
}
_AUTHORS: Final = ("completed_by", "user")


class _LeavesTheAuthor(BasePermission):
    """What a trainer makes is theirs; what they change remains its author's; they remove their own alone."""

    def __init__(self, where: str) -> None:
        self._where = where

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the body changes nothing of it."""
        columns = _FIXED[self._where]
        row = _model(self._where)._default_manager.filter(pk=view.kwargs["pk"])
        fixed = dict(zip(columns, row.values_list(*columns.values()).get(), strict=True))
        authors = {fixed[name] for name in _AUTHORS if name in fixed}
        # The way back to a draft, which is the caller's, is a POST.
        if authors and request.method in ("DELETE", "POST") and authors != {request.user.pk}:
            return False
        return _names_no_other(request.data, {**dict.fromkeys(_AUTHORS, request.user.pk), **fixed})


def _names_no_other(data: Any, fixed: Mapping[str, Any]) -> bool:
    if not isinstance(data, Mapping):
        return True  # no row can be made of it
    return all(
        str(value) == str(fixed[name]) for name in fixed if name in data for value in _given(data, name)
    )


def _given(data: Any, name: str) -> list[Any]:
    return data.getlist(name) if hasattr(data, "getlist") else [data[name]]


class _NamesAProject(BasePermission):
    """The query or the body names the project: else there would be all of them."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether it does."""
        return bool(_named(request, "project"))


def _named(request: Any, name: str) -> set[str]:
    keys = set()
    for source in (request.query_params, request.data):
        if hasattr(source, "getlist"):
            keys |= set(source.getlist(name))
        elif isinstance(source, Mapping):
            keys |= {str(source[name])} if source.get(name) is not None else set()
    return keys - {""}


def _all_in(rows: Any, keys: set[str]) -> bool:
    wanted = {key for key in keys if key.isdecimal()}
    return wanted == keys and rows.filter(pk__in=wanted).count() == len({int(key) for key in wanted})
