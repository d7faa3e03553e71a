"""Reading tables with types guessed from their text, and writing what training leaves behind."""

import argparse
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.features import read_item_features, read_user_features
from recommender.onnx_export import Export
from recommender.reading import read_frame

TABLE_WIDTH = 110  # at least, since a figure that is cut tells nothing


def read_table(path: str | Path) -> pl.DataFrame:
    """A CSV or Parquet file; columns of text that hold only numbers (and gaps) become Float64."""
    frame = read_frame(path)
    return frame.with_columns(_guess(frame[name]) for name in frame.columns if frame[name].dtype == pl.String)


def _guess(column: pl.Series) -> pl.Series:
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column


def add_feature_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what is known of items and users, for `read_shop`."""
    parser.add_argument("--items", "--features", help="file with features of the items")
    parser.add_argument("--item-columns", default="", help="item=...,text=...,category=...,price=...")
    parser.add_argument("--users", help="file with features of the users")
    parser.add_argument("--user-columns", default="", help="user=...,age,segment=...,spend=total:number")


def read_shop(options: argparse.Namespace) -> tuple[Interactions, pl.DataFrame | None]:
    """The interactions, with the features of their users, and the features of the items."""
    for option, file in (("item", options.items), ("user", options.users)):
        if getattr(options, f"{option}_columns") and not file:
            raise InvalidData(f"--{option}-columns: name the file as well (--{option}s)")
    items = read_item_features(options.items, options.item_columns) if options.items else None
    users = read_user_features(options.users, options.user_columns) if options.users else None
    interactions = Interactions.read(options.data, options.columns)
    return interactions if users is None else interactions.with_user_features(users), items


def prepare_file(path: Path) -> None:
    """Make the folder of a file that will be written after long work. Raises InvalidData where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidData(f"{path}: its folder cannot be made: {exc.strerror}") from exc
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidData(f"{path}: expected a file that can be written")


def prepare_folder(path: Path) -> None:
    """Raise InvalidData where no folder can be written there after long work; makes nothing yet."""
    if path.exists() and not path.is_dir():
        raise InvalidData(f"{path}: expected a folder, got a file")
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    try:
        tempfile.TemporaryDirectory(dir=existing, prefix=".recommender-").cleanup()
    except OSError as exc:
        raise InvalidData(f"{path}: the folder {existing} cannot be written to: {exc.strerror}") from exc


def file_digest(path: str | Path) -> str:
    """sha256 in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_model(folder: Path, exported: Export, metrics: dict[str, Any], card: str) -> None:
    """model.onnx, signature.json, metrics.json, certificate.json and model_card.md.

    All are written to a folder inside it first and moved when they are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as unfinished:
        _write_files(Path(unfinished), exported, metrics, card)
        for file in sorted(Path(unfinished).iterdir()):
            file.replace(folder / file.name)


def _write_files(folder: Path, exported: Export, metrics: dict[str, Any], card: str) -> None:
    (folder / "model.onnx").write_bytes(exported.onnx_bytes)
    for name, content in (
        ("signature", exported.signature.to_json()),
        ("metrics", metrics),
        ("certificate", exported.certificate.to_json()),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "model_card.md").write_text(card, encoding="utf-8")
