"""The upload firewall: what a stranger's file must pass before anything in a server opens it."""

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inferhub
from inferhub.errors import FieldError, InvalidModel, TooLarge
from inferhub.runtime.graph import whole_file_refusal
from inferhub.runtime.metadata import Label
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.signature import Signature

_CHILD = "inferhub.runtime.check_child"
_PACKAGE_ROOT = str(Path(inferhub.__file__).resolve().parent.parent)
_ENVIRONMENT = {"PYTHONPATH": _PACKAGE_ROOT, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
_MOST_ANSWER_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReport:
    """What the check found out about an accepted file.

    `digest` and `size` are those of the artifact to keep. That is the given file, unless `rewritten` holds other bytes
    (ZipMap outputs made plain); `source_digest` is always that of the given file. `operators` are names as
    `ai.onnx.ml.Scaler`. `trial` is "ran", or why the trial run on made-up values proves nothing. `memory_bytes` is an
    estimate of what a loaded session holds.
    """

    digest: str
    source_digest: str
    size: int
    signature: Signature
    task: str
    labels: tuple[Label, ...]
    operators: tuple[str, ...]
    trial: str
    memory_bytes: int
    rewritten: bytes | None


def check_model(
    path: Path,
    *,
    max_bytes: int = 256 << 20,
    cpu_seconds: int = 2,
    memory_bytes: int = 512 << 20,
    wall_seconds: float = 20,
) -> ModelReport:
    """Check the ONNX file at `path` in a process of its own that holds no secrets and cannot outlive its limits.

    `memory_bytes` is address space; both it and `cpu_seconds` grow with the file, as honest large models need more: by
    6 bytes a byte and a second every 32 MiB. Raises TooLarge over `max_bytes`, else InvalidModel saying what and where.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise TooLarge(f"The file has {size} bytes, more than the {max_bytes} that a model may have.")
    limits = {
        "memory_bytes": memory_bytes + 6 * size,
        "cpu_seconds": cpu_seconds + size // (32 << 20),
        "file_bytes": max(_MOST_ANSWER_BYTES, 2 * size),
    }
    with tempfile.TemporaryDirectory(prefix="inferhub-check-") as folder:
        report = _run_child(path, Path(folder), limits, wall_seconds)
        rewritten_path = Path(folder, "rewritten.onnx")
        rewritten = rewritten_path.read_bytes() if rewritten_path.exists() else None
    return _report(path.read_bytes(), report, rewritten)


def _run_child(path: Path, folder: Path, limits: dict[str, int], wall_seconds: float) -> dict[str, Any]:
    """The child's report. Its answer goes through a file, whose size the limits bound, never through a pipe."""
    command = [sys.executable, "-P", "-s", "-B", "-m", _CHILD, json.dumps(limits)]
    with path.open("rb") as model, tempfile.TemporaryFile() as answer:
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command,
                stdin=model,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=_ENVIRONMENT,
                timeout=wall_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise whole_file_refusal(
                f"a model that loads and runs within {wall_seconds:g} s", "one that takes longer"
            ) from None
        answer.seek(0)
        return _read_answer(answer.read(), done.returncode, limits)


def _read_answer(answer: bytes, returncode: int, limits: dict[str, int]) -> dict[str, Any]:
    if returncode != 0:
        raise whole_file_refusal(*_reason_of_death(returncode, limits))
    document: dict[str, Any] = json.loads(answer)
    if "report" not in document:
        errors = [FieldError(pointer=where, expected=wanted, got=got) for where, wanted, got in document["errors"]]
        raise InvalidModel(document["message"], errors=errors)
    report: dict[str, Any] = document["report"]
    return report


def _reason_of_death(returncode: int, limits: dict[str, int]) -> tuple[str, str]:
    if returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"a model that loads and runs within {limits['cpu_seconds']} s of processor time", "one that needs more"
    how = signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"
    return "a model that can be checked", f"one that ends the checking process ({how})"


def _report(source: bytes, report: dict[str, Any], rewritten: bytes | None) -> ModelReport:
    artifact = source if rewritten is None else rewritten
    return ModelReport(
        digest=artifact_digest(artifact),
        source_digest=artifact_digest(source),
        size=len(artifact),
        signature=Signature.from_dict(report["signature"]),
        task=report["task"],
        labels=tuple(report["labels"]),
        operators=tuple(report["operators"]),
        trial=report["trial"],
        memory_bytes=report["memory_bytes"],
        rewritten=rewritten,
    )
