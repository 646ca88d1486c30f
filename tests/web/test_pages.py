"""What the customer's pages say."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from tests.web.scenes import full_scene


def test_home_shows_something_of_everything(boss: Client) -> None:
    full_scene()
    response = boss.get(reverse("opentrain:home"))
    assert response.status_code == 200
    open("/tmp/home.html","w").write(response.content.decode())
    print(response.content.decode())

def test_contract(boss: Client) -> None:
    scene = full_scene()
    response = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert response.status_code == 200
    for u in ("token","disconnect","confirm-removals"):
        assert boss.get(reverse("opentrain:"+u, args=[scene.pending.pk])).status_code==200
    assert boss.get(reverse("opentrain:unlink", args=[scene.link.pk])).status_code==200
    assert boss.get(reverse("opentrain:contracts")).status_code==200
