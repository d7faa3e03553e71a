"""Decisions go into queues that the operator names; no address stands in a definition."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import redis
from django.conf import LazySettings

from inferhub.decisions.models import DeliveryTarget
from inferhub.decisions.targets import remember_configured, try_target
from inferhub.errors import InvalidDefinition, Unavailable
from inferhub.lib.addresses import broker_url
from inferhub.lib.config import BadSetting, read_config
from inferhub.lib.queue_targets import parse_queue_targets
from tests.actions.making import act, cause, try_now
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db
QUEUE = {"kind": "queue", "queue": "events"}


@pytest.fixture
def stream(settings: LazySettings) -> Iterator[Any]:
    """The queue `events`, a stream in the Redis of the tests."""
    url = broker_url(read_config())
    settings.CONFIG = replace(settings.CONFIG, queues=parse_queue_targets(f"events={url}?stream=decided"))
    with redis.Redis.from_url(url.replace("redis+socket://", "unix://")) as client:
        client.delete("decided")
        yield client
        client.delete("decided")


def test_a_decision_goes_into_a_stream_with_the_id_of_its_action(workflow: str, stream: Any) -> None:
    cause(QUEUE)
    action = try_now(act())
    ((_, fields),) = stream.xrange("decided")
    assert fields[b"message_id"].decode() == str(action.pk)
    assert fields[b"type"] == b"decision.made"
    assert orjson.loads(fields[b"body"])["data"]["subject"] == "ann"
    assert action.state == "delivered"


def test_a_broker_that_is_away_is_tried_again(workflow: str, stream: Any, settings: LazySettings) -> None:
    cause(QUEUE)
    away = parse_queue_targets("events=redis://:hidden@127.0.0.1:9/0?stream=decided")
    settings.CONFIG = replace(settings.CONFIG, queues=away)
    action = try_now(act())
    assert (action.state, action.attempt_count) == ("pending", 1)
    assert "ConnectionError" in action.attempts.get().detail
    assert "hidden" not in action.attempts.get().detail
    assert DeliveryTarget.objects.get(name="queue:events").failure_count == 1


def test_an_amqp_broker_that_is_away_is_tried_again(workflow: str, stream: Any, settings: LazySettings) -> None:
    cause(QUEUE)
    away = parse_queue_targets("events=amqp://shop:hidden@127.0.0.1:9//?routing_key=decided")
    settings.CONFIG = replace(settings.CONFIG, queues=away)
    action = try_now(act())
    assert action.state == "pending"
    assert "hidden" not in action.attempts.get().detail


def test_a_workflow_can_name_only_queues_that_are_configured(workflow: str, stream: Any) -> None:
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/queue: expected a queue of INFERHUB_QUEUES"):
        cause(QUEUE | {"queue": "elsewhere"})
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/url: expected only fields that are known here"):
        cause(QUEUE | {"url": "redis://x"})


def test_a_trial_message_is_told_apart(stream: Any) -> None:
    remember_configured()
    assert try_target(name="queue:events", actor=ACTOR).is_success
    ((_, fields),) = stream.xrange("decided")
    assert fields[b"type"] == b"target.test"


def test_a_trial_says_what_is_wrong_and_not_the_password(settings: LazySettings) -> None:
    away = parse_queue_targets("events=redis://:hidden@127.0.0.1:9/0?stream=decided")
    settings.CONFIG = replace(settings.CONFIG, queues=away)
    remember_configured()
    with pytest.raises(Unavailable) as caught:
        try_target(name="queue:events", actor=ACTOR)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "redis://host/0?stream=x",
        "events=http://host",
        "events=redis://host/0",
        "events=amqp://host/",
        "events=amqp://host/?stream=x",
        "events=redis://host/0?stream=x&more=1",
        "events=redis://host:x/0?stream=x",
        "Events=redis://host/0?stream=x",
        "events=redis://host/0?stream=x,events=redis://host/0?stream=y",
    ],
)
def test_queues_that_cannot_be_used_stop_the_start_without_telling_passwords(text: str) -> None:
    with pytest.raises(BadSetting, match=r"INFERHUB_QUEUES: part [12] must be") as caught:
        read_config({"INFERHUB_QUEUES": text.replace("host", ":hidden@host"), "INFERHUB_SECRET_KEY": "x" * 32})
    assert "hidden" not in str(caught.value)


def test_the_parts_of_an_address_are_read() -> None:
    targets = parse_queue_targets(
        "a=amqp://u:p@host:5672/shop?exchange=orders&routing_key=k, b=redis://host/1?stream=s"
    )
    assert (targets["a"].exchange, targets["a"].routing_key) == ("orders", "k")
    assert (targets["a"].url, targets["b"].url) == ("amqp://u:p@host:5672/shop", "redis://host/1")
    assert "u:p" not in repr(targets)
