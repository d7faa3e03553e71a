import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import InvalidData, fit_text_classifier
from recommender.text import CharacterNgrams


@given(st.text(max_size=30))
def test_white_space_around_and_between_words_does_not_matter(text: str) -> None:
    ngrams = CharacterNgrams(1, 3)

    assert ngrams(text) == ngrams("\n " + "\t ".join(text.split()) + "\u3000")


def test_case_does_not_matter_in_any_script() -> None:
    ngrams = CharacterNgrams(2, 4)

    assert ngrams("ПРИВЕТ Ärger") == ngrams("привет äRGER")


@pytest.mark.parametrize(
    ("texts", "labels", "positive", "complaint"),
    [
        (["a"] * 10, ["ham"] * 9, None, "labels: expected 10, one per text, got 9"),
        (["a"] * 10, ["ham"] * 10, None, "expected two or more"),
        (["a"] * 10, ["ham"] * 8 + ["spam"] * 2, None, r"at least 5 texts each, got ham \(8\), spam \(2\)"),
        (["a", "b"] * 5, ["ham", "spam"] * 5, "eggs", "positive: expected one of the labels ham, spam"),
        (["a", None] * 5, ["ham", "spam"] * 5, None, "texts: row 2: expected text, got None"),
    ],
)
def test_data_that_cannot_be_learned_is_named(
    texts: list[str], labels: list[str], positive: str | None, complaint: str
) -> None:
    with pytest.raises(InvalidData, match=complaint):
        fit_text_classifier(texts, labels, positive=positive)


def test_calibrated_probabilities_are_not_far_from_what_happens() -> None:
    texts = [f"offer {n % 3} for you" for n in range(90)]
    labels = ["spam" if n % 3 == 0 and n % 9 else "ham" for n in range(90)]

    model = fit_text_classifier(texts, labels, positive="spam")

    assert model.predict_proba(["offer 0 for you"])[0, 1] == pytest.approx(2 / 3, abs=0.1)
