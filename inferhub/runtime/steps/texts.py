"""Preprocess steps for texts and sequences: text-normalise, tokenise, pad-history."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np

from inferhub.lib.describe import describe, pointer
from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.steps.base import (
    FLAG,
    NAME,
    NAMES,
    SIZE,
    TEXTS,
    Columns,
    Planned,
    Specs,
    Stage,
    batch_of,
    bound,
    check_dims,
    choice,
    parameters,
    refuse,
    take,
    take_datatype,
)

_WORDS = re.compile(r"\w+|[^\w\s]")
_SPACES = re.compile(r"\s+")
_LONGEST_WORD = 100  # BERT's own limit: longer words are unknown ones


@dataclass(frozen=True, kw_only=True, slots=True)
class TextNormalise:
    """Unicode form first, then accents, case and white space, as far as asked for."""

    name: ClassVar[str] = "text-normalise"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"columns": NAMES},
        form=choice("NFC", "NFD", "NFKC", "NFKD"),
        strip_accents=FLAG,
        lower=FLAG,
        collapse_spaces=FLAG,
    )

    columns: Sequence[str]
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFKC"
    strip_accents: bool = False
    lower: bool = False
    collapse_spaces: bool = False

    def plan(self, specs: Specs) -> Planned:
        needed = {
            name: take_datatype(specs, name, pointer("columns", index), "BYTES")
            for index, name in enumerate(self.columns)
        }

        def run(columns: Columns) -> None:
            for name in self.columns:
                columns[name] = _each(self._normalise, columns[name])

        return Planned(specs={**specs, **needed}, run=run)

    def _normalise(self, text: str) -> str:
        text = unicodedata.normalize(self.form, text)
        if self.strip_accents:
            apart = unicodedata.normalize("NFD", text)
            text = unicodedata.normalize("NFC", "".join(sign for sign in apart if unicodedata.category(sign) != "Mn"))
        text = text.lower() if self.lower else text
        return _SPACES.sub(" ", text).strip() if self.collapse_spaces else text


def _each(change: Callable[[str], str], column: Array) -> Array:
    changed = np.empty(column.shape, dtype=object)
    changed.reshape(-1)[:] = [change(text) for text in column.reshape(-1).tolist()]
    return changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenise:
    """A text as `length` places of `vocabulary`; `mask` is the input that gets 1 for tokens and 0 for padding.

    `split`: `words` (and single signs) are whole tokens, `wordpiece` cuts them into the longest known pieces ("##ing"
    continues a word, as BERT's tokeniser does), `characters` takes each sign. Texts are cut to `length`.
    """

    name: ClassVar[str] = "tokenise"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"column": NAME, "into": NAME, "vocabulary": TEXTS, "length": SIZE},
        mask=NAME,
        split=choice("words", "wordpiece", "characters"),
        unknown=NAME,
        pad=NAME,
        start=NAME,
        end=NAME,
    )

    column: str
    into: str
    vocabulary: Sequence[str]
    length: int
    mask: str = ""
    split: str = "words"
    unknown: str = "[UNK]"
    pad: str = "[PAD]"
    start: str = ""
    end: str = ""

    def plan(self, specs: Specs) -> Planned:
        places = {token: place for place, token in enumerate(self.vocabulary)}
        for where in ("unknown", "pad", "start", "end"):
            token = getattr(self, where)
            if token and token not in places:
                refuse("/" + where, "a token of the vocabulary", describe(token))
        made = {self.into: take_datatype(specs, self.into, "/into", "INT32", "INT64")}
        if self.mask:
            made[self.mask] = take(specs, self.mask, "/mask")
        for spec in made.values():
            check_dims(spec, "/length", self.length)
        needed = {name: spec for name, spec in specs.items() if name not in made}
        if self.column in needed:
            refuse("/column", "a name that no other column has", f"'{self.column}'")
        needed[self.column] = TensorSpec(name=self.column, datatype="BYTES", shape=(batch_of(made[self.into]),))
        line = self._line(places)

        def run(columns: Columns) -> None:
            texts = columns.pop(self.column).tolist()
            bound(self.column, len(texts), self.length)
            lines = [line(text) for text in texts]
            columns[self.into], mask = _padded(lines, self.length, places[self.pad], made[self.into])
            if self.mask:
                columns[self.mask] = mask.astype(made[self.mask].numpy_type)

        return Planned(specs=needed, run=run)

    def _line(self, places: Mapping[str, int]) -> Callable[[str], list[int]]:
        """The places of one text's tokens."""
        unknown = places[self.unknown]
        first = [places[self.start]] if self.start else []
        last = [places[self.end]] if self.end else []
        room = max(self.length - len(first) - len(last), 0)
        tokens = {
            "words": lambda text: (match[0] for match in _WORDS.finditer(text)),
            "characters": iter,
            "wordpiece": lambda text: _pieces(text, places, self.unknown),
        }[self.split]

        def line(text: str) -> list[int]:
            return [*first, *(places.get(token, unknown) for token in islice(tokens(text), room)), *last]

        return line


def _pieces(text: str, places: Mapping[str, int], unknown: str) -> Iterator[str]:
    """Greedy, longest piece first (Wu et al. 2016, as in BERT); a word with an unknown piece is unknown as a whole."""
    for match in _WORDS.finditer(text):
        yield from _pieces_of_word(match[0], places, unknown)


def _pieces_of_word(word: str, places: Mapping[str, int], unknown: str) -> Iterable[str]:
    pieces: list[str] = []
    start = 0
    while start < len(word) <= _LONGEST_WORD:
        prefix = "##" if start else ""
        ends = (end for end in range(len(word), start, -1) if prefix + word[start:end] in places)
        end = next(ends, None)
        if end is None:
            return [unknown]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces or [unknown]


def _padded(lines: Sequence[list[int]], length: int, pad: int, spec: TensorSpec) -> tuple[Array, Array]:
    """[N, length] places, and where they are no padding."""
    lengths = np.array([min(len(line), length) for line in lines])
    mask = np.arange(length) < lengths[:, np.newaxis]
    places = np.full(mask.shape, pad, spec.numpy_type)
    places[mask] = [place for line in lines for place in line[:length]]
    return places, mask


@dataclass(frozen=True, kw_only=True, slots=True)
class PadHistory:
    """A customer's item ids as exactly `length` places.

    Of a longer history `keep` says which end stays; a shorter one is padded on `side`. With a `vocabulary` the model
    gets places in it (`unknown` and `pad` are numbers then, items count from `first`), else the ids themselves.
    """

    name: ClassVar[str] = "pad-history"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"column": NAME, "length": SIZE},
        into=NAME,
        keep=choice("first", "last"),
        side=choice("right", "left"),
        vocabulary=TEXTS,
        first={"type": "integer", "minimum": 0},
        unknown={"type": "integer", "minimum": 0},
        pad={"type": "integer", "minimum": 0},
    )

    column: str
    length: int
    into: str = ""
    keep: str = "first"
    side: str = "right"
    vocabulary: Sequence[str] = ()
    first: int = 1
    unknown: int = 0
    pad: int = 0

    def plan(self, specs: Specs) -> Planned:
        into = self.into or self.column
        where = "/into" if self.into else "/column"
        spec = take_datatype(specs, into, where, *(("INT32", "INT64") if self.vocabulary else ("BYTES",)))
        check_dims(spec, "/length", self.length)
        needed = {name: other for name, other in specs.items() if name != into}
        if self.column in needed:
            refuse("/column", "a name that no other column has", f"'{self.column}'")
        needed[self.column] = TensorSpec(name=self.column, datatype="BYTES", shape=(batch_of(spec), None))
        places = {item: place for place, item in enumerate(self.vocabulary, self.first)}

        def run(columns: Columns) -> None:
            bound(self.column, len(columns[self.column]), self.length)
            ids = self._cut(columns.pop(self.column))
            columns[into] = ids if not places else self._places(ids, places, spec)

        return Planned(specs=needed, run=run)

    def _cut(self, column: Array) -> Array:
        """[N, length] ids, `""` where there is none. Rows came padded on the right with `""`."""
        lengths = (column != "").sum(axis=1)
        starts = np.maximum(lengths - self.length, 0) if self.keep == "last" else np.zeros_like(lengths)
        counts = np.minimum(lengths, self.length)
        offsets = self.length - counts if self.side == "left" else np.zeros_like(counts)
        places = np.arange(self.length) - offsets[:, np.newaxis]
        is_item = (places >= 0) & (places < counts[:, np.newaxis])
        source = np.clip(places + starts[:, np.newaxis], 0, column.shape[1] - 1)
        return np.where(is_item, np.take_along_axis(column, source, axis=1), "")

    def _places(self, ids: Array, places: Mapping[str, int], spec: TensorSpec) -> Array:
        get = places.get
        flat = [self.pad if item == "" else get(item, self.unknown) for item in ids.reshape(-1).tolist()]
        return np.array(flat, spec.numpy_type).reshape(ids.shape)
