"""The small pieces of HTML and JSON of the console."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.console import html

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=50)
@given(JSON)
def test_the_written_json_says_the_same(value: Any) -> None:
    assert json.loads(html.json_text(value)) == value


def test_what_fits_stays_on_one_line_and_keys_come_in_the_order_of_reading() -> None:
    rule = {"note": "a large order, so a person looks at it", "then": ['"review"'], "when": ["> 100"]}
    line = '{"when": ["> 100"], "then": ["\\"review\\""], "note": "a large order, so a person looks at it"}'
    written = html.json_text({"rules": [rule, rule], "hit_policy": "first"})
    assert written.splitlines() == [
        "{",
        '  "hit_policy": "first",',
        '  "rules": [',
        f"    {line},",
        f"    {line}",
        "  ]",
        "}",
    ]


def test_a_badge_escapes_what_it_says() -> None:
    assert "<b>" not in html.badge("<b>")


def test_a_job_without_users_is_complete() -> None:
    assert "0 of 0 (100%)" in html.progress(0, 0)
