"""`python -m recommender evaluate`: compare recommenders on any interactions file."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recommender.cli.files import TABLE_WIDTH, add_feature_options, prepare_file, read_shop
from recommender.evaluation import BASELINE, MODELS, Evaluation, evaluate, require_models
from recommender.splits import Split, split_as

_COLUMNS = ("ndcg@10", "recall@20", "ndcg@10_new", "coverage", "fit_seconds", "users_per_second", "size_bytes")


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("evaluate", help="compare recommenders on an interactions file")
    parser.add_argument("--data", required=True, help=".csv, .csv.gz or .parquet")
    parser.add_argument("--columns", required=True, help="user=...,item=...,time=...,weight=...,basket=...")
    parser.add_argument("--split", default="time:0.8", help="time:DATE, time:FRACTION, users:SHARE or last-basket")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"some of {' '.join(MODELS)}")
    add_feature_options(parser)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, split, evaluate, show, write."""
    names = [name for given in options.models for name in given.split(",") if name]
    require_models(names)
    if options.json:
        prepare_file(options.json)
    interactions, item_features = read_shop(options)
    found = _evaluate(split_as(interactions, options.split), names, item_features, console)
    if options.json:
        options.json.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    output = Console()
    output.width = max(output.width, TABLE_WIDTH)
    output.print(_table(found))
    for name, reason in found.skipped.items():
        output.print(f"{name} was left out: {reason}", highlight=False, markup=False)


def _evaluate(split: Split, names: list[str], item_features: Any, console: Console) -> Evaluation:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("evaluating", total=len({*names, BASELINE}), completed=-1)
        return evaluate(
            split,
            names,
            item_features=item_features,
            progress=lambda name: progress.update(task, description=f"evaluating {name}", advance=1),
        )


def _table(found: Evaluation) -> Table:
    table = Table(title=f"{found.customers:,} customers", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for heading in ("ndcg@10", "95 % interval", "recall@20", "ndcg@10 new", "coverage", "fit s", "users/s", "MB"):
        table.add_column(heading, no_wrap=True, justify="right")
    for name, figures in sorted(found.models.items(), key=lambda entry: -entry[1]["ndcg@10"]):
        ndcg, recall, new, coverage, seconds, speed, size = (figures[key] for key in _COLUMNS)
        interval = f"{figures['ndcg@10_low']:.4f}-{figures['ndcg@10_high']:.4f}"
        accuracy = (f"{ndcg:.4f}", interval, f"{recall:.4f}", f"{new:.4f}", f"{coverage:.3f}")
        table.add_row(name, *accuracy, f"{seconds:.1f}", f"{speed:,.0f}", f"{size / 1e6:.1f}")
    return table
