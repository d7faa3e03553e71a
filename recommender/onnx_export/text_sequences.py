"""Texts as sequences of numbers in ONNX, exactly as scikit-learn's analysers cut them.

ONNX's own string operators fall short: StringNormalizer needs a locale, Tokenizer's regular expressions have other
ideas of a word, and neither drops stop words before it joins n-grams. So a text becomes its characters here, characters
become numbers by one look-up, and words become sums over their characters that are looked up in the vocabulary.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from recommender.errors import ExportMismatch
from recommender.onnx_export.builder import BOOL, INT64, ML_DOMAIN, GraphBuilder

WIDE_OPSET = 20  # RegexFullMatch, and Equal of strings
NO_CHARACTER, SPACE = 0, 1
_OTHER_WORD = 1
_SURROGATES = range(0xD800, 0xE000)
_DOTTED_I = "İ"  # the only letter that becomes two in lower case: "i" and a dot above, which no word contains
_SIGMA, _LAST_SIGMA, _INNER_SIGMA = "Σ", "ς", "σ"  # the only letter whose lower case depends on its place
_PATTERN = re.compile(
    r"(?:\(\?u\))?(?P<edge>\\b)?(?P<one>\\w|\[[^\[\]]+\])(?:(?P<again>(?P=one))?\+|\{(?P<least>\d+),\})(?(edge)\\b)"
)
_HASHES = 20240229  # any number: it only chooses the constants below


@dataclass(frozen=True, kw_only=True, slots=True)
class TermSequence:
    """`tensor` int64 [N, S] of the numbers of words or characters; `spell` gives those of a term of the vocabulary."""

    tensor: str
    spell: Callable[[str], Sequence[int]]


def write_sequence(graph: GraphBuilder, text: str, vectorizer: CountVectorizer) -> TermSequence:
    """What the analyser of `vectorizer` makes of `text` (string [N, 1]). Raises ExportMismatch for what ONNX cannot."""
    refuse_unknown_options(vectorizer)
    graph.need_opset(WIDE_OPSET)
    if vectorizer.analyzer == "word":
        return _Words(graph, vectorizer).write(text)
    return _Characters(graph, vectorizer).write(text)


def refuse_unknown_options(vectorizer: CountVectorizer) -> None:
    """Raise ExportMismatch for options without an exact form."""
    own_code = [name for name in ("preprocessor", "tokenizer") if getattr(vectorizer, name) is not None]
    if callable(vectorizer.analyzer):
        own_code.append("analyzer")
    if own_code:
        raise ExportMismatch(
            f"{own_code[0]}: Python code has no ONNX form; use a built-in analyzer and a token_pattern"
        )
    if vectorizer.strip_accents is not None:
        raise ExportMismatch("strip_accents has no exact ONNX form; train without it")
    if vectorizer.input != "content":
        raise ExportMismatch(f"input='{vectorizer.input}': a graph takes texts, no files")
    if vectorizer.analyzer == "word" and _PATTERN.fullmatch(vectorizer.token_pattern) is None:
        raise ExportMismatch(
            f"token_pattern {vectorizer.token_pattern!r} has no exact ONNX form; use runs of one kind of character, "
            r"such as (?u)\b\w\w+\b, \w+ or [a-z0-9]{3,}"
        )


def encode_characters(graph: GraphBuilder, characters: str, numbers: Mapping[str, int]) -> str:
    """Numbers int64 in the shape of `characters`; NO_CHARACTER for those that `numbers` does not know."""
    return graph.op(
        "LabelEncoder",
        characters,
        domain=ML_DOMAIN,
        keys_strings=list(numbers),
        values_int64s=list(numbers.values()),
        default_int64=NO_CHARACTER,
    )


def split_characters(graph: GraphBuilder, text: str) -> str:
    """The characters of each text, string [N, L], "" behind the shorter ones."""
    characters = graph.op(
        "Tokenizer", text, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[""]
    )
    return graph.op("Squeeze", characters, graph.constant(np.array([1], np.int64)))


def move_left(graph: GraphBuilder, numbers: str, is_kept: str) -> str:
    """The kept ones of int64 [N, S] side by side; NO_CHARACTER fills up the right."""
    kept = graph.op("Cast", is_kept, to=INT64)
    place = graph.op("Sub", graph.op("CumSum", kept, graph.constant(np.int64(1))), kept)
    last = graph.op("Sub", graph.dimension(numbers, 1), graph.constant(np.array([1], np.int64)))
    nothing = graph.op("Mul", numbers, graph.constant(np.int64(0)))
    place = graph.op("Where", is_kept, place, last)
    return graph.op("ScatterElements", nothing, place, graph.op("Mul", numbers, kept), axis=1, reduction="max")


def all_characters() -> Iterable[str]:
    """Everything that a text may hold."""
    return (chr(point) for point in range(1, sys.maxunicode + 1) if point not in _SURROGATES)


@cache
def _lowered() -> dict[str, str]:
    """Characters that lower case changes."""
    return {character: character.lower() for character in all_characters() if character.lower() != character}


@cache
def _spaces() -> tuple[str, ...]:
    return tuple(character for character in all_characters() if character.isspace())


def _numbers_of(known: Mapping[str, int], *, lowercase: bool) -> dict[str, int]:
    """`known` and, where case does not matter, the capital letters of its keys."""
    numbers = dict(known)
    for character, lowered in _lowered().items() if lowercase else ():
        numbers.pop(character, None)
        if lowered[0] in known:
            numbers[character] = known[lowered[0]]
    return numbers


class _Writer:
    """What both kinds of analysers need."""

    def __init__(self, graph: GraphBuilder, vectorizer: CountVectorizer) -> None:
        self.graph = graph
        self.vectorizer = vectorizer
        self.terms: list[str] = list(vectorizer.vocabulary_)

    def const(self, value: Any) -> str:
        return self.graph.constant(value)

    def integer(self, value: int) -> str:
        return self.const(np.int64(value))

    def is_equal(self, characters: str, character: str) -> str:
        return self.graph.op("Equal", characters, self.const(np.array(character, object)))

    def both(self, one: str, other: str) -> str:
        return self.graph.op("And", one, other)

    def negated(self, one: str) -> str:
        return self.graph.op("Not", one)

    def before(self, flags: str) -> str:
        """Each flag (bool [N, L]) one place to the right, false at the left."""
        return self._shifted(flags, (0, 1, 0, 0), 0, -1)

    def after(self, flags: str) -> str:
        """Each flag one place to the left, false at the right."""
        return self._shifted(flags, (0, 0, 0, 1), 1, sys.maxsize)

    def _shifted(self, flags: str, padding: tuple[int, ...], start: int, end: int) -> str:
        graph = self.graph
        numbers = graph.op("Cast", flags, to=INT64)
        numbers = graph.op("Pad", numbers, self.const(np.array(padding, np.int64)), self.integer(0))
        first = 0 if padding[1] else start
        last = end if padding[1] else sys.maxsize
        limits = (self.const(np.array([value], np.int64)) for value in (first, last, 1))
        return graph.op("Cast", graph.op("Slice", numbers, *limits), to=BOOL)

    def with_sigma(self, characters: str, codes: str, numbers: Mapping[str, int]) -> str:
        """A capital sigma becomes another small letter behind the last cased letter of a word."""
        if not self.vectorizer.lowercase or numbers.get(_LAST_SIGMA) == numbers.get(_INNER_SIGMA):
            return codes
        graph, one = self.graph, self.integer(1)
        is_cased, is_skipped = (graph.op("RegexFullMatch", characters, pattern=part) for part in _sigma_patterns())
        counted = graph.op("Cast", self.negated(is_skipped), to=INT64)
        place = graph.op("CumSum", counted, one)
        empty = graph.op("Mul", place, self.integer(0))
        empty = graph.op("Pad", empty, self.const(np.array([0, 0, 0, 2], np.int64)), self.integer(0))
        cased = graph.op("Mul", graph.op("Cast", is_cased, to=INT64), counted)
        cased = graph.op("ScatterElements", empty, place, cased, axis=1, reduction="add")
        before, after = (
            graph.op("Equal", graph.op("GatherElements", cased, graph.op(step, place, one), axis=1), one)
            for step in ("Sub", "Add")
        )
        is_last = self.both(self.is_equal(characters, _SIGMA), self.both(before, self.negated(after)))
        return graph.op("Where", is_last, self.integer(numbers.get(_LAST_SIGMA, NO_CHARACTER)), codes)

    def class_pattern(self, one: str) -> str:
        """The characters that, in lower case if need be, match the regular expression `one`, as RE2 spells them."""
        return _class_pattern(one, bool(self.vectorizer.lowercase))


@cache
def _class_pattern(one: str, lowercase: bool) -> str:
    matches = re.compile(one).fullmatch
    return _as_pattern(c for c in all_characters() if matches(c.lower()[0] if lowercase else c))


@cache
def _sigma_patterns() -> tuple[str, str]:
    """The cased characters and those that are skipped on the way to one, as Python's own rule for sigma shows them."""
    cased, skipped = [], []
    for character in all_characters():
        if f"A{_SIGMA}{character}".lower()[1] == _INNER_SIGMA:
            cased.append(character)
        elif f"A{_SIGMA}{character}A".lower()[1] == _INNER_SIGMA:
            skipped.append(character)
    return _as_pattern(cased), _as_pattern(skipped)


def _as_pattern(characters: Iterable[str]) -> str:
    """A regular expression for one of the characters, which come in their order."""
    points = np.array(list(map(ord, characters)))
    gaps = np.flatnonzero(np.diff(points) > 1)
    starts, ends = points[np.append(0, gaps + 1)], points[np.append(gaps, len(points) - 1)]
    return "[" + "".join(f"\\x{{{start:x}}}-\\x{{{end:x}}}" for start, end in zip(starts, ends, strict=True)) + "]"


class _Words(_Writer):
    """Words are runs of characters of one class; each is known by a sum over its characters' constants.

    The sum of letter constant times place constant (64 random bits each) tells the words of the vocabulary apart, which
    is checked; that an unknown word shares the sum of a known one has a probability of 1e-14 or less.
    """

    def __init__(self, graph: GraphBuilder, vectorizer: CountVectorizer) -> None:
        super().__init__(graph, vectorizer)
        pattern = _PATTERN.fullmatch(vectorizer.token_pattern)
        if pattern is None:
            raise ExportMismatch(f"token_pattern {vectorizer.token_pattern!r} has no exact ONNX form")
        self.one = pattern["one"]
        self.least = int(pattern["least"] or (2 if pattern["again"] else 1))
        self.stop_words = sorted(vectorizer.get_stop_words() or ())
        self.words = sorted({word for term in self.terms for word in term.split(" ")} - {""} - set(self.stop_words))
        spelled = [*self.words, *self.stop_words]
        characters = sorted(set("".join(spelled)))
        self.numbers = {character: number for number, character in enumerate(characters, 1)}
        self.longest = max(map(len, spelled), default=1)
        random = np.random.default_rng(_HASHES)
        bits = np.iinfo(np.int64)
        self.letters = random.integers(bits.min, bits.max, len(characters) + 1) | 1
        self.places = random.integers(bits.min, bits.max, self.longest + 1) | 1
        self.hashes = {word: self._hash(word) for word in spelled}
        if len(set(self.hashes.values())) < len(self.hashes):
            raise ExportMismatch("two words of the vocabulary could not be told apart; leave one of them out")

    def _hash(self, word: str) -> int:
        codes = [self.numbers[character] for character in word]
        with np.errstate(over="ignore"):
            return int((self.letters[codes] * self.places[: len(codes)]).sum())

    def write(self, text: str) -> TermSequence:
        graph = self.graph
        characters = split_characters(graph, text)
        is_word = graph.op("RegexFullMatch", characters, pattern=self.class_pattern(self.one))
        numbers = _numbers_of(self.numbers, lowercase=bool(self.vectorizer.lowercase))
        codes = self.with_sigma(characters, encode_characters(graph, characters, numbers), self.numbers)
        index = self._index(characters, is_word)
        sums, lengths = self._sums(codes, is_word, index)
        ids = self._ids(sums)
        is_kept = graph.op("GreaterOrEqual", lengths, self.integer(self.least))
        if self.stop_words:
            is_kept = self.both(is_kept, graph.op("GreaterOrEqual", ids, self.integer(0)))
        places = {word: number for number, word in enumerate(self.words, _OTHER_WORD + 1)}
        return TermSequence(
            tensor=move_left(graph, ids, is_kept),
            spell=lambda term: [places.get(word, NO_CHARACTER) for word in term.split(" ")],
        )

    def _index(self, characters: str, is_word: str) -> str:
        """int64 [N, L]: the number of the word, from 1, that a character belongs to."""
        goes_on = self.before(is_word)
        if self.vectorizer.lowercase:
            goes_on = self.both(goes_on, self.negated(self.before(self.is_equal(characters, _DOTTED_I))))
        starts = self.graph.op("Cast", self.both(is_word, self.negated(goes_on)), to=INT64)
        return self.graph.op("CumSum", starts, self.integer(1))

    def _sums(self, codes: str, is_word: str, index: str) -> tuple[str, str]:
        """The sum and the length of each word, int64 [N, W]; place 0 is no word."""
        graph = self.graph
        counted = graph.op("Cast", is_word, to=INT64)
        most = graph.op("ReduceMax", graph.op("Pad", index, self.const(np.array([0, 1, 0, 0])), self.integer(0)))
        width = graph.op("Add", graph.reshape(most, 1), self.const(np.array([1], np.int64)))
        shape = graph.op("Concat", graph.dimension(index, 0), width, axis=0)
        empty = graph.op("Expand", self.integer(0), shape)
        so_far = graph.op("CumSum", counted, self.integer(1))
        lengths = graph.op("ScatterElements", empty, index, counted, axis=1, reduction="add")
        before = graph.op("CumSum", lengths, self.integer(1), exclusive=1)  # word characters in the words before
        place = graph.op("Sub", graph.op("Sub", so_far, counted), graph.op("GatherElements", before, index, axis=1))
        place = graph.op("Min", graph.op("Max", place, self.integer(0)), self.integer(self.longest))
        letter = graph.op("Gather", self.const(self.letters), codes)
        value = graph.op("Mul", graph.op("Mul", letter, graph.op("Gather", self.const(self.places), place)), counted)
        return graph.op("ScatterElements", empty, index, value, axis=1, reduction="add"), lengths

    def _ids(self, sums: str) -> str:
        """_OTHER_WORD + 1, ... for the words of the vocabulary, -1 for stop words."""
        ids = [*range(_OTHER_WORD + 1, _OTHER_WORD + 1 + len(self.words)), *[-1] * len(self.stop_words)]
        return self.graph.op(
            "LabelEncoder",
            sums,
            domain=ML_DOMAIN,
            keys_int64s=list(self.hashes.values()),
            values_int64s=ids,
            default_int64=_OTHER_WORD,
        )


class _Characters(_Writer):
    """The analysers char and char_wb. Every character has a few slots for what it becomes; -1 is an empty slot."""

    def write(self, text: str) -> TermSequence:
        graph = self.graph
        blanks = {space: number for number, space in enumerate([" ", *(s for s in _spaces() if s != " ")], SPACE)}
        characters = sorted(set("".join(self.terms)) - set(blanks))
        numbers = blanks | {character: number for number, character in enumerate(characters, len(blanks) + SPACE)}
        padding = self.const(np.array([0, 1, 0, 1], np.int64))
        given = split_characters(graph, text)
        codes = encode_characters(graph, given, _numbers_of(numbers, lowercase=bool(self.vectorizer.lowercase)))
        codes = self.with_sigma(given, codes, numbers)
        codes = graph.op("Where", self.is_equal(given, ""), self.integer(-1), codes)
        dotted = graph.op("Cast", self.is_equal(given, _DOTTED_I), to=INT64)
        codes, dotted = (
            graph.op("Pad", part, padding, self.integer(value)) for part, value in ((codes, -1), (dotted, 0))
        )
        dot = self._only(graph.op("Cast", dotted, to=BOOL), numbers.get("\u0307", NO_CHARACTER))
        slots = self._in_words(codes, dot, len(blanks)) if self._has_edges else self._in_text(codes, dot, len(blanks))
        return TermSequence(tensor=self._joined(slots), spell=lambda term: [numbers[character] for character in term])

    @property
    def _has_edges(self) -> bool:
        return bool(self.vectorizer.analyzer == "char_wb")

    def _only(self, condition: str, number: int) -> str:
        return self.graph.op("Where", condition, self.integer(number), self.integer(-1))

    def _is_space(self, codes: str, blanks: int) -> str:
        is_past = self.graph.op("GreaterOrEqual", codes, self.integer(SPACE))
        return self.both(is_past, self.graph.op("Less", codes, self.integer(SPACE + blanks)))

    def _in_text(self, codes: str, dot: str, blanks: int) -> list[str]:
        """Two or more spaces of any kind become one blank, a single one stays what it is."""
        is_space = self._is_space(codes, blanks)
        follows, is_followed = self.before(is_space), self.after(is_space)
        is_first = self.both(is_space, self.both(is_followed, self.negated(follows)))
        one = self.graph.op("Where", is_first, self.integer(SPACE), codes)
        return [self.graph.op("Where", self.both(is_space, follows), self.integer(-1), one), self._dot(dot)]

    def _in_words(self, codes: str, dot: str, blanks: int) -> list[str]:
        """A blank before and behind each word, and a break between words."""
        is_filled = self.graph.op("GreaterOrEqual", codes, self.integer(0))
        is_word = self.both(is_filled, self.negated(self._is_space(codes, blanks)))
        starts = self.both(is_word, self.negated(self.before(is_word)))
        ends = self.both(is_word, self.negated(self.after(is_word)))
        inner = self.graph.op("Where", is_word, codes, self.integer(-1))
        behind, broken = self._only(ends, SPACE), self._only(ends, NO_CHARACTER)
        return [self._only(starts, SPACE), inner, self._dot(dot), behind, broken]

    def _dot(self, dot: str) -> str:
        return dot if self.vectorizer.lowercase else self.graph.op("Min", dot, self.integer(-1))

    def _joined(self, slots: list[str]) -> str:
        graph, axis = self.graph, self.const(np.array([2], np.int64))
        together = graph.op("Concat", *(graph.op("Unsqueeze", slot, axis) for slot in slots), axis=2)
        flat = graph.op("Reshape", together, self.const(np.array([0, -1], np.int64)))
        return move_left(graph, flat, graph.op("GreaterOrEqual", flat, self.integer(0)))
