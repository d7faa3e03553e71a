"""CountVectorizer and TfidfVectorizer in ONNX: how often each term occurs, weighted and normalised."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from recommender.onnx_export.builder import GraphBuilder
from recommender.onnx_export.text_sequences import TermSequence, write_sequence

Weighting: TypeAlias = TfidfVectorizer | TfidfTransformer

_SHORTEST = np.float32(1e-30)  # a text without any known term has length 0, and 0 / length must be 0


def write_text_features(
    graph: GraphBuilder, text: str, vectorizer: CountVectorizer, transformer: TfidfTransformer | None = None
) -> str:
    """float32 [N, V]: what `vectorizer` (and the `transformer` behind it) makes of `text` (string [N, 1])."""
    sequence = write_sequence(graph, text, vectorizer)
    counts = count_terms(graph, sequence, vectorizer.vocabulary_)
    if vectorizer.binary:
        counts = graph.op("Min", counts, graph.constant(np.float32(1)))
    for weighting in (vectorizer, transformer):
        if isinstance(weighting, TfidfVectorizer | TfidfTransformer):
            counts = _weigh(graph, counts, weighting)
    return counts


def count_terms(
    graph: GraphBuilder, sequence: TermSequence, vocabulary: Mapping[str, int], weights: Sequence[float] | None = None
) -> str:
    """How often each term of the vocabulary occurs (times its weight): float32 [N, V]."""
    spelled = {term: sequence.spell(term) for term in vocabulary}
    by_length = sorted(spelled, key=lambda term: (len(spelled[term]), term))
    lengths = [len(spelled[term]) for term in by_length]
    shortest, longest = min(lengths), max(lengths)
    starts = np.cumsum([0] + [lengths.count(length) * length for length in range(1, longest)])
    indexes = [int(vocabulary[term]) for term in by_length]
    attributes: dict[str, Any] = {} if weights is None else {"weights": [float(weights[index]) for index in indexes]}
    return graph.op(
        "TfIdfVectorizer",
        sequence.tensor,
        mode="TF" if weights is None else "TFIDF",
        min_gram_length=shortest,
        max_gram_length=longest,
        max_skip_count=0,
        ngram_counts=[int(start) for start in starts],
        ngram_indexes=indexes,
        pool_int64s=[int(number) for term in by_length for number in spelled[term]],
        **attributes,
    )


def _weigh(graph: GraphBuilder, counts: str, weighting: Weighting) -> str:
    if weighting.sublinear_tf:
        one = graph.constant(np.float32(1))
        logarithm = graph.op("Log", graph.op("Max", counts, one))
        counts = graph.op("Add", logarithm, graph.op("Min", counts, one))
    if weighting.use_idf:
        counts = graph.op("Mul", counts, graph.constant(weighting.idf_.astype(np.float32)[np.newaxis]))
    if weighting.norm is None:
        return counts
    reduction = "ReduceL2" if weighting.norm == "l2" else "ReduceL1"
    length = graph.op(reduction, counts, graph.constant(np.array([1], np.int64)), keepdims=1)
    return graph.op("Div", counts, graph.op("Max", length, graph.constant(_SHORTEST)))
