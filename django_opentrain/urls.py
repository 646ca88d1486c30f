"""URLs, in the namespace ``opentrain``.

Include them before the host's own: some hosts end with a pattern that matches everything.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from django_opentrain.api.urls import nothing_here
from django_opentrain.api.urls import urlpatterns as api_urlpatterns
from django_opentrain.web.views import (
    actions,
    assets,
    connect,
    contracts,
    days,
    downloads,
    health,
    home,
    passwords,
    receiver,
    timer,
    trainer,
)

app_name = "opentrain"

urlpatterns = [
    path("webhooks/<uuid:key>/", receiver.receive, name="webhook"),
    # A redirect would be a failed delivery.
    path("webhooks/<uuid:key>", receiver.receive),
    path("api/", include(api_urlpatterns)),
    re_path(r"^api/", nothing_here),
    path("health/", health.health, name="health"),
    path("", home.home, name="home"),
    path("connect/", connect.connect, name="connect"),
    path("callback/", connect.callback, name="callback"),
    path("start/", connect.start, name="start"),
    path("installs/<int:pk>/token/", connect.token, name="token"),
    path("installs/<int:pk>/verify/", actions.verify, name="verify"),
    path("installs/<int:pk>/disconnect/", actions.disconnect, name="disconnect"),
    path("installs/<int:pk>/removals/", actions.confirm_removals, name="confirm-removals"),
    path("installs/<int:pk>/links/", actions.link, name="link"),
    path("links/<int:pk>/unlink/", actions.unlink, name="unlink"),
    path("links/<int:pk>/settings/", actions.link_settings, name="link-settings"),
    path("endpoints/<int:pk>/recover/", actions.recover, name="recover"),
    path("endpoints/<int:pk>/rotate/", actions.rotate, name="rotate"),
    path("grants/<int:pk>/retry/", actions.retry, name="retry"),
    path("grants/<int:pk>/give-again/", actions.give_again, name="give-again"),
    path("grants/<int:pk>/use-account/", actions.use_account, name="use-account"),
    path("grants/<int:pk>/invite/", actions.invite, name="invite"),
    path("objections/<int:pk>/answer/", actions.answer_objection, name="answer-objection"),
    path("contracts/", contracts.index, name="contracts"),
    path("contracts/<int:pk>/", contracts.detail, name="contract"),
    path("contracts/<int:pk>/days.csv", downloads.contract, name="contract-csv"),
    path("contracts/<int:pk>/days/<str:day>/", days.detail, name="day"),
    path("contracts/<int:pk>/days/<str:day>/entries.csv", downloads.entries, name="day-csv"),
    path("contracts/days/", downloads.choose, name="download"),
    path("contracts/days.csv", downloads.days, name="days-csv"),
    path("work/", trainer.index, name="work"),
    path("work/<int:pk>/", trainer.contract, name="work-contract"),
    path("work/<int:pk>/days.csv", trainer.contract_csv, name="work-contract-csv"),
    path("work/<int:pk>/days/<str:day>/", trainer.day, name="work-day"),
    path("work/<int:pk>/days/<str:day>/object/", trainer.object_to, name="work-object"),
    path("work/objections/<int:pk>/withdraw/", trainer.withdraw, name="work-withdraw"),
    path("work/<int:pk>/days/<str:day>/entries.csv", trainer.day_csv, name="work-day-csv"),
    path("set-password/done/", passwords.done, name="set-password-done"),
    path("set-password/<uidb64>/<token>/", passwords.set_password, name="set-password"),
    path("timer/", timer.timer, name="timer"),
    path("assets/<str:digest>/<str:name>", assets.serve, name="asset"),
]
