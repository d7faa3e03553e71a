"""A bad value stops the start with a sentence."""

import sys

import pytest

from tests.embedded.support import Start


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p%zz@h/db"),
        ("DATABASE_URL", "mysql://h/db"),
        ("CELERY_BROKER_URL", "kafka://h"),
        ("INFERHUB_PORT", "http"),
        ("INFERHUB_SECRET_KEY", "short"),
    ],
)
def test_a_bad_setting_is_one_sentence_that_names_it(start: Start, name: str, value: str) -> None:
    running = start(argv=(sys.executable, "-m", "inferhub.cli", "check"), **{name: value})
    said, _ = running.process.communicate(timeout=60)
    assert running.process.returncode == 1
    assert name in said
    assert "Traceback" not in said
