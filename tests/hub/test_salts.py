"""Salts are random, and never used twice: by no thread, and by no forked child."""

import os
from concurrent.futures import ThreadPoolExecutor

from inferhub.decisions.digests import new_salt


def test_no_salt_comes_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        salts = list(pool.map(lambda _: new_salt(), range(5000)))
    assert len(set(salts)) == 5000
    assert {len(bytes.fromhex(salt)) for salt in salts} == {16}


def test_a_forked_child_has_salts_of_its_own() -> None:
    new_salt()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(new_salt() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reader, 3200).decode()
    os.close(reader)
    os.close(writer)
    theirs = {text[at : at + 32] for at in range(0, 3200, 32)}
    assert len(theirs) == 100
    assert theirs.isdisjoint(new_salt() for _ in range(100))
