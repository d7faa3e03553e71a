"""The generated mailbox: plausible, the same for a seed, and separable, but not at a glance."""

import re

import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from inferhub.errors import InvalidInput
from inferhub.starters.samples.message_words import CLOSINGS, EITHER, GREETINGS, HAM, HAM_BARE, SLOTS, SPAM, SPAM_BARE
from inferhub.starters.samples.messages import generate_messages

TEMPLATES = (*HAM, *HAM_BARE, *SPAM, *SPAM_BARE, *EITHER, *GREETINGS, *CLOSINGS)


@pytest.fixture(scope="module")
def messages() -> pl.DataFrame:
    return generate_messages()


def test_one_seed_gives_one_mailbox_and_another_seed_another() -> None:
    assert generate_messages(seed=3, count=50).equals(generate_messages(seed=3, count=50))
    assert not generate_messages(seed=3, count=50).equals(generate_messages(seed=4, count=50))


def test_a_longer_mailbox_begins_with_the_shorter_one() -> None:
    assert generate_messages(count=100).head(50).equals(generate_messages(count=50))


def test_messages_are_as_many_as_asked_for_and_all_different(messages: pl.DataFrame) -> None:
    assert messages.height == 3000
    assert messages["text"].is_unique().all()


def test_about_a_sixth_is_spam(messages: pl.DataFrame) -> None:
    assert set(messages["label"]) == {"ham", "spam"}
    assert 0.15 <= (messages["label"] == "spam").mean() <= 0.20  # type: ignore[operator]


def test_no_slot_or_blank_is_left_over(messages: pl.DataFrame) -> None:
    left = messages.filter(pl.col("text").str.contains(r"[{}#~]|\s\s|^\s|\s$|^$"))
    assert left.is_empty(), left


def test_every_slot_that_a_template_names_is_there_and_every_slot_is_used() -> None:
    named = {name for text in (*TEMPLATES, *sum(SLOTS.values(), ())) for name in re.findall(r"\{(\w+)\}", text)}
    assert named == set(SLOTS)


def test_links_and_addresses_are_of_the_domain_kept_for_examples() -> None:
    texts = " ".join((*TEMPLATES, *sum(SLOTS.values(), ())))
    hosts = re.findall(r"(?:https?://|www\.|@)([\w.~#-]+)", texts)
    assert hosts
    assert [host for host in hosts if not host.endswith(".example")] == []


@pytest.mark.parametrize("sign", ["é|è|ü|ß|ö", "[а-яё]{4}", "😊|👍|📦|🎁"], ids=["accents", "Cyrillic", "emoji"])
@pytest.mark.parametrize("label", ["ham", "spam"])
def test_both_kinds_have(messages: pl.DataFrame, label: str, sign: str) -> None:
    assert messages.filter(pl.col("label") == label, pl.col("text").str.contains(sign)).height > 5


@pytest.mark.parametrize("word", ["parcel", "invoice", "voucher", "free", "account", "https://"])
def test_neither_kind_can_be_told_by_the_word(messages: pl.DataFrame, word: str) -> None:
    having = messages.filter(pl.col("text").str.to_lowercase().str.contains(word, literal=True))
    share = (having["label"] == "spam").mean()
    assert 0.02 < share < 0.98  # type: ignore[operator]


def test_a_plain_classifier_is_good_but_not_perfect(messages: pl.DataFrame) -> None:
    texts, labels = messages["text"].to_list(), messages["label"].to_list()
    vectors = TfidfVectorizer().fit(texts[:2000])
    model = LogisticRegression(C=30).fit(vectors.transform(texts[:2000]), labels[:2000])
    f1 = f1_score(labels[2000:], model.predict(vectors.transform(texts[2000:])), pos_label="spam")
    assert 0.94 < f1 < 1


@pytest.mark.parametrize("count", [0, 50_001])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(InvalidInput, match=f"/count: expected a number from 1 to 50000, got {count}"):
        generate_messages(count=count)
