from itertools import pairwise
from math import log2

from hypothesis import given
from hypothesis import strategies as st

from inferhub.audit.chain import skip_of, way_to


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
