"""What tests of actions share."""

from collections.abc import Iterator

import pytest

from inferhub.decisions.actions import registry
from tests.actions.receivers import StubbornReceiver


@pytest.fixture(autouse=True)
def _kinds_as_installed() -> Iterator[None]:
    yield
    registry.forget()


@pytest.fixture
def stubborn(workflow: str) -> Iterator[list[StubbornReceiver]]:
    """Receivers that a test puts here are closed after it."""
    made: list[StubbornReceiver] = []
    yield made
    for receiver in made:
        receiver.close()
