import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.lib.canonical import _canonical, canonical_json, digest_of

_texts = st.text(st.characters(codec="utf-8"))
_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_spells_the_same_whichever_way_a_database_gives_it_back(number: float) -> None:
    as_digits = json.loads(f"{number:.0f}") if number.is_integer() else number
    assert canonical_json(number) == canonical_json(as_digits)


@given(json_values)
def test_a_round_trip_changes_no_digest(value: object) -> None:
    assert digest_of(json.loads(json.dumps(value))) == digest_of(value)


def test_different_values_have_different_digests() -> None:
    values = [None, False, 0, "", [], {}, "0", [0], {"0": 0}, 0.5, -1, 2**53, "a", "A"]
    assert len({digest_of(value) for value in values}) == len(values)


@given(json_values)
def test_the_quick_way_spells_as_the_thorough_one(value: object) -> None:
    assert canonical_json(value) == _canonical(value)


@pytest.mark.parametrize("text", ['":1.0,', "[1.0]", ":1234567890123456", "-0.0", "\\", "1.0"])
def test_texts_that_look_like_numbers_stay_as_they_are(text: str) -> None:
    assert json.loads(canonical_json({"a": text, text: [text, 1.0]})) == {"a": text, text: [text, 1]}
