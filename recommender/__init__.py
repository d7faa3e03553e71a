"""Train recommenders, regressions and text classifiers, and export each to ONNX only when it is proved equal.

A plain library: numpy, SciPy, scikit-learn, LightGBM, polars and onnx. It knows no web framework.

>>> import polars as pl
>>> from recommender import Ease, Interactions, export
>>> purchases = pl.DataFrame(
...     {
...         "customer": ["ann", "ann", "bob", "bob", "eve", "eve", "eve"],
...         "product": ["tea", "jam", "tea", "jam", "ham", "egg", "tea"],
...     }
... )
>>> shop = Interactions.from_frame(purchases, "user=customer,item=product")
>>> model = Ease(l2=1.0, repeat_weight=0.0).fit(shop)
>>> found = model.recommend([["jam"], ["egg", "no such item"], []], k=1)
>>> found.items.tolist(), found.reasons.tolist()
([['tea'], ['ham'], ['tea']], [['jam'], ['egg'], ['']])

`export` compares the model with its ONNX form on the given sample and on rows made to break it, and raises
`ExportMismatch` with the cause where they differ:

>>> exported = export(model, shop, adversarial_rows=200)
>>> exported.certificate.flips, exported.signature.inputs[0].name
(0, 'history')

Data: `Interactions.read`, `Interactions.from_frame`, `Columns`, `read_frame`, `read_item_features`,
`read_user_features`, `as_user_features`, `split_by_time`, `split_last_basket`, `split_by_user`, `split_as`,
`histories_at`, `pad_histories`, `history_feeds`.
Retrievers: `Popularity`, `RecentPopularity`, `ItemKnn`, `Ease`, `ImplicitAls`, `PersonalFrequency`, `NextItem`,
`BoughtTogether`, `SimilarContent`; all of it in two stages: `TwoStage`.
Tables: `fit_regression`. Texts: `fit_text_classifier`.
Quality: `evaluate`, `recommender.metrics`, `optimise`, `pareto_front`, `keep_outputs`; `python -m recommender --help`.
Errors: `RecommenderError` and its children.
"""

import os

# Before anything loads ONNX Runtime, which else writes down and sends to its makers how it is used.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from recommender import metrics
from recommender.dataset import Columns, Interactions, ReadReport
from recommender.errors import ExportMismatch, InvalidData, NotFitted, RecommenderError
from recommender.evaluation import Evaluation, evaluate
from recommender.features import as_user_features, read_item_features, read_user_features
from recommender.history import History, histories_at
from recommender.ids import IdMap, pad_histories
from recommender.models import (
    BoughtTogether,
    Ease,
    ImplicitAls,
    ItemKnn,
    NeighbourTable,
    NextItem,
    PersonalFrequency,
    Popularity,
    RecentPopularity,
    Recommendations,
    Retriever,
    SimilarContent,
)
from recommender.onnx_export import Certificate, Export, Signature, TensorSpec, export, history_feeds
from recommender.optimisation import Variant, keep_outputs, optimise, pareto_front
from recommender.reading import read_frame
from recommender.regression import Feature, RegressionModel, fit_regression
from recommender.splits import Case, Split, split_as, split_by_time, split_by_user, split_last_basket
from recommender.text import TextClassifier, fit_text_classifier
from recommender.two_stage import TwoStage
from recommender.version import VERSION

__version__ = VERSION

__all__ = [
    "BoughtTogether",
    "Case",
    "Certificate",
    "Columns",
    "Ease",
    "Evaluation",
    "Export",
    "ExportMismatch",
    "Feature",
    "History",
    "IdMap",
    "ImplicitAls",
    "Interactions",
    "InvalidData",
    "ItemKnn",
    "NeighbourTable",
    "NextItem",
    "NotFitted",
    "PersonalFrequency",
    "Popularity",
    "ReadReport",
    "RecentPopularity",
    "Recommendations",
    "RecommenderError",
    "RegressionModel",
    "Retriever",
    "Signature",
    "SimilarContent",
    "Split",
    "TensorSpec",
    "TextClassifier",
    "TwoStage",
    "Variant",
    "__version__",
    "as_user_features",
    "evaluate",
    "export",
    "fit_regression",
    "fit_text_classifier",
    "histories_at",
    "history_feeds",
    "keep_outputs",
    "metrics",
    "optimise",
    "pad_histories",
    "pareto_front",
    "read_frame",
    "read_item_features",
    "read_user_features",
    "split_as",
    "split_by_time",
    "split_by_user",
    "split_last_basket",
]
