"""Bars that the library has to hold on real data (`make test-data`)."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from recommender import (
    Ease,
    Interactions,
    PersonalFrequency,
    Split,
    TwoStage,
    export,
    fit_text_classifier,
    history_feeds,
    metrics,
    pad_histories,
    read_user_features,
    split_by_time,
)
from recommender.history import pad_ages, pad_items
from recommender.onnx_export.session import open_session

pytestmark = pytest.mark.data
DATA = Path(os.environ.get("REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture(scope="module")
def online_retail() -> Split:
    columns = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity,basket=InvoiceNo"
    return split_by_time(Interactions.read(DATA / "online_retail" / "online_retail.csv.gz", columns), "2011-11-01")


def test_online_retail_is_read_with_its_returns_and_missing_customers() -> None:
    columns = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity,basket=InvoiceNo"
    report = Interactions.read(DATA / "online_retail" / "online_retail.csv.gz", columns).report

    assert (report.rows, report.without_user, report.kept) == (541_909, 135_080, 397_924)


def test_the_exported_ease_finds_what_customers_buy_next(online_retail: Split) -> None:
    histories, future = online_retail.train.histories(), online_retail.test.histories()
    both = [user for user in future if user in histories]
    exported = export(Ease().fit(online_retail.train), online_retail.train, adversarial_rows=1000)

    session = open_session(exported.onnx_bytes)
    items = [session.run(["items"], {"history": pad_histories([histories[user]])})[0][0] for user in both]

    hits, relevant = metrics.find_hits(np.array(items), [set(future[user]) for user in both])
    assert len(both) == 1544
    assert metrics.ndcg(hits, relevant).mean() >= 0.30


def test_two_stages_beat_the_best_single_retriever_by_a_tenth_and_export_to_the_same_lists(
    online_retail: Split,
) -> None:
    cases = online_retail.cases()
    relevant = [case.relevant for case in cases]
    histories = [case.history for case in cases]
    model = TwoStage().fit(online_retail.train)
    exported = export(model, online_retail.train, adversarial_rows=1000)
    single = PersonalFrequency().fit(online_retail.train)  # the best of all single ones on these data

    session = open_session(exported.onnx_bytes)
    rows = [session.run(["items"], {"history": pad_items([one]), "ages": pad_ages([one])})[0] for one in histories]

    ours, theirs = (
        metrics.ndcg(*metrics.find_hits(items, relevant)).mean()
        for items in (np.concatenate(rows), single.recommend(histories, k=10).items)
    )
    assert ours >= 0.363
    assert ours >= 1.10 * theirs


def test_sms_spam_is_found_and_the_export_agrees_on_every_message() -> None:
    lines = (DATA / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").rstrip("\n").split("\n")
    data = pl.DataFrame([line.split("\t", 1) for line in lines], schema=["label", "text"], orient="row")
    labels, texts = data["label"].to_list(), data["text"].to_list()
    split = train_test_split(texts, labels, test_size=0.2, stratify=labels, random_state=0)
    train_texts, test_texts, train_labels, test_labels = split

    model = fit_text_classifier(train_texts, train_labels, positive="spam")
    exported = export(model, texts, adversarial_rows=1000)

    session = open_session(exported.onnx_bytes)
    label = session.run(["label"], {"text": np.array(test_texts, dtype=object)[:, np.newaxis]})[0]
    assert f1_score(test_labels, label, pos_label="spam") >= 0.95
    assert exported.certificate.sample_rows == 5574
    assert exported.certificate.max_abs_diff <= 1e-5


def test_features_of_households_reach_the_exported_two_stages_of_complete_journey() -> None:
    folder = DATA / "complete_journey"
    columns = "user=household_id,item=product_id,time=transaction_timestamp,weight=quantity,basket=basket_id"
    households = read_user_features(folder / "demographics.csv.gz", "user=household_id,age,income,household_size")
    shop = Interactions.read(folder / "transactions_sample.csv.gz", columns).with_user_features(households)
    split = split_by_time(shop, 0.8)
    model = TwoStage(retriever=Ease(repeat_weight=0.0, most_items=1500)).fit(split.train)
    exported = export(model, split.train, adversarial_rows=500)
    cases = split.cases()[:200]

    session = open_session(exported.onnx_bytes)
    items = session.run(["items"], history_feeds([case.history for case in cases], exported.signature))[0]

    assert [spec.name for spec in exported.signature.inputs][-3:] == ["user_age", "user_income", "user_household_size"]
    assert items.tolist() == model.recommend([case.history for case in cases], k=10).items.tolist()
