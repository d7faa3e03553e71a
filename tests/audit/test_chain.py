from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.audit import chain_check
from inferhub.audit.chain import NOTHING, SealHeader, digest_of_seal, skip_of, way_to


@given(st.integers(1, 10**12))
def test_a_seal_skips_as_in_the_list_of_myers(number: int) -> None:
    before = number - 1
    jump = skip_of(before)
    is_pair = before > 0 and before - jump == jump - skip_of(jump)
    assert skip_of(number) == (skip_of(jump) if is_pair else before)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_way_to_a_seal_is_short_and_each_step_is_named_by_the_one_before(one: int, other: int) -> None:
    number, head = sorted((one, other))
    way = way_to(number, head=head)
    assert (way[0], way[-1]) == (head, number)
    assert all(below in (above - 1, skip_of(above)) for above, below in pairwise(way))
    assert len(way) <= 3 * log2(head + 1) + 1


def test_a_check_that_remembers_only_what_later_seals_name_finds_a_long_chain_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_check, "_MOST_LINKS", 16)
    digests, links = {0: NOTHING}, chain_check._Links()
    for number in range(1, 3000):
        seal = SealHeader(
            number=number,
            stream="decision",
            count=1,
            root=f"{number:064x}",
            previous=digests[number - 1],
            skip=digests[skip_of(number)],
            sealed_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        digests[number] = digest_of_seal(seal)
        assert list(links.faults(seal, digests[number], {"decision"})) == []
        assert len(links._known) < 50
    forged = replace(seal, number=3000, previous=digests[2999], skip="f" * 64)
    assert skip_of(3000) in links._known
    assert list(links.faults(forged, digest_of_seal(forged), {"decision"})) != []
