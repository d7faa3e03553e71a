"""Generated messages to a shop's mailbox: questions, returns and thanks, and the spam between them.

Nothing is copied from any collection: each text comes from a template of `message_words` and then suffers what real
mail suffers, such as typing errors, missing capitals and, in spam, letters disguised against filters.
"""

import re

import numpy as np
import polars as pl

from inferhub.errors import FieldError, InvalidInput
from inferhub.starters.samples.dataset import MESSAGE_SCHEMA
from inferhub.starters.samples.message_words import (
    CLOSINGS,
    EITHER,
    EMOJI,
    GREETINGS,
    HAM,
    HAM_BARE,
    SLOTS,
    SPAM,
    SPAM_BARE,
)

SPAM_SHARE = 0.17
EITHER_SHARE = 0.03
DISGUISED_SHARE = 0.25
MAX_COUNT = 50_000

_SLOT = re.compile(r"\{(\w+)\}|#+|~")
_LETTERS = "abcdefghijkmnprstuvwxyz"
# Letters of other alphabets, digits and signs that look alike.
_DISGUISE = str.maketrans({"a": "а", "e": "е", "o": "0", "i": "1", "c": "с", "s": "$", "p": "р"})


def generate_messages(*, seed: int = 7, count: int = 3000) -> pl.DataFrame:
    """Return `count` different messages in `MESSAGE_SCHEMA`, about `SPAM_SHARE` of them spam.

    Raises InvalidInput for a count outside 1 to `MAX_COUNT`.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidInput(
            errors=[FieldError(pointer="/count", expected=f"a number from 1 to {MAX_COUNT}", got=str(count))]
        )
    rng = np.random.default_rng(seed)
    messages: dict[str, str] = {}
    while len(messages) < count:
        label = "spam" if rng.random() < SPAM_SHARE else "ham"
        messages.setdefault(_write(rng, label), label)
    return pl.DataFrame({"text": list(messages), "label": list(messages.values())}, schema=MESSAGE_SCHEMA)


def _write(rng: np.random.Generator, label: str) -> str:
    text = _compose(rng, *((SPAM, SPAM_BARE) if label == "spam" else (HAM, HAM_BARE)))
    if label == "spam" and rng.random() < DISGUISED_SHARE:
        text = _disguise(rng, text)
    return " ".join(_spoil(rng, text).split())


def _compose(rng: np.random.Generator, full: tuple[str, ...], bare: tuple[str, ...]) -> str:
    """One of the templates, each as likely as any other; those of `full` with a greeting and a farewell."""
    if rng.random() < EITHER_SHARE:
        return _fill(rng, _pick(rng, EITHER))
    chosen = int(rng.integers(len(full) + len(bare)))
    if chosen >= len(full):
        return _fill(rng, bare[chosen - len(full)])
    body = _fill(rng, full[chosen])
    greeting = _pick(rng, GREETINGS)
    if greeting and body[1].islower():
        body = body[0].lower() + body[1:]
    return greeting + body + _fill(rng, _pick(rng, CLOSINGS))


def _pick(rng: np.random.Generator, choices: tuple[str, ...] | str) -> str:
    return choices[int(rng.integers(len(choices)))]


def _fill(rng: np.random.Generator, template: str) -> str:
    """Replace slots, and the slots in what replaces them, and choose the numbers and letters left to chance."""

    def replacement(match: re.Match[str]) -> str:
        if match[1]:
            return _fill(rng, _pick(rng, SLOTS[match[1]]))
        if match[0] == "~":
            return _pick(rng, _LETTERS)
        digits = len(match[0])
        return str(rng.integers(10 ** (digits - 1), 10**digits))

    return _SLOT.sub(replacement, template)


def _spoil(rng: np.random.Generator, text: str) -> str:
    """What hurry does to a text: no capitals, or only capitals, no full stop, a slip of the finger, an emoji."""
    mood = rng.random()
    if mood < 0.22:
        text = text.lower()
    elif mood < 0.26:
        text = text.upper()
    if rng.random() < 0.3:
        text = text.rstrip(".!?")
    if rng.random() < 0.3:
        text = _mistype(rng, text)
    if rng.random() < 0.12:
        text = f"{text} {_pick(rng, EMOJI)}"
    return text


def _mistype(rng: np.random.Generator, text: str) -> str:
    """Swap two neighbouring letters, lose one or double one, in one of the longer words."""
    places = [match.start() for match in re.finditer(r"(?<=\w)[^\W\d_](?=\w)", text)]
    if not places:
        return text
    at = places[int(rng.integers(len(places)))]
    slip = _pick(rng, (text[at + 1] + text[at], text[at + 1], text[at] + text[at : at + 2]))
    return text[:at] + slip + text[at + 2 :]


def _disguise(rng: np.random.Generator, text: str) -> str:
    """Disguise about a third of the words, but no link, which has to work."""
    words = text.split(" ")
    return " ".join(_disguise_word(rng, word) if "." not in word and rng.random() < 0.35 else word for word in words)


def _disguise_word(rng: np.random.Generator, word: str) -> str:
    return word.translate(_DISGUISE) if rng.random() < 0.7 else "-".join(word)
