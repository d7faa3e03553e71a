"""Decisions go into a queue of RabbitMQ, which confirms each; one that no queue would get is no success."""

from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
from django.conf import LazySettings
from kombu import Connection, Queue

from inferhub.decisions.models import DeliveryTarget
from inferhub.lib.queue_targets import parse_queue_targets
from tests.actions.making import act, cause, try_now
from tests.distributed.rabbitmq import RabbitMQ
from tests.embedded.support import wait_until

pytestmark = [pytest.mark.distributed, pytest.mark.django_db]


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_message_is_kept_persistently_under_the_actions_id_and_none_gets_lost(
    workflow: str, rabbitmq: RabbitMQ, settings: LazySettings
) -> None:
    settings.CONFIG = replace(settings.CONFIG, queues=parse_queue_targets(f"orders={rabbitmq.url}?routing_key=decided"))
    cause({"kind": "queue", "queue": "orders"})
    action = try_now(act())
    assert action.state == "pending"  # there is no queue yet: the message would have gone nowhere
    assert "NO_ROUTE" in action.attempts.get().detail
    with Connection(rabbitmq.url) as connection:
        queue = Queue("decided", durable=True)(connection.channel())
        queue.declare()
        assert try_now(action).state == "delivered"
        message = queue.get(no_ack=True)
        assert message.properties["message_id"] == str(action.pk)
        assert message.properties["delivery_mode"] == 2
        assert message.properties["type"] == "decision.made"
        assert orjson.loads(message.body)["data"]["action_id"] == str(action.pk)
        assert queue.get(no_ack=True) is None
    rabbitmq.stop()
    waiting = try_now(act())
    assert waiting.state == "pending"
    assert DeliveryTarget.objects.get(name="queue:orders").failure_count == 1
    rabbitmq.start()
    # A broker that is just back may not know its queues yet, and says so; the action is tried again.
    wait_until(lambda: try_now(waiting).state == "delivered")
