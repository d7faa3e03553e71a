"""A regression with a range on California housing, and what it gives when it is made smaller.

python examples/predict_house_prices.py [FOLDER OF THE REAL DATA]
"""

import sys
from pathlib import Path

import polars as pl
from rich.console import Console

from recommender import export, fit_regression, optimise, pareto_front

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
console = Console()

houses = pl.read_csv(DATA / "california_housing" / "housing.csv").sample(fraction=1.0, shuffle=True, seed=0)
train, holdout = houses[:16_000], houses[16_000:]
model = fit_regression(train, "median_house_value", quantiles=(0.1, 0.9))
low, high = model.predict_quantiles(holdout[:1])[0]
console.print(f"expected {model.predict(holdout[:1])[0]:,.0f}, four times in five between {low:,.0f} and {high:,.0f}")

exported = export(model, holdout)
proof = exported.certificate
console.print(f"{proof.rows:,} rows compared, largest relative difference {proof.max_rel_diff:.1g}")
variants = optimise(exported, holdout)
for variant in pareto_front(variants):
    console.print(f"{variant.name}: R² {variant.quality:.3f}, {variant.row_us:.0f} us, {variant.file_bytes:,} bytes")
