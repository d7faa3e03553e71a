"""What a web process has loaded before its first request stays, and costs no request anything."""

import os
import subprocess
import sys

_COUNT_WHAT_IS_COLLECTED = """
import gc
from inferhub.web.application import keep_for_good
keep_for_good()
from django.urls import resolve, reverse
from inferhub.celery import app
resolve("/api/v1/workflows/a/decisions"), reverse("admin:index"), app.producer_pool
print(len(gc.get_objects()))
"""


def test_the_collector_walks_through_nothing_that_was_there_at_the_start() -> None:
    command = [sys.executable, "-c", _COUNT_WHAT_IS_COLLECTED]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "inferhub.settings"}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert int(said.splitlines()[-1]) < 2000  # without it more than 40,000
