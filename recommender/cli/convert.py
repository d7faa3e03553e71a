"""`python -m recommender convert`: a LightGBM text model (`Booster.save_model`) as a proved ONNX file."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from recommender.errors import InvalidData
from recommender.onnx_export.lightgbm_text import export_lightgbm_text


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("convert", help="turn a LightGBM text model into ONNX and prove both equal")
    parser.add_argument("file", type=Path, help="what Booster.save_model wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx and certificate.json")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> None:
    """Convert, compare, and write model.onnx and certificate.json."""
    try:
        text = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidData(f"{options.file}: {exc}") from exc
    exported = export_lightgbm_text(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "model.onnx").write_bytes(exported.onnx_bytes)
    certificate = json.dumps(exported.certificate.to_json(), indent=2, sort_keys=True) + "\n"
    (options.out / "certificate.json").write_text(certificate, encoding="utf-8")
    console.print(f"{options.out / 'model.onnx'}: {exported.certificate.rows} rows compared", highlight=False)
