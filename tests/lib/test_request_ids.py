"""Request ids: different in each process and each request, and in every log line."""

import multiprocessing

from inferhub.lib.request_ids import add_request_id, current_request_id, make_request_id


def test_ids_differ_from_request_to_request() -> None:
    assert len({make_request_id() for _ in range(1000)}) == 1000


def id_of_this_process() -> str:
    return make_request_id()


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        child = pool.apply(id_of_this_process)
    assert child.partition("-")[0] != make_request_id().partition("-")[0]


def test_a_log_line_carries_the_id_of_the_present_request_and_none_outside_of_one() -> None:
    before = current_request_id.set("")
    assert add_request_id(None, "info", {"event": "x"}) == {"event": "x"}
    token = current_request_id.set("abc-1")
    try:
        assert add_request_id(None, "info", {"event": "x"}) == {"event": "x", "request_id": "abc-1"}
    finally:
        current_request_id.reset(token)
        current_request_id.reset(before)
