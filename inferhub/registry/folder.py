"""What a training leaves behind: a model file with its papers, as `python -m recommender train` writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe
from inferhub.registry.services import Provenance

_MODELS = ("model.onnx", "model.txt")
_GOLDEN = ("golden.json", "golden.npz")
_CARD = "model_card.md"
_MOST_BYTES = 16 << 20  # of one paper


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A model file and what came with it; `task` is empty where nothing says it."""

    data: bytes
    task: str
    provenance: Provenance
    golden: bytes


def read_upload(path: Path, *, notes: str = "", **papers: Path | None) -> Upload:
    """A model file, or a folder with model.onnx (or model.txt of LightGBM) and its papers.

    The papers may all be missing: signature.json (for the task), metrics.json, certificate.json, lineage.json,
    steps.json, model_card.md, golden.json or golden.npz. `papers` are files by name (metrics, certificate, lineage,
    steps, model_card, golden) that go before those of the folder. Raises InvalidInput that names the file, OSError
    where one cannot be read.
    """
    folder = path if path.is_dir() else None
    model = _first(folder, _MODELS) if folder else path
    if model is None:
        raise InvalidInput(errors=[FieldError(pointer=str(path), expected=" or ".join(_MODELS), got="neither")])
    found = {
        name: papers.get(name) or (_first(folder, (f"{name}.json",)) if folder else None)
        for name in ("metrics", "certificate", "lineage", "steps")
    }
    card = papers.get("model_card") or (_first(folder, (_CARD,)) if folder else None)
    golden = papers.get("golden") or (_first(folder, _GOLDEN) if folder else None)
    signature = _read_document(_first(folder, ("signature.json",)) if folder else None)
    return Upload(
        data=model.read_bytes(),
        task=str(signature.get("metadata", {}).get("task", "")),
        provenance=Provenance(
            **{name: _read_document(paper) for name, paper in found.items()},
            model_card=_read_text(card) if card else "",
            notes=notes,
        ),
        golden=golden.read_bytes() if golden else b"",
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_document(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    text = _read_text(path)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        got = f"{exc.msg} at line {exc.lineno} column {exc.colno}"
        raise InvalidInput(errors=[FieldError(pointer=str(path), expected="a JSON object", got=got)]) from exc
    if not isinstance(value, dict) or "\\u0000" in text:
        raise InvalidInput(errors=[FieldError(pointer=str(path), expected="a JSON object", got=describe(value))])
    return value


def _read_text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        expected = f"at most {_MOST_BYTES} bytes"
        raise InvalidInput(errors=[FieldError(pointer=str(path), expected=expected, got="more")])
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidInput(errors=[FieldError(pointer=str(path), expected="UTF-8", got="other bytes")]) from exc
