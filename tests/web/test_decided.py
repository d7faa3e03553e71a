"""How exchanges go on once their decisions are committed, on a loop that is called by hand."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from inferhub.web.protocol import Decided


@pytest.fixture
def calls() -> list[Callable[[], None]]:
    """What the loop was asked to call."""
    return []


@pytest.fixture
def reports() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def exchange(calls: list[Callable[[], None]], reports: list[dict[str, Any]]) -> Callable[..., Any]:
    """Makes one that calls `go_on`."""
    loop = SimpleNamespace(call_soon_threadsafe=calls.append, call_exception_handler=reports.append)
    return lambda go_on: SimpleNamespace(loop=loop, go_on=go_on)


def test_the_loop_is_woken_once_for_many_and_again_for_the_next(
    exchange: Callable[..., Any], calls: list[Callable[[], None]]
) -> None:
    decided, went_on = Decided(), list[Any]()
    decided.put(exchange(went_on.append), ["first"])
    decided.put(exchange(went_on.append), ["second"])
    assert len(calls) == 1
    calls.pop()()
    assert went_on == [["first"], ["second"]]
    decided.put(exchange(went_on.append), ["third"])
    calls.pop()()
    assert went_on[2:] == [["third"]]


def test_who_looks_earlier_leaves_nothing_to_do(exchange: Callable[..., Any], calls: list[Callable[[], None]]) -> None:
    decided, went_on = Decided(), list[Any]()
    decided.put(exchange(went_on.append), ["first"])
    decided.go_on()
    calls.pop()()
    assert went_on == [["first"]]


def test_an_exchange_that_breaks_holds_up_nobody(exchange: Callable[..., Any], reports: list[dict[str, Any]]) -> None:
    def fail(written: object) -> None:
        raise ValueError(written)

    decided, went_on = Decided(), list[Any]()
    decided.put(exchange(fail), ["first"])
    decided.put(exchange(went_on.append), ["second"])
    decided.go_on()
    assert went_on == [["second"]]
    assert isinstance(reports[0]["exception"], ValueError)
