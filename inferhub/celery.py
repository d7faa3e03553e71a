"""The Celery application, and the bell that tells workers of work. What is to be done stands in PostgreSQL."""

import os
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import OperationalError

from inferhub.lib.bell import Bell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")

app = Celery("inferhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _send(task: str, argument: Any) -> None:
    # Celery would write each argument out once more for logs; of fifty ids that took a fifth of the time.
    app.send_task(task, (argument,), retry=False, argsrepr="", kwargsrepr="")


bell = Bell(_send, failures=(OperationalError, AMQPError))
