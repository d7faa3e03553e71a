"""How good the recommender library is on real data.

    make bench NAME=recommender_quality

Online Retail, Groceries and Complete Journey for recommendations, SMS spam, California housing and bike sharing.
"""

import time
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.report import parser, publish, real_data
from recommender import (
    Export,
    Interactions,
    Split,
    TwoStage,
    evaluate,
    export,
    fit_regression,
    fit_text_classifier,
    history_feeds,
    metrics,
    read_user_features,
    split_by_time,
    split_by_user,
)
from recommender.cli.train import regression_metrics
from recommender.onnx_export.session import open_session

_SINGLES = (
    "popularity",
    "recent_popularity",
    "item_knn",
    "item_knn_bm25",
    "ease",
    "implicit_als",
    "personal_frequency",
    "next_item",
    "bought_together",
)
_BARS = {
    "online_retail.ndcg10_two_stage": ">=0.363",
    "online_retail.ndcg10_ratio": ">=1.10",
    "online_retail.ndcg10_new_ratio": ">=1.05",
    "online_retail.ndcg10_exported_ratio": ">=0.995",
    "complete_journey.ndcg10_ratio": ">=1.0",
    "groceries.ndcg10_ratio": ">=1.0",
    "sms.f1": ">=0.96",
    "sms.max_abs_diff": "<=1e-5",
    "california.r2": ">=0.84",
    "bike.rmsle_ratio": "<=0.999",
}
_console = Console(stderr=True)


def main() -> None:
    options = parser(__doc__ or "", "recommender_quality").parse_args()
    figures: dict[str, float] = {}
    for part in (_online_retail, _complete_journey, _groceries, _sms, _california, _bike):
        started = time.perf_counter()
        found = part()
        _console.print(part.__name__.strip("_"), {key: round(value, 5) for key, value in found.items()})
        _console.print(f"  {time.perf_counter() - started:.0f} s")
        figures |= found
    publish("recommender_quality", figures, _BARS, options.json)


def _online_retail() -> dict[str, float]:
    columns = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity,basket=InvoiceNo"
    interactions = Interactions.read(real_data("online_retail", "online_retail.csv.gz"), columns)
    split = split_by_time(interactions, "2011-11-01")
    figures = _against_singles(split, "online_retail")
    model = TwoStage().fit(split.train)
    exported = export(model, split.train)
    ndcg = _exported_ndcg(exported, split)
    return figures | {
        "online_retail.ndcg10_exported": ndcg,
        "online_retail.ndcg10_exported_ratio": ndcg / figures["online_retail.ndcg10_two_stage"],
        "online_retail.export_max_rel_diff": exported.certificate.max_rel_diff,
    }


def _against_singles(split: Split, name: str) -> dict[str, float]:
    found = evaluate(
        split, [*_SINGLES, "two_stage"], progress=lambda model: _console.print(f"  {name}: {model}")
    ).models
    figures: dict[str, float] = {}
    for short, key in (("ndcg10", "ndcg@10"), ("ndcg10_new", "ndcg@10_new")):
        best = max(found[model][key] for model in _SINGLES)
        figures[f"{name}.{short}_two_stage"] = found["two_stage"][key]
        figures[f"{name}.{short}_best_single"] = best
        figures[f"{name}.{short}_ratio"] = found["two_stage"][key] / best
    return figures


def _exported_ndcg(exported: Export, split: Split) -> float:
    session = open_session(exported.onnx_bytes)
    cases = split.cases()
    rows = [session.run(["items"], history_feeds([case.history], exported.signature))[0] for case in cases]
    hits, relevant = metrics.find_hits(np.concatenate(rows), [case.relevant for case in cases])
    return float(metrics.ndcg(hits, relevant).mean())


def _complete_journey() -> dict[str, float]:
    columns = "user=household_id,item=product_id,time=transaction_timestamp,weight=quantity,basket=basket_id"
    path = real_data("complete_journey", "transactions_sample.csv.gz")
    interactions = Interactions.read(path, columns)
    figures = _against_singles(split_by_time(interactions, 0.8), "complete_journey")
    return figures | _with_users(interactions, figures["complete_journey.ndcg10_two_stage"])


def _with_users(interactions: Interactions, without: float) -> dict[str, float]:
    """The exported two stages when they know the age, income and household of a third of the customers."""
    path = real_data("complete_journey", "demographics.csv.gz")
    users = read_user_features(path, "user=household_id,age,income,household_size,kids_count")
    split = split_by_time(interactions.with_user_features(users), 0.8)
    _console.print("  complete_journey: two_stage with features of users")
    exported = export(TwoStage().fit(split.train), split.train, adversarial_rows=1000)
    ndcg = _exported_ndcg(exported, split)
    return {
        "complete_journey.ndcg10_two_stage_users": ndcg,
        "complete_journey.ndcg10_users_ratio": ndcg / without,
        "complete_journey.users_max_rel_diff": exported.certificate.max_rel_diff,
    }


def _groceries() -> dict[str, float]:
    lines = real_data("groceries", "groceries.csv").read_text(encoding="utf-8").splitlines()
    shuffle = np.random.default_rng(0).permutation  # within a basket the file is in the order of the shelves
    rows = [(str(number), str(item).strip()) for number, line in enumerate(lines) for item in shuffle(line.split(","))]
    baskets = Interactions.from_frame(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    found = evaluate(split_by_user(baskets, 0.2), _SINGLES).models
    best = max(found[model]["ndcg@10_new"] for model in _SINGLES if model != "bought_together")
    ours = found["bought_together"]["ndcg@10_new"]
    return {
        "groceries.ndcg10_bought_together": ours,
        "groceries.ndcg10_best_single": best,
        "groceries.ndcg10_ratio": ours / best,
    }


def _sms() -> dict[str, float]:
    lines = real_data("sms_spam", "SMSSpamCollection").read_text(encoding="utf-8").rstrip("\n").split("\n")
    labels, texts = (
        np.array(column, dtype=object) for column in zip(*(line.split("\t", 1) for line in lines), strict=True)
    )
    scores = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(texts, labels.astype(str)):
        model = fit_text_classifier(texts[train].tolist(), labels[train].tolist(), positive="spam")
        scores.append(
            f1_score(labels[test].astype(str), model.predict(texts[test].tolist()).astype(str), pos_label="spam")
        )
    exported = export(fit_text_classifier(texts.tolist(), labels.tolist(), positive="spam"), texts.tolist())
    return {"sms.f1": float(np.mean(scores)), "sms.max_abs_diff": exported.certificate.max_abs_diff}


def _california() -> dict[str, float]:
    frame = pl.read_csv(real_data("california_housing", "housing.csv"))
    rows = np.random.default_rng(0).permutation(len(frame))
    test, train = frame[rows[: len(frame) // 5].tolist()], frame[rows[len(frame) // 5 :].tolist()]
    model = fit_regression(train, "median_house_value")
    actual = test["median_house_value"].to_numpy().astype(np.float64)
    exported = export(model, test)
    return {
        "california.r2": regression_metrics(model.predict(test).astype(np.float64), actual)["r2"],
        "california.max_rel_diff": exported.certificate.max_rel_diff,
    }


def _bike() -> dict[str, float]:
    frame = _bike_frame(real_data("bike_sharing", "hour.csv"))
    cut = int(len(frame) * 0.8)
    train, test = frame[:cut], frame[cut:]
    model = fit_regression(train.drop("cnt", "naive"), "log_cnt", trees=600)
    logs = model.predict(test.drop("cnt", "naive")).astype(np.float64)
    actual = np.log1p(test["cnt"].to_numpy())
    naive = np.log1p(test["naive"].to_numpy())
    figures = {"bike.rmsle": _rmse(logs, actual), "bike.rmsle_naive": _rmse(naive, actual)}
    return figures | {"bike.rmsle_ratio": figures["bike.rmsle"] / figures["bike.rmsle_naive"]}


def _bike_frame(path: Path) -> pl.DataFrame:
    """What is known of an hour before it comes; the naive forecast is the same hour of the week before."""
    start = datetime.fromisoformat("2011-01-01")
    frame = pl.read_csv(path).with_columns(at=pl.col("dteday").str.to_datetime("%Y-%m-%d") + pl.duration(hours="hr"))
    before = frame.select(pl.col("at") + pl.duration(days=7), naive="cnt")
    frame = frame.join(before, on="at", how="left", maintain_order="left").with_columns(
        naive=pl.col("naive").fill_null(strategy="forward").fill_null(0),
        log_cnt=pl.col("cnt").log1p(),
        days=(pl.col("at") - start).dt.total_days().cast(pl.Float64),
    )
    return frame.drop("instant", "dteday", "casual", "registered", "at")


def _rmse(predicted: np.ndarray, actual: np.ndarray) -> float:
    return float(np.sqrt(((predicted - actual) ** 2).mean()))


if __name__ == "__main__":
    main()
