import json
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inferhub.lib.canonical import _canonical, canonical_json, digest_of, has_inexact_number

_texts = st.text(st.characters(codec="utf-8"))
_numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_spells_the_same_whichever_way_a_database_gives_it_back(number: float) -> None:
    as_digits = json.loads(format(Decimal(repr(number)), "f"))
    assert canonical_json(number) == canonical_json(as_digits)


@given(json_values)
def test_a_round_trip_changes_no_digest(value: object) -> None:
    assert digest_of(json.loads(json.dumps(value))) == digest_of(value)


def test_different_values_have_different_digests() -> None:
    values = [None, False, 0, "", [], {}, "0", [0], {"0": 0}, 0.5, -1, 2**53, "a", "A"]
    assert len({digest_of(value) for value in values}) == len(values)


@given(st.integers(2**53, 2**64 - 2))
def test_neighbours_among_large_whole_numbers_have_different_digests(number: int) -> None:
    assert digest_of(number) != digest_of(number + 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_as_a_database_spells_it_has_its_own_digits(number: float) -> None:
    spelt = format(Decimal(repr(number)), "f")
    text = f'{{"a": [{spelt}, 1, 0.5], "b": "0.10000000000000001"}}'
    assert not has_inexact_number(text.encode())


@given(st.floats(1e-3, 1e15).filter(lambda number: len(repr(number)) >= 17 and "e" not in repr(number)))
def test_a_number_with_one_digit_more_than_its_double_is_noticed(number: float) -> None:
    spelt = f"{number!r}1"
    assume(float(spelt) == number)
    assert has_inexact_number(f'{{"a": [{spelt}]}}'.encode())


@given(st.integers(1, 10**18 - 1).filter(lambda digits: digits % 10 != 0), st.integers(0, 18))
def test_a_number_is_noticed_where_its_double_has_other_digits(digits: int, places: int) -> None:
    text = format(Decimal(digits).scaleb(-places), "f")
    is_exact = Decimal(repr(float(text))) == Decimal(text) or "." not in text
    assert has_inexact_number(f"[{text}]".encode()) != is_exact


def test_the_last_digit_of_a_number_with_few_places_is_noticed() -> None:
    assert float("860584541.2417503") == float("860584541.2417504")
    assert has_inexact_number(b'{"a": 860584541.2417503}')
    assert not has_inexact_number(b'{"a": 860584541.2417504}')


@given(json_values)
def test_the_quick_way_spells_as_the_thorough_one(value: object) -> None:
    assert canonical_json(value) == _canonical(value)


_look_alikes = st.text(st.sampled_from('"\\\\01.-,:[]{}e+\n\0\1')) | st.sampled_from(['\\\\",1.0,"', '",-0.0]'])
_whole_floats = st.integers(-(2**54), 2**54).map(float) | st.sampled_from([-0.0, 1e15, 1e16, 1e19, 1e22, -1e17, 1e-7])
_confusing = st.recursive(
    _whole_floats | _look_alikes,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_look_alikes, inner, max_size=4),
)


@given(_confusing)
def test_whole_doubles_beside_texts_that_look_like_them(value: object) -> None:
    assert canonical_json(value) == _canonical(value)


@pytest.mark.parametrize("text", ['":1.0,', "[1.0]", ":1234567890123456", "-0.0", "\\", "1.0"])
def test_texts_that_look_like_numbers_stay_as_they_are(text: str) -> None:
    assert json.loads(canonical_json({"a": text, text: [text, 1.0]})) == {"a": text, text: [text, 1]}
