"""`python -m recommender train`: from a file to a proved ONNX model with its papers."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import train_test_split

from recommender import metrics
from recommender.cli.files import add_feature_options, file_digest, prepare_folder, read_shop, read_table, write_model
from recommender.errors import InvalidData
from recommender.onnx_export import Export, export
from recommender.reading import read_frame, refuse_rows, require_columns
from recommender.regression import fit_regression, prefers_log_target
from recommender.splits import split_as
from recommender.tabular import REGRESSORS, fit_pipeline
from recommender.text import check_texts, fit_text_classifier
from recommender.two_stage import TwoStage
from recommender.types import DoubleArray
from recommender.version import VERSION

_FEWEST_ROWS = 10
_RANDOM_FIFTH = "random fifth of the rows"
_FLOAT32 = "Numbers enter as float32; whole numbers above 2^24 are refused."
_FEWEST_TEXTS = 7  # of each label: a fifth is held out, and the rest is calibrated in five parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training gave: the model fitted on all data, and how one fitted without the holdout did on it."""

    exported: Export
    metrics: dict[str, float]
    split: str
    limits: tuple[str, ...] = field(default=())


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("train", help="train, prove and write a model")
    parser.add_argument("task", choices=list(_TASKS))
    parser.add_argument("--data", required=True, help=".csv, .csv.gz or .parquet")
    parser.add_argument("--out", required=True, type=Path, help="folder for model.onnx and its papers")
    parser.add_argument("--target", help="column to predict (regression; for spam the label, by default 'label')")
    parser.add_argument("--text", default="text", help="column with the text (spam)")
    parser.add_argument("--positive", help="label of interest (spam)")
    parser.add_argument(
        "--words", type=int, default=2, metavar="N", help="n-grams of up to N words count as well (spam; 0: none)"
    )
    parser.add_argument(
        "--estimator",
        choices=("lightgbm", *REGRESSORS),
        default="lightgbm",
        help="LightGBM, or one of scikit-learn's without quantiles and logarithms (regression)",
    )
    parser.add_argument("--quantiles", default="", help="levels such as 0.1,0.9 (regression)")
    parser.add_argument(
        "--log-target",
        choices=("auto", "yes", "no"),
        default="auto",
        help="learn log(1 + target); auto: where the target is skewed and it helps (regression)",
    )
    parser.add_argument("--leave-out", default="", help="columns not to learn from, such as id,date (regression)")
    parser.add_argument("--columns", default="user=user,item=item,time=time", help="as for evaluate (recommendation)")
    parser.add_argument("--split", default="time:0.8", help="as for evaluate (recommendation)")
    add_feature_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> None:
    """Train, then write everything at once."""
    prepare_folder(options.out)
    with console.status(f"training {options.task}") as status:
        trained = _TASKS[options.task](options, status.update)
    write_model(options.out, trained.exported, trained.metrics, _card(options, trained))
    shown = ", ".join(f"{name} {value:.4g}" for name, value in trained.metrics.items())
    Console().print(
        f"{options.out}/model.onnx  {trained.exported.digest[:12]}  {shown}", highlight=False, soft_wrap=True
    )


def _train_regression(options: argparse.Namespace, progress: Callable[[str], None]) -> Trained:
    if not options.target:
        raise InvalidData("--target: name the column to predict")
    levels = _levels(options.quantiles)
    frame = read_table(options.data)
    left_out = [name.strip() for name in options.leave_out.split(",") if name.strip()]
    require_columns([options.target, *left_out], frame.columns, options.data)
    frame = frame.drop(left_out)
    if len(frame) < _FEWEST_ROWS or options.target in left_out:
        raise InvalidData(f"{options.data}: expected at least {_FEWEST_ROWS} rows with a target, got {len(frame)}")
    rows = np.random.default_rng(options.seed).permutation(len(frame))
    holdout, rest = frame[rows[: len(rows) // 5].tolist()], frame[rows[len(rows) // 5 :].tolist()]
    if options.estimator != "lightgbm":
        return _train_pipeline(options, progress, frame, (rest, holdout))
    log = options.log_target == "yes"
    if options.log_target == "auto":
        progress("comparing the target with its logarithm")
        log = prefers_log_target(rest, options.target, seed=options.seed)
    progress("measuring on a holdout")
    tested = fit_regression(rest, options.target, log_target=log, seed=options.seed)
    found = regression_metrics(tested.predict(holdout).astype(np.float64), _numbers(holdout, options.target))
    progress("training on all rows and proving the export")
    model = fit_regression(frame, options.target, quantiles=levels, log_target=log, seed=options.seed)
    limits: tuple[str, ...] = (_FLOAT32, "Unknown categories count as missing.")
    if log:
        limits += ("Learned on log(1 + target): the value lies nearer the middle than the mean of what may come.",)
    return Trained(exported=export(model, frame), metrics=found, split=_RANDOM_FIFTH, limits=limits)


def _train_pipeline(
    options: argparse.Namespace,
    progress: Callable[[str], None],
    frame: pl.DataFrame,
    parts: tuple[pl.DataFrame, pl.DataFrame],
) -> Trained:
    """scikit-learn's road: `parts` are the rows to learn from and those to measure on."""
    if options.quantiles or options.log_target == "yes":
        raise InvalidData("--quantiles and --log-target need --estimator lightgbm")
    target, (rest, holdout) = options.target, parts
    progress("measuring on a holdout")
    tested = fit_pipeline(rest, target, regressor=options.estimator, seed=options.seed)
    found = regression_metrics(tested.predict(holdout.drop(target)), _numbers(holdout, target))
    progress("training on all rows and proving the export")
    model = fit_pipeline(frame, target, regressor=options.estimator, seed=options.seed)
    limits = (_FLOAT32, "Gaps in numbers count as the median, unknown categories as none.")
    return Trained(exported=export(model, frame.drop(target)), metrics=found, split=_RANDOM_FIFTH, limits=limits)


def _numbers(frame: pl.DataFrame, column: str) -> DoubleArray:
    return frame[column].to_numpy().astype(np.float64)


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(level) for level in text.split(",") if level.strip())
    except ValueError as exc:
        raise InvalidData(f"--quantiles: expected numbers such as 0.1,0.9, got '{text}'") from exc
    if not all(0 < level < 1 for level in levels):
        raise InvalidData(f"--quantiles: expected levels between 0 and 1, got '{text}'")
    return levels


def regression_metrics(predicted: DoubleArray, actual: DoubleArray) -> dict[str, float]:
    """Root mean squared error, mean absolute error and R².

    >>> regression_metrics(np.array([1.0, 3.0]), np.array([1.0, 5.0]))
    {'rmse': 1.4142135623730951, 'mae': 1.0, 'r2': 0.5}
    """
    errors = predicted - actual
    r2 = 1.0 - float((errors**2).sum() / ((actual - actual.mean()) ** 2).sum())
    return {"rmse": float(np.sqrt((errors**2).mean())), "mae": float(np.abs(errors).mean()), "r2": r2}


def _train_spam(options: argparse.Namespace, progress: Callable[[str], None]) -> Trained:
    frame = read_frame(options.data)
    target = options.target or "label"
    require_columns([options.text, target], frame.columns, options.data)
    refuse_rows(frame[target], frame[target].is_null(), options.data, "a label")
    texts, labels = (frame[column].cast(pl.String).fill_null("").to_list() for column in (options.text, target))
    known = check_texts(texts, labels, fewest=_FEWEST_TEXTS)
    if options.positive not in (None, *known):
        raise InvalidData(f"--positive: expected one of the labels {', '.join(known)}, got '{options.positive}'")
    if options.words < 0:
        raise InvalidData(f"--words: expected 0 or more, got {options.words}")
    words = (1, options.words) if options.words else None
    parts = train_test_split(texts, labels, test_size=0.2, stratify=labels, random_state=options.seed)
    progress("measuring on a holdout")
    tested = fit_text_classifier(parts[0], parts[2], positive=options.positive, words=words, seed=options.seed)
    predicted = tested.predict(parts[1]).tolist()
    average = "binary" if len(tested.labels) == 2 else "macro"
    found = {
        name: float(score(parts[3], predicted, pos_label=tested.positive, average=average))
        for name, score in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score))
    }
    progress("training on all texts and proving the export")
    model = fit_text_classifier(texts, labels, positive=options.positive, words=words, seed=options.seed)
    limits = ("Learned from these texts alone: other languages and new tricks need new examples.",)
    return Trained(exported=export(model, texts), metrics=found, split="stratified random fifth", limits=limits)


def _train_recommendation(options: argparse.Namespace, progress: Callable[[str], None]) -> Trained:
    interactions, features = read_shop(options)
    split = split_as(interactions, options.split)
    cases = split.cases()
    progress("measuring on the time after the split")
    model = TwoStage(item_features=features, seed=options.seed).fit(split.train)
    items = model.recommend([case.history for case in cases], k=10).items
    hits, relevant = metrics.find_hits(items, [case.relevant for case in cases])
    found = {"ndcg@10": float(metrics.ndcg(hits, relevant).mean()), "hit_rate@10": float(metrics.hit_rate(hits).mean())}
    progress("training on everything and proving the export")
    final = TwoStage(item_features=features, seed=options.seed).fit(interactions)
    limits = (
        "Items that nobody bought yet are never recommended.",
        "Give ages in days, or all purchases count as new.",
    )
    return Trained(exported=export(final, interactions), metrics=found, split=options.split, limits=limits)


_TASKS: Mapping[str, Callable[[argparse.Namespace, Callable[[str], None]], Trained]] = {
    "recommendation": _train_recommendation,
    "regression": _train_regression,
    "spam": _train_spam,
}


def _card(options: argparse.Namespace, trained: Trained) -> str:
    certificate = trained.exported.certificate
    lines = [
        f"# {options.task}",
        "",
        f"- data: {Path(options.data).name}, sha256 {file_digest(options.data)}",
        f"- split for the metrics: {trained.split}; the model itself was trained on all data",
        f"- seed: {options.seed}; library version: {VERSION}; model sha256: {trained.exported.digest}",
        "",
        "## Metrics",
        "",
        *(f"- {name}: {value:.5g}" for name, value in trained.metrics.items()),
        "",
        "## Proof",
        "",
        f"- {certificate.rows} rows compared, {certificate.adversarial_rows} of them made to break the export",
        f"- largest difference {certificate.max_abs_diff:.3g}, relative {certificate.max_rel_diff:.3g}",
        f"- flips: {certificate.flips}",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in trained.limits),
        "",
    ]
    return "\n".join(lines)
