"""The main job: how long a newcomer waits, how good the exported models are, how long the bulk job takes.

    make bench NAME=main_job

Clones the repository into a temporary folder and runs `make demo` there, twice; then measures on the real data.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from sklearn.model_selection import train_test_split

from benchmarks.report import parser, publish, real_data
from recommender import Ease, Interactions, export, fit_text_classifier, metrics, pad_histories, split_by_time

_ROOT = Path(__file__).parent.parent
_SPLIT = "2011-11-01"
_COLUMNS = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity"
_K = 10
_BARS = {
    "start_seconds": "<=180",
    "second_start_seconds": "<=15",
    "ndcg10_exported": ">=0.27",
    "ndcg10_sparse_to_dense": ">=0.99",
    "spam_f1": ">=0.95",
    "spam_max_abs_diff": "<=1e-5",
    "bulk_seconds": "<=10",
}


def main() -> None:
    options = parser(__doc__ or "", "main_job").parse_args()
    figures = _start_figures() | _ranking_figures() | _spam_figures() | _bulk_figures()
    publish("main_job", figures, _BARS, options.json)


def _start_figures() -> dict[str, float]:
    """Seconds from `make demo` in a fresh clone to the line that says it is up; then the same again."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
        return {"start_seconds": _seconds_to_serve(clone), "second_start_seconds": _seconds_to_serve(clone)}


def _seconds_to_serve(clone: Path) -> float:
    ours = ("INFERHUB_", "DATABASE_URL", "CELERY_BROKER_URL", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "demo"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        if process.stdout is None:
            raise RuntimeError("make demo has no output")
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Inferhub is up"):
                seconds = time.monotonic() - started
                os.killpg(process.pid, signal.SIGINT)
                process.stdout.read()
                return seconds
    raise RuntimeError("make demo ended before it served:\n" + "".join(said[-20:]))


def _ranking_figures() -> dict[str, float]:
    path = real_data("online_retail", "online_retail.csv.gz")
    split = split_by_time(Interactions.read(path, _COLUMNS), _SPLIT)
    known, later = split.train.histories(), split.test.histories()
    users = sorted((user for user in later if user in known), key=lambda user: len(known[user]))
    histories = [list(dict.fromkeys(known[user])) for user in users]
    relevant = [set(later[user]) for user in users]
    dense = Ease(neighbours=len(split.train.items)).fit(split.train).recommend(histories, k=_K).items
    model = Ease().fit(split.train)
    sparse = model.recommend(histories, k=_K).items
    exported = _ask(export(model, split.train).onnx_bytes, histories)
    dense_score, sparse_score, exported_score = (_ndcg(items, relevant) for items in (dense, sparse, exported))
    return {
        "customers": len(users),
        "ndcg10_dense": dense_score,
        "ndcg10_sparse": sparse_score,
        "ndcg10_exported": exported_score,
        "ndcg10_sparse_to_dense": sparse_score / dense_score,
    }


def _ndcg(items: np.ndarray, relevant: list[set[str]]) -> float:
    return float(metrics.ndcg(*metrics.find_hits(items, relevant)).mean())


def _ask(onnx_bytes: bytes, histories: list[list[str]]) -> np.ndarray:
    session = _session(onnx_bytes)
    k = np.array([_K], np.int64)
    batches = (histories[start : start + 32] for start in range(0, len(histories), 32))
    answers = [session.run(["items"], {"history": pad_histories(batch), "k": k})[0] for batch in batches]
    return np.concatenate(answers)


def _spam_figures() -> dict[str, float]:
    path = real_data("sms_spam", "SMSSpamCollection")
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line]
    labels, texts = [row[0] for row in rows], [row[1] for row in rows]
    train, test, train_labels, test_labels = train_test_split(
        texts, labels, test_size=0.2, stratify=labels, random_state=0
    )
    model = fit_text_classifier(train, train_labels, positive="spam")
    session = _session(export(model, test).onnx_bytes)
    said = session.run(["label"], {"text": _column(test)})[0] == "spam"
    truth = np.array(test_labels) == "spam"
    ours = session.run(["probability"], {"text": _column(texts)})[0][:, 0]
    native = model.predict_proba(texts)[:, model.labels.index("spam")]
    return {
        "spam_f1": float(2 * (said & truth).sum() / (said.sum() + truth.sum())),
        "spam_max_abs_diff": float(np.abs(ours - native).max()),
        "spam_messages": len(texts),
    }


def _column(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)[:, np.newaxis]


def _bulk_figures() -> dict[str, float]:
    """Recommendations of all Online Retail customers, asked for over REST, computed on workers, stored, published."""
    path = real_data("online_retail", "online_retail.csv.gz")
    with tempfile.TemporaryDirectory() as folder:
        summary_path = Path(folder) / "summary.json"
        environment = os.environ | {"INFERHUB_HOME": str(Path(folder) / "home")}
        command = [sys.executable, "manage.py", "demo", "--check", "--data", str(path), "--json", str(summary_path)]
        subprocess.run(command, cwd=_ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads(summary_path.read_text(encoding="utf-8"))
    return {"bulk_seconds": summary["bulk"]["seconds"], "bulk_customers": summary["bulk"]["customers"]}


def _session(onnx_bytes: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
