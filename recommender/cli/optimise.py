"""`python -m recommender optimise`: the trade-off of a trained model, as a table, JSON and a picture."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recommender.cli.files import TABLE_WIDTH, add_feature_options, read_shop, read_table
from recommender.errors import InvalidData
from recommender.onnx_export import Signature
from recommender.optimisation import Variant, draw, optimise, pareto_front
from recommender.optimisation.measure import holdout_for
from recommender.reading import require_columns
from recommender.splits import Case, split_as


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("optimise", help="make cheaper variants of a trained model and measure them")
    parser.add_argument("folder", type=Path, help="folder with model.onnx, as written by train")
    parser.add_argument("--holdout", required=True, help="rows that the model did not learn from, as given to train")
    parser.add_argument("--text", default="text", help="column with the text (spam)")
    parser.add_argument("--target", help="column with what to predict, where the file does not say (spam: label)")
    parser.add_argument("--columns", default="user=user,item=item,time=time", help="as for evaluate (recommendation)")
    parser.add_argument("--split", default="time:0.8", help="as for evaluate (recommendation)")
    add_feature_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> None:
    """Optimise and write variants.json, tradeoff.svg and the variants of the front beside the model."""
    path = options.folder / "model.onnx"
    if not path.is_file():
        raise InvalidData(f"{path}: no such file; train writes it")
    onnx_bytes = path.read_bytes()
    signature = Signature.of(onnx_bytes)
    rows = _rows(options, signature)
    with console.status("measuring") as status:
        variants = optimise(onnx_bytes, rows, progress=lambda name: status.update(f"measuring {name}"))
    front = pareto_front(variants)
    measure = holdout_for(signature, rows).measure
    _write(options.folder, variants, front, measure)
    output = Console()
    output.width = max(output.width, TABLE_WIDTH)
    output.print(_table(variants, front, measure))


def _rows(options: argparse.Namespace, signature: Signature) -> pl.DataFrame | Sequence[Case]:
    if signature.metadata.get("task") == "recommendation":
        options.data = options.holdout
        interactions, _ = read_shop(options)
        return split_as(interactions, options.split).cases()
    frame = read_table(options.holdout)
    inputs = [spec.name for spec in signature.inputs]
    if inputs == ["text"]:
        target = options.target or "label"
        require_columns([options.text, target], frame.columns, options.holdout)
        return frame.select(text=options.text, label=target)
    if options.target:
        require_columns([*inputs, options.target], frame.columns, options.holdout)
        return frame.select(*inputs, options.target)
    return frame


def _write(folder: Path, variants: Sequence[Variant], front: Sequence[Variant], measure: str) -> None:
    names = [variant.name for variant in front]
    content = {"measure": measure, "front": names, "variants": [variant.to_json() for variant in variants]}
    (folder / "variants.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "tradeoff.svg").write_text(draw(variants, front, measure), encoding="utf-8")
    for variant in front:
        name = variant.name.replace("/", "_of_").replace(" ", "_")
        (folder / f"variant_{name}.onnx").write_bytes(variant.onnx_bytes)


def _table(variants: Sequence[Variant], front: Sequence[Variant], measure: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("variant", no_wrap=True)
    for heading in ("front", "MB", "load ms", "µs a row", "rows/s", measure, "largest difference"):
        table.add_column(heading, no_wrap=True, justify="right")
    for variant in variants:
        table.add_row(
            variant.name,
            "yes" if variant in front else "",
            f"{variant.file_bytes / 1e6:.3f}",
            f"{variant.load_ms:.1f}",
            f"{variant.row_us:.0f}",
            f"{variant.rows_per_second:,.0f}",
            f"{variant.quality:.4f}",
            f"{variant.max_abs_diff:.3g}",
        )
    return table
