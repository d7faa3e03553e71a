"""The upload firewall: what a stranger's file must pass before anything in a server opens it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferhub.errors import FieldError, InvalidModel, TooLarge, Unavailable
from inferhub.runtime.golden_file import MOST_BYTES as MOST_GOLDEN_BYTES
from inferhub.runtime.graph import whole_file_refusal
from inferhub.runtime.metadata import Label
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.sandbox import Finished, Limits, run_limited
from inferhub.runtime.signature import Signature

_CHILD = "inferhub.runtime.check_child"
_CONVERTER = "recommender"  # a library of its own, started as a program: no server ever loads LightGBM
_REWRITTEN, _CERTIFICATE = "model.onnx", "certificate.json"
_FOLDER_PREFIX = "inferhub-check-"
_LOST_SECONDS = 3600  # far more than any check may take
_MOST_ANSWER_BYTES = 64 << 20
_MOST_SENTENCE = 500
_MOST_WAITING = 1
_WAIT_SECONDS = 5.0

_turn = threading.Lock()
_seats = threading.BoundedSemaphore(1 + _MOST_WAITING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one check may use. Memory (address space) and processor time grow with the file, as honest large models
    need more: by 6 bytes a byte, and by a second every 32 MiB. A check gives way to others, so it may take long by the
    clock. Converting LightGBM's trees has more of both, since the libraries alone need as much.
    """

    cpu_seconds: int = 2
    memory_bytes: int = 512 << 20
    wall_seconds: float = 120
    conversion_cpu_seconds: int = 20
    conversion_memory_bytes: int = 2 << 30

    def limits(self, size: int) -> Limits:
        return Limits(
            memory_bytes=self.memory_bytes + 6 * size,
            cpu_seconds=self.cpu_seconds + size // (32 << 20),
            file_bytes=max(_MOST_ANSWER_BYTES, 2 * size),
            wall_seconds=self.wall_seconds,
        )

    def conversion_limits(self, size: int) -> Limits:
        return Limits(
            memory_bytes=self.conversion_memory_bytes + 60 * size,
            cpu_seconds=self.conversion_cpu_seconds + 2 * (size >> 20),
            file_bytes=max(_MOST_ANSWER_BYTES, 2 * size),
            wall_seconds=2 * self.wall_seconds,
        )


_DEFAULT_BUDGET = Budget()


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReport:
    """What the check found out about an accepted file.

    `digest` and `size` are those of the artifact to keep. That is the given file, unless `rewritten` holds other bytes
    (ZipMap outputs made plain, LightGBM's text as ONNX); `source_digest` is always that of the given file. `operators`
    are names as `ai.onnx.ml.Scaler`. `trial` is "ran", or why the trial run on made-up values proves nothing.
    `memory_bytes` is an estimate of what a loaded session holds. `certificate` is there where the file was converted
    here. `golden` is the document of the golden rows that were given (see `read_golden`): all came out as expected.
    `measured` has `load_ms` and, where the trial ran, `run_us` of one run of `rows` rows.
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
    certificate: Mapping[str, Any] | None = None
    golden: Mapping[str, Any] | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)


def check_model(
    path: Path,
    *,
    golden: bytes = b"",
    max_bytes: int = 256 << 20,
    more_operators: frozenset[str] = frozenset(),
    budget: Budget = _DEFAULT_BUDGET,
) -> ModelReport:
    """Check the ONNX file, or LightGBM's text, at `path` in a process that holds no secrets and keeps to its limits.

    `golden` is a file of golden rows (`parse_golden`); `more_operators` may be used beside the allow-list. A server
    checks `in_turn`. Raises TooLarge over `max_bytes`, else InvalidModel saying what and where.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise TooLarge(f"The file has {size} bytes, more than the {max_bytes} that a model may have.")
    if len(golden) > MOST_GOLDEN_BYTES:
        raise TooLarge(f"The golden rows have {len(golden)} bytes; at most {MOST_GOLDEN_BYTES} are accepted.")
    return _checked(path, golden, more_operators, budget)


@contextlib.contextmanager
def _one_of_few() -> Iterator[None]:
    """A server's threads are for serving: one checks, one waits a little, all others are sent away."""
    if not _seats.acquire(blocking=False):
        raise _busy()
    try:
        yield
    finally:
        _seats.release()


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """One check runs in a process at a time. Raises Unavailable where too many wait already."""
    with _one_of_few():
        if not _turn.acquire(timeout=_WAIT_SECONDS):
            raise _busy()
        try:
            forget_lost_folders()
            yield
        finally:
            _turn.release()


def forget_lost_folders() -> None:
    """Remove the folders of checks whose server was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _LOST_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _busy() -> Unavailable:
    return Unavailable("Another file is being checked now; send this one again in a few seconds.")


def _checked(path: Path, golden: bytes, more_operators: frozenset[str], budget: Budget) -> ModelReport:
    source = path.read_bytes()
    report, rewritten = _inspected(path, golden, more_operators, budget)
    certificate = None
    if report.get("is_lightgbm"):
        converted, certificate = _converted(path, budget)
        with tempfile.TemporaryFile() as file:
            file.write(converted)
            file.flush()
            report, _ = _inspected(Path(f"/dev/fd/{file.fileno()}"), golden, more_operators, budget)
        rewritten = converted
    return _report(source, report, rewritten, certificate)


def _inspected(
    path: Path, golden: bytes, more_operators: frozenset[str], budget: Budget
) -> tuple[dict[str, Any], bytes | None]:
    """The child's report, and the model's bytes where it rewrote them."""
    limits = budget.limits(path.stat().st_size)
    with (
        path.open("rb") as model,
        tempfile.TemporaryFile() as rows,
        tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX) as folder,
    ):
        rows.write(golden)
        rows.seek(0)
        request = json.dumps({"golden": rows.fileno() if golden else None, "operators": sorted(more_operators)})
        with _in_time(limits):
            done = run_limited(_CHILD, request, stdin=model, folder=Path(folder), limits=limits, also=[rows])
        rewritten = Path(folder, _REWRITTEN)
        return _read_answer(done, limits), rewritten.read_bytes() if rewritten.exists() else None


def _converted(path: Path, budget: Budget) -> tuple[bytes, dict[str, Any]]:
    """LightGBM's text as ONNX, and the certificate that both answer alike."""
    limits = budget.conversion_limits(path.stat().st_size)
    command = (_CONVERTER, "convert", "/dev/stdin", "--out", ".")
    with path.open("rb") as text, tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX) as folder:
        with _in_time(limits):
            done = run_limited(*command, stdin=text, folder=Path(folder), limits=limits)
        if done.returncode != 0:
            raise whole_file_refusal("a LightGBM model that converts to ONNX", _why_not_converted(done, limits))
        certificate: dict[str, Any] = json.loads(Path(folder, _CERTIFICATE).read_bytes())
        return Path(folder, _REWRITTEN).read_bytes(), certificate


def _why_not_converted(done: Finished, limits: Limits) -> str:
    """The converter's own sentence, where it had time for one."""
    _, is_explained, sentence = done.complaint.decode("utf-8", errors="replace").partition("error: ")
    if done.returncode == 1 and is_explained:
        return " ".join(sentence.split())[:_MOST_SENTENCE]
    if done.returncode == 1:
        return f"one that needs more than {limits.memory_bytes} bytes of memory, or that the converter does not know"
    return _reason_of_death(done.returncode, limits)[1]


@contextlib.contextmanager
def _in_time(limits: Limits) -> Iterator[None]:
    try:
        yield
    except subprocess.TimeoutExpired:
        expected = f"a model that loads and runs within {limits.wall_seconds:g} s"
        raise whole_file_refusal(expected, "one that takes longer") from None


def _read_answer(done: Finished, limits: Limits) -> dict[str, Any]:
    if done.returncode != 0:
        raise whole_file_refusal(*_reason_of_death(done.returncode, limits))
    document: dict[str, Any] = json.loads(done.answer)
    if "errors" in document:
        errors = [FieldError(pointer=where, expected=wanted, got=got) for where, wanted, got in document["errors"]]
        raise InvalidModel(document["message"], errors=errors)
    if "report" not in document:
        expected = f"a model that loads and runs in {limits.memory_bytes} bytes of memory"
        raise whole_file_refusal(expected, "one that needs more")
    report: dict[str, Any] = document["report"]
    return report


def _reason_of_death(returncode: int, limits: Limits) -> tuple[str, str]:
    if returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"a model that loads and runs within {limits.cpu_seconds} s of processor time", "one that needs more"
    how = signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"
    return "a model that can be checked", f"one that ends the checking process ({how})"


def _report(
    source: bytes, report: dict[str, Any], rewritten: bytes | None, certificate: dict[str, Any] | None
) -> ModelReport:
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
        certificate=certificate,
        golden=report["golden"],
        measured=report["measured"],
    )
