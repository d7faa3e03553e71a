"""Two-stage recommendations on Online Retail: train on the past, look at what customers really bought afterwards.

python examples/recommend_what_comes_next.py [FOLDER OF THE REAL DATA]
"""

import sys
from pathlib import Path

from rich.console import Console

from recommender import Interactions, TwoStage, export, metrics, split_by_time

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
COLUMNS = "user=CustomerID,item=StockCode,time=InvoiceDate,weight=Quantity,basket=InvoiceNo"
console = Console()

purchases = Interactions.read(DATA / "online_retail" / "online_retail.csv.gz", COLUMNS)
console.print(purchases.report)

split = split_by_time(purchases, "2011-11-01")
model = TwoStage().fit(split.train)
cases = split.cases()
found = model.recommend([case.history for case in cases], k=10)
hits, relevant = metrics.find_hits(found.items, [case.relevant for case in cases])
console.print(f"{len(cases)} customers, nDCG@10 {metrics.ndcg(hits, relevant).mean():.3f}")
for item, reason in zip(found.items[0], found.reasons[0], strict=True):
    console.print(f"{cases[0].user}: {item} because of {reason or 'the trend'}")

exported = export(model, split.train)
console.print(exported.certificate)
Path("recommender.onnx").write_bytes(exported.onnx_bytes)
