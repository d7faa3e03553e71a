"""The Celery application, and the bell that tells workers of work. What is to be done stands in PostgreSQL."""

import os

from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import OperationalError

from inferhub.lib.bell import Bell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")

app = Celery("inferhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

bell = Bell(
    lambda task, argument: app.send_task(task, (argument,), retry=False), failures=(OperationalError, AMQPError)
)
