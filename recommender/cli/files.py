"""Reading tables with types guessed from their text, and writing what training leaves behind."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from recommender.dataset import read_frame
from recommender.errors import InvalidData
from recommender.models.similar_content import ITEM_COLUMNS
from recommender.onnx_export import Export


def read_table(path: str | Path) -> pl.DataFrame:
    """A CSV or Parquet file; columns of text that hold only numbers (and gaps) become Float64."""
    frame = read_frame(path)
    return frame.with_columns(_guess(frame[name]) for name in frame.columns if frame[name].dtype == pl.String)


def _guess(column: pl.Series) -> pl.Series:
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column


def read_item_features(path: str | Path) -> pl.DataFrame:
    """The columns item, text, category and price of a file, as far as it has them; item is always text."""
    frame = read_frame(path)
    known = [name for name in ITEM_COLUMNS if name in frame.columns]
    if "item" not in known:
        raise InvalidData(f"{path}: no column 'item'; the columns are {', '.join(frame.columns)}")
    typed = [pl.col(name).cast(pl.Float32 if name == "price" else pl.String) for name in known]
    return frame.select(typed)


def file_digest(path: str | Path) -> str:
    """sha256 in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_model(folder: Path, exported: Export, metrics: dict[str, Any], card: str) -> None:
    """model.onnx, signature.json, metrics.json, certificate.json and model_card.md.

    All are written beside the folder first and moved in when they are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as unfinished:
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
