"""Classification of short texts: n-grams of characters (and of words), TF-IDF and logistic regression, calibrated.

Everything here has an exact ONNX form that needs no locale and knows all of Unicode: letters are folded one by one
(`fold`), runs of any white space count as one space, and n-grams may span words, so that short words and word pairs
are among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import FeatureUnion, Pipeline

from recommender.errors import InvalidData
from recommender.types import AnyArray, DoubleArray, StringArray

_CALIBRATION_FOLDS = 5


@dataclass(frozen=True, slots=True)
class CharacterNgrams:
    """The analyser: the text's n-grams of `shortest` to `longest` characters, one space before and behind it.

    >>> CharacterNgrams(2, 3)("Aé ")
    [' a', 'aé', 'é ', ' aé', 'aé ']
    """

    shortest: int
    longest: int

    def __call__(self, text: str) -> list[str]:
        folded = "".join(map(fold, f" {' '.join(text.split())} "))
        if folded.isspace():
            folded = " "
        return [
            folded[start : start + length]
            for length in range(self.shortest, self.longest + 1)
            for start in range(len(folded) - length + 1)
        ]


def fold(character: str) -> str:
    """Lower case, where that is one character.

    >>> fold("Ä"), fold("İ")
    ('ä', 'İ')
    """
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


@dataclass(frozen=True, kw_only=True)
class TextClassifier:
    """A fitted classifier; `pipeline` is scikit-learn's: a FeatureUnion of TfidfVectorizers, and LogisticRegression.

    `labels` are sorted; `positive` is the one whose probability counts.
    """

    pipeline: Pipeline
    labels: tuple[str, ...]
    positive: str

    @property
    def vectorizers(self) -> tuple[TfidfVectorizer, ...]:
        """That of characters, and that of words where there is one, in the order of their columns."""
        return tuple(vectorizer for _, vectorizer in self.pipeline[0].transformer_list)

    def predict_proba(self, texts: Sequence[str]) -> DoubleArray:
        """Probabilities float64 [N, C] in the order of `labels`."""
        return np.asarray(self.pipeline.predict_proba(list(texts)), np.float64)

    def predict(self, texts: Sequence[str]) -> StringArray:
        """The most probable label of each text, object [N]."""
        names: StringArray = np.array(self.labels, dtype=object)
        return np.asarray(names[self.predict_proba(texts).argmax(axis=1)], dtype=object)


def fit_text_classifier(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    positive: str | None = None,
    ngrams: tuple[int, int] = (1, 4),
    words: tuple[int, int] | None = None,
    rarest: int = 2,
    inverse_penalty: float = 30.0,
    seed: int = 0,
) -> TextClassifier:
    """Learn to tell two or more labels apart; each needs at least 5 texts.

    `ngrams` are the shortest and the longest n-gram of characters, `words` those of words, where they count as well.
    `positive` is the label of interest (the last in order, when not given); `rarest` drops n-grams of fewer texts;
    `inverse_penalty` is scikit-learn's C. With two labels the probabilities are calibrated on out-of-fold decisions
    (Platt, "Probabilistic Outputs for Support Vector Machines", 1999). Raises InvalidData.

    >>> texts = ["WIN a prize now", "win cash now!", "free prize, call now"] * 2
    >>> texts += ["see you at home", "are you home?", "lunch at noon"] * 2
    >>> model = fit_text_classifier(texts, ["spam"] * 6 + ["ham"] * 6, positive="spam")
    >>> model.predict(["Win a FREE prize", "home at noon"]).tolist()
    ['spam', 'ham']
    """
    known = check_texts(texts, labels)
    chosen = known[-1] if positive is None else positive
    if chosen not in known:
        raise InvalidData(f"positive: expected one of the labels {', '.join(known)}, got '{positive}'")
    parts = [("characters", TfidfVectorizer(analyzer=CharacterNgrams(*ngrams), min_df=rarest))]
    if words is not None:
        parts.append(("words", TfidfVectorizer(ngram_range=words, min_df=rarest)))
    regression = LogisticRegression(C=inverse_penalty, max_iter=1000)
    pipeline = Pipeline([("tfidf", FeatureUnion(parts)), ("regression", regression)])
    given = np.array(labels, dtype=str)
    pipeline.fit(list(texts), given)
    if len(known) == 2:
        _calibrate(pipeline, texts, given, seed)
    return TextClassifier(pipeline=pipeline, labels=known, positive=chosen)


def _calibrate(pipeline: Pipeline, texts: Sequence[str], labels: AnyArray, seed: int) -> None:
    """Replace the decision d of the regression by a·d + b, which stays a logistic regression."""
    vectorizer, regression = (step for _, step in pipeline.steps)
    folds = StratifiedKFold(_CALIBRATION_FOLDS, shuffle=True, random_state=seed)
    again = LogisticRegression(C=regression.C, max_iter=regression.max_iter)
    features = vectorizer.transform(list(texts))
    decisions = cross_val_predict(again, features, labels, cv=folds, method="decision_function")
    line = LogisticRegression().fit(decisions[:, np.newaxis], labels)
    slope = float(line.coef_[0, 0])
    regression.coef_ = regression.coef_ * slope
    regression.intercept_ = regression.intercept_ * slope + line.intercept_


def check_texts(texts: Sequence[str], labels: Sequence[str], *, fewest: int = _CALIBRATION_FOLDS) -> tuple[str, ...]:
    """The labels, sorted. Raises InvalidData unless there are two or more with `fewest` texts each."""
    if len(texts) != len(labels):
        raise InvalidData(f"labels: expected {len(texts)}, one per text, got {len(labels)}")
    wrong = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise InvalidData(f"texts: row {wrong + 1}: expected text, got {texts[wrong]!r}")
    known, counts = np.unique(np.array(labels, dtype=str), return_counts=True)
    if len(known) < 2 or counts.min() < fewest:
        raise InvalidData(
            f"labels: expected two or more with at least {fewest} texts each, got "
            + (", ".join(f"{label} ({count})" for label, count in zip(known, counts, strict=True)) or "none")
        )
    return tuple(known.tolist())
