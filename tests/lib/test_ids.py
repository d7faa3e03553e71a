import time

from inferhub.lib.ids import uuid7


def test_ids_of_one_process_ascend_strictly() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_an_id_is_a_version_7_uuid_of_now() -> None:
    made = uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) - time.time() * 1000) < 60_000
