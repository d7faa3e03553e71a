"""Two-stage recommendations on Online Retail: train on the past, look at what customers really bought afterwards.

python examples/recommend_what_comes_next.py [FOLDER OF THE REAL DATA]     (about ten seconds)
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console

from recommender import Interactions, TwoStage, export, history_feeds, metrics, read_item_features, split_by_time

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data") / "online_retail" / "online_retail.csv.gz"
COLUMNS = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity,basket=InvoiceNo"
console = Console()

purchases = Interactions.read(DATA, COLUMNS)
names = dict(read_item_features(DATA, "item=StockCode,text=Description").iter_rows())
console.print(f"{purchases.report.kept:,} purchases of {len(purchases.users):,} customers")

split = split_by_time(purchases, "2011-11-01")
model = TwoStage(windows=1, trees=60).fit(split.train)  # the defaults take longer and find a little more
exported = export(model, split.train, adversarial_rows=1000)
console.print(
    f"exported and proved equal on {exported.certificate.rows:,} customers, {exported.certificate.flips} differ"
)

cases = split.cases()
onnxruntime.set_default_logger_severity(3)
session = onnxruntime.InferenceSession(exported.onnx_bytes)
lists = [session.run(["items"], history_feeds([case.history], exported.signature))[0] for case in cases]
items = np.concatenate(lists)  # one after the other, or each would be padded to the longest history of all
hits, relevant = metrics.find_hits(items, [case.relevant for case in cases])
console.print(f"nDCG@10 of {len(cases):,} customers in November: {metrics.ndcg(hits, relevant).mean():.3f}")

one = history_feeds([cases[5].history], exported.signature)
for question, exclude in (("again or for the first time", [[""]]), ("for the first time", one["history"])):
    more = {"exclude": np.array(exclude, object), "k": np.array([5])}
    items, reasons, sources = (row[0] for row in session.run(["items", "reasons", "sources"], one | more))
    console.print(f"what customer {cases[5].user} may want {question}:")
    for item, reason, source in zip(items, reasons, sources, strict=True):
        why = f"because of {names[reason]}" if source == "similar" else source
        bought = "  (and bought it)" if item in cases[5].relevant else ""
        console.print(f"  {names[item]}, {why}{bought}", highlight=False)
