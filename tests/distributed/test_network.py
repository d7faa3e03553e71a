"""The hub and a shop system on two hosts: two network namespaces joined by a cable that can be pulled."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from inferhub.decisions.actions import webhook
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.endpoints import save_endpoint
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.decisions.services import decide
from inferhub.lib.allowed_hosts import AllowedHosts
from tests.hub_fixtures import ACTOR

pytestmark = [pytest.mark.distributed, pytest.mark.django_db]

ROOT = Path(__file__).parent.parent.parent
HOST, CABLE, FAR_END = "inferhub-shop", "inferhub0", "inferhub1"
HERE, THERE, BETWEEN = "10.213.77.1", "10.213.77.2", "10.213.77.0/30"


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@pytest.fixture
def cable() -> Iterator[str]:
    _ip("netns", "del", HOST, check=False)
    _ip("netns", "add", HOST)
    # With the cable down nothing may go out by another way.
    _ip("route", "replace", "unreachable", BETWEEN, "metric", "4000")
    try:
        _ip("link", "add", CABLE, "type", "veth", "peer", "name", FAR_END, "netns", HOST)
        _ip("addr", "add", f"{HERE}/30", "dev", CABLE)
        _ip("link", "set", CABLE, "up")
        _ip("-n", HOST, "addr", "add", f"{THERE}/30", "dev", FAR_END)
        _ip("-n", HOST, "link", "set", FAR_END, "up")
        yield CABLE
    finally:
        _ip("netns", "del", HOST)
        _ip("route", "del", "unreachable", BETWEEN, "metric", "4000")


@pytest.fixture
def shop(cable: str) -> Iterator[subprocess.Popen[str]]:
    command = ["ip", "netns", "exec", HOST, sys.executable, "-m", "tests.distributed.shop", THERE, "8080"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def test_a_pulled_cable_delays_a_webhook_and_loses_nothing(
    workflow: str, cable: str, shop: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.CONFIG = replace(settings.CONFIG, webhook_hosts=AllowedHosts.parse(BETWEEN))
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 1)
    save_endpoint(name="shop", url=f"http://{THERE}:8080/", actor=ACTOR)
    decide(workflow="orders", facts_in={"customer_id": "ann", "total": 20, "price": 10}, actor=ACTOR)
    action = Action.objects.get()
    _ip("link", "set", cable, "down")
    deliver_action(action.pk)
    assert not action.attempts.get().is_success
    _ip("link", "set", cable, "up")
    for _ in range(20):  # the cable needs a moment, and the receiver one to start
        Action.objects.filter(pk=action.pk).update(next_attempt_at=timezone.now())
        DeliveryTarget.objects.filter(open_until__isnull=False).update(open_until=timezone.now())
        deliver_action(action.pk)
        action.refresh_from_db()
        if action.state == "delivered":
            break
    assert action.state == "delivered"
    assert shop.stdout is not None
    assert shop.stdout.readline().strip() == str(action.pk)
