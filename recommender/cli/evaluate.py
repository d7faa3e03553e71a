"""`python -m recommender evaluate`: compare recommenders on any interactions file."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recommender.cli.files import read_item_features
from recommender.dataset import Interactions
from recommender.evaluation import MODELS, Evaluation, categories_of, evaluate
from recommender.splits import split_as

_HEADINGS = ("model", "ndcg@10", "95 % interval", "recall@20", "ndcg@10 new", "fit s", "users/s")


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("evaluate", help="compare recommenders on an interactions file")
    parser.add_argument("--data", required=True, help=".csv, .csv.gz or .parquet")
    parser.add_argument("--columns", required=True, help="user=...,item=...,time=...,weight=...,basket=...")
    parser.add_argument("--split", default="time:0.8", help="time:DATE, time:FRACTION, users:SHARE or last-basket")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"some of {' '.join(MODELS)}")
    parser.add_argument("--features", help="file with the columns item, category, ... for diversity")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, split, evaluate, show, write."""
    interactions = Interactions.read(options.data, options.columns)
    split = split_as(interactions, options.split)
    categories = categories_of(read_item_features(options.features)) if options.features else None
    with console.status("evaluating") as status:
        names = [name for given in options.models for name in given.split(",") if name]
        found = evaluate(split, names, categories=categories, progress=lambda name: status.update(f"evaluating {name}"))
    Console().print(_table(found))
    if options.json:
        options.json.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")


def _table(found: Evaluation) -> Table:
    table = Table(title=f"{found.customers} customers", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for name, figures in sorted(found.models.items(), key=lambda entry: -entry[1]["ndcg@10"]):
        interval = f"{figures['ndcg@10_low']:.3f}-{figures['ndcg@10_high']:.3f}"
        shown = (f"{figures[key]:.4f}" for key in ("recall@20", "ndcg@10_new"))
        costs = (f"{figures['fit_seconds']:.1f}", f"{figures['users_per_second']:,.0f}")
        table.add_row(name, f"{figures['ndcg@10']:.4f}", interval, *shown, *costs)
    return table
