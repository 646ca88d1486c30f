"""URLs without the API, in the namespace ``opentrain``: for sites that have the API elsewhere, or not at all.

What is always there: the receiver, what connecting needs, and what a trainer's first login needs.
"""

from __future__ import annotations

from django.urls import path

from django_opentrain.conf import CUSTOMER_PAGES, TIMER, TRAINER_PAGES
from django_opentrain.web.parts import closable
from django_opentrain.web.views import (
    actions,
    assets,
    connect,
    contracts,
    days,
    downloads,
    health,
    home,
    metrics,
    passwords,
    receiver,
    timer,
    trainer,
)

app_name = "opentrain"

receiver_urlpatterns = [
    path("webhooks/<uuid:key>/", receiver.receive, name="webhook"),
    # A redirect would be a failed delivery.
    path("webhooks/<uuid:key>", receiver.receive),
]
page_urlpatterns = [
    path("health/", health.health, name="health"),
    path("metrics/", metrics.metrics, name="metrics"),
    path("connect/", connect.connect, name="connect"),
    path("callback/", connect.callback, name="callback"),
    path("start/", connect.start, name="start"),
    path("installs/<int:pk>/token/", connect.token, name="token"),
    path("set-password/done/", passwords.done, name="set-password-done"),
    path("set-password/<uidb64>/<token>/", passwords.set_password, name="set-password"),
    path("assets/<str:digest>/<str:name>", assets.serve, name="asset"),
    *closable(
        CUSTOMER_PAGES,
        path("", home.home, name="home"),
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
    ),
    *closable(
        TRAINER_PAGES,
        path("work/", trainer.index, name="work"),
        path("work/<int:pk>/", trainer.contract, name="work-contract"),
        path("work/<int:pk>/days.csv", trainer.contract_csv, name="work-contract-csv"),
        path("work/<int:pk>/days/<str:day>/", trainer.day, name="work-day"),
        path("work/<int:pk>/days/<str:day>/object/", trainer.object_to, name="work-object"),
        path("work/objections/<int:pk>/withdraw/", trainer.withdraw, name="work-withdraw"),
        path("work/<int:pk>/days/<str:day>/entries.csv", trainer.day_csv, name="work-day-csv"),
    ),
    *closable(
        TIMER,
        path("timer/", timer.timer, name="timer"),
    ),
]
urlpatterns = [*receiver_urlpatterns, *page_urlpatterns]
