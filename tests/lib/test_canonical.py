import json

from hypothesis import given
from hypothesis import strategies as st

from inferhub.lib.canonical import canonical_json, digest_of

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
