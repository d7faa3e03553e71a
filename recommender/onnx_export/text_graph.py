"""A text classifier as one ONNX graph that computes exactly `CharacterNgrams`, TF-IDF and the logistic regression.

Characters become numbers by one look-up that also folds case and white space, so the graph needs no locale (ONNX's
StringNormalizer does) and no regular expression (ONNX Runtime's know ASCII letters only).
"""

import json
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from recommender.onnx_export.builder import FLOAT, INT64, ML_DOMAIN, STRING, GraphBuilder
from recommender.onnx_export.text_weights import write_text_features
from recommender.text import CharacterNgrams, TextClassifier, fold
from recommender.types import DoubleArray
from recommender.version import VERSION

_NO_CHARACTER, _SPACE = 0, 1
_SHORTEST = np.float32(1e-30)  # a text without any known n-gram has length 0, and decision 0 / length must be 0
_SURROGATES = range(0xD800, 0xE000)


def build_text_graph(model: TextClassifier) -> bytes:
    """Input text string [N, 1]; outputs label string [N], probability float32 [N, 1], probabilities float32 [N, C]."""
    regression = model.pipeline[-1]
    characters, *words = model.vectorizers
    graph = GraphBuilder()
    text = graph.input("text", STRING, ["N", 1])
    codes = _Codes.of(list(characters.vocabulary_))
    sequence = _collapse_spaces(graph, _encode(graph, text, codes))
    width = len(characters.vocabulary_)
    decisions = _project(graph, _weigh_ngrams(graph, sequence, characters, codes), regression.coef_[:, :width])
    for vectorizer in words:
        weights = graph.constant(regression.coef_[:, width:].T.astype(np.float32))
        products = graph.op("MatMul", write_text_features(graph, text, vectorizer), weights)
        decisions = graph.op("Add", decisions, products)
    probabilities = _probabilities(graph, decisions, regression)
    _name_outputs(graph, model, probabilities)
    metadata = {"task": "classification", "labels": json.dumps(model.labels), "positive": model.positive}
    return graph.build("text_classification", metadata | {"library_version": VERSION})


@dataclass(frozen=True, slots=True)
class _Codes:
    """Numbers for the folded characters of the vocabulary; 0 for all others, 1 for white space."""

    numbers: dict[str, int]

    @classmethod
    def of(cls, ngrams: list[str]) -> "_Codes":
        characters = sorted(set("".join(ngrams)) - {" "})
        return cls({" ": _SPACE} | {character: number for number, character in enumerate(characters, _SPACE + 1)})

    def lookup(self) -> dict[str, int]:
        """Every character of Unicode that folds to a known one, every white space, and "" (padding) as a space."""
        table = {"": _SPACE}
        for character, folded in _folds().items():
            number = _SPACE if character.isspace() else self.numbers.get(folded)
            if number is not None:
                table[character] = number
        return table


@cache
def _folds() -> dict[str, str]:
    points = (point for point in range(1, sys.maxunicode + 1) if point not in _SURROGATES)
    return {character: fold(character) for character in map(chr, points)}


def _encode(graph: GraphBuilder, text: str, codes: _Codes) -> str:
    """Numbers int64 [N, L + 2] of the characters, a space before and at least one behind."""
    characters = graph.op(
        "Tokenizer", text, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[""]
    )
    table = codes.lookup()
    numbers = graph.op(
        "LabelEncoder",
        graph.op("Squeeze", characters, graph.constant(np.array([1], np.int64))),
        domain=ML_DOMAIN,
        keys_strings=list(table),
        values_int64s=list(table.values()),
        default_int64=_NO_CHARACTER,
    )
    return graph.op("Pad", numbers, graph.constant(np.array([0, 1, 0, 1], np.int64)), graph.constant(np.int64(_SPACE)))


def _collapse_spaces(graph: GraphBuilder, numbers: str) -> str:
    """Move every number to the left over the spaces that follow a space; "no character" fills up the right."""
    start, end, axis = (graph.constant(np.array([value], np.int64)) for value in (0, -1, 1))
    is_space = graph.op("Equal", numbers, graph.constant(np.int64(_SPACE)))
    as_number = graph.op("Cast", is_space, to=INT64)
    before = graph.op("Pad", graph.op("Slice", as_number, start, end, axis), graph.constant(np.array([0, 1, 0, 0])))
    repeated = graph.op("Mul", as_number, before)
    kept = graph.op("Sub", graph.constant(np.int64(1)), repeated)
    place = graph.op("Sub", graph.op("CumSum", kept, graph.constant(np.int64(1))), kept)
    is_kept = graph.op("Cast", kept, to=9)
    nothing = graph.op("Mul", numbers, graph.constant(np.int64(0)))
    last = graph.op("Sub", graph.dimension(numbers, 1), graph.constant(np.array([1], np.int64)))
    place = graph.op("Where", is_kept, place, last)
    return graph.op("ScatterElements", nothing, place, graph.op("Mul", numbers, kept), axis=1, reduction="max")


def _weigh_ngrams(graph: GraphBuilder, sequence: str, vectorizer: TfidfVectorizer, codes: _Codes) -> str:
    """How often each n-gram of the vocabulary occurs, times its rarity: float32 [N, V]."""
    analyzer: CharacterNgrams = vectorizer.analyzer
    vocabulary: dict[str, int] = vectorizer.vocabulary_
    by_length = sorted(vocabulary, key=lambda ngram: (len(ngram), ngram))
    lengths = [len(ngram) for ngram in by_length]
    pool = [codes.numbers[character] for ngram in by_length for character in ngram]
    starts = np.cumsum([0] + [lengths.count(length) * length for length in range(1, analyzer.longest)])
    return graph.op(
        "TfIdfVectorizer",
        sequence,
        mode="TFIDF",
        min_gram_length=analyzer.shortest,
        max_gram_length=analyzer.longest,
        max_skip_count=0,
        ngram_counts=[int(start) for start in starts],
        ngram_indexes=[int(vocabulary[ngram]) for ngram in by_length],
        pool_int64s=pool,
        weights=[float(vectorizer.idf_[vocabulary[ngram]]) for ngram in by_length],
    )


def _project(graph: GraphBuilder, rows: str, weights: DoubleArray) -> str:
    """The rows, each divided by its length, times the weights [C, V]: float32 [N, C]."""
    axis = graph.constant(np.array([1], np.int64))
    length = graph.op("Max", graph.op("ReduceL2", rows, axis, keepdims=1), graph.constant(_SHORTEST))
    return graph.op("Div", graph.op("MatMul", rows, graph.constant(weights.T.astype(np.float32))), length)


def _probabilities(graph: GraphBuilder, decisions: str, regression: LogisticRegression) -> str:
    """Softmax of the decisions; with two labels those are 0 and d, which gives the logistic function of d."""
    decisions = graph.op("Add", decisions, graph.constant(regression.intercept_.astype(np.float32)[np.newaxis]))
    if len(regression.coef_) == 1:
        zero = graph.op("Mul", decisions, graph.constant(np.float32(0)))
        decisions = graph.op("Concat", zero, decisions, axis=1)
    return graph.op("Softmax", decisions, axis=1)


def _name_outputs(graph: GraphBuilder, model: TextClassifier, probabilities: str) -> None:
    labels = graph.constant(np.array(model.labels, dtype=object))
    label = graph.op("Gather", labels, graph.op("ArgMax", probabilities, axis=1, keepdims=0))
    place = graph.constant(np.array([model.labels.index(model.positive)], np.int64))
    graph.output("label", STRING, ["N"], label)
    graph.output("probability", FLOAT, ["N", 1], graph.op("Gather", probabilities, place, axis=1))
    graph.output("probabilities", FLOAT, ["N", len(model.labels)], probabilities)
