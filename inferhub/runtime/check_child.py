"""The inside of the upload firewall: one hostile file, one short-lived process with hard limits.

Started by `inferhub.runtime.check` in a sandbox, in an empty folder, with the file on standard input and one argument:
`{"golden": the number of an open file or null, "operators": more that may be used}`. Writes one JSON document to
standard output, and `model.onnx` where the model was rewritten.
"""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from inferhub.errors import InvalidInput, InvalidModel, ModelFailed
from inferhub.runtime.examples import example_shape, plain_feeds
from inferhub.runtime.golden import GoldenRows, refuse_mismatches, run_golden
from inferhub.runtime.golden_file import parse_golden
from inferhub.runtime.graph import (
    estimate_memory,
    model_signature,
    parse_model,
    read_metadata,
    rewrite_zipmap,
    whole_file_refusal,
)
from inferhub.runtime.lightgbm_text import is_lightgbm_text, scan_lightgbm_text
from inferhub.runtime.measuring import measure
from inferhub.runtime.metadata import read_labels, read_task
from inferhub.runtime.operators import ALLOWED_OPERATORS, operator_name, widened
from inferhub.runtime.scan import scan_model
from inferhub.runtime.session import LoadedModel, load_session
from inferhub.runtime.signature import Feeds, Signature, shape_text

REWRITTEN = "model.onnx"

_UNKNOWN_CATEGORY = "Unknown Category"  # OneHotEncoder's complaint, right for any value that it was not trained on
_RAN = "ran"
_TRIAL_ROWS = 2
_MOST_TRIAL_ELEMENTS = 2**24


def main() -> None:
    request = json.loads(sys.argv[1])
    try:
        answer: Mapping[str, Any] = {"report": _inspected(request)}
    except InvalidInput as exc:
        answer = _refused(exc)
    except MemoryError:
        answer = {"out_of_memory": True}
    json.dump(answer, sys.stdout)


def _inspected(request: Mapping[str, Any]) -> dict[str, Any]:
    data = sys.stdin.buffer.read()
    if is_lightgbm_text(data):
        scan_lightgbm_text(data)
        return {"is_lightgbm": True}
    golden = b""
    if request["golden"] is not None:
        with os.fdopen(request["golden"], "rb") as file:
            golden = file.read()
    report, rewritten = inspect(data, golden=golden, operators=widened(request["operators"]))
    if rewritten is not None:
        Path(REWRITTEN).write_bytes(rewritten)
    return report


def inspect(
    onnx_bytes: bytes, *, golden: bytes = b"", operators: Mapping[str, frozenset[str]] = ALLOWED_OPERATORS
) -> tuple[dict[str, Any], bytes | None]:
    """The whole check, cheapest first: a report, and the bytes of the model where it was rewritten.

    Raises InvalidInput; may run out of memory or time, which the limits are for.
    """
    model = parse_model(onnx_bytes)
    scan_model(model, operators)
    is_rewritten = rewrite_zipmap(model)
    _check(model)
    declared, metadata = model_signature(model), read_metadata(model)
    labels = read_labels(metadata)
    final_bytes = model.SerializeToString() if is_rewritten else onnx_bytes
    started = time.perf_counter()
    loaded = _load(final_bytes, declared)
    load_ms = round((time.perf_counter() - started) * 1000, 3)
    rows = parse_golden(golden, loaded.signature) if golden else None
    trial = _try_out(loaded) if rows is None else _prove(loaded, rows)
    report = {
        "signature": loaded.signature.to_dict(),
        "task": read_task(metadata),
        "labels": labels,
        "operators": sorted({operator_name(node.domain, node.op_type) for node in model.graph.node}),
        "trial": trial,
        "memory_bytes": estimate_memory(model),
        "measured": {"load_ms": load_ms} | (_measured(loaded, rows) if trial == _RAN else {}),
        "golden": None if rows is None else rows.to_dict(),
    }
    return report, final_bytes if is_rewritten else None


def _refused(exc: InvalidInput) -> dict[str, Any]:
    """What was wrong, in printable characters: some of it was read from the file."""
    errors = [[_plain(text) for text in (error.pointer, error.expected, error.got)] for error in exc.errors]
    return {"message": _plain(str(exc)), "errors": errors}


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _check(model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as exc:
        raise whole_file_refusal("a valid ONNX model", str(exc).strip().split("\n")[0][:300]) from None


def _load(onnx_bytes: bytes, declared: Signature) -> LoadedModel:
    """The loaded model, whose signature may know more dimensions than the file declares, but says nothing else."""
    try:
        loaded = load_session(onnx_bytes)
    except ModelFailed as exc:
        raise _failure(exc, "a model that ONNX Runtime loads") from None
    if difference := _tensors(declared) ^ _tensors(loaded.signature):
        raise whole_file_refusal("inputs and outputs as ONNX Runtime sees them", str(sorted(difference)))
    return loaded


def _tensors(signature: Signature) -> set[tuple[str, str]]:
    return {(spec.name, spec.datatype) for spec in (*signature.inputs, *signature.outputs)}


def _try_out(loaded: LoadedModel) -> str:
    """Run once on made-up values: "ran", or why a run proves nothing. Raises InvalidModel where it must have worked."""
    signature = loaded.signature
    free = [spec.name for spec in signature.inputs if not spec.is_optional and None in spec.shape[1:]]
    try:
        loaded.run(_made_up(signature))
    except ModelFailed as exc:
        if _UNKNOWN_CATEGORY in str(exc):
            return "not run: made-up values are none of its categories"
        failure = _failure(exc, "a model that runs on values of its signature")
        if free and isinstance(failure, InvalidModel):
            return f"not run: {', '.join(free)} has free dimensions"
        raise failure from None
    return _RAN


def _prove(loaded: LoadedModel, golden: GoldenRows) -> str:
    """Run the golden rows. Raises InvalidInput where they misfit, and where an answer is not the expected one."""
    try:
        refuse_mismatches(run_golden(loaded, golden))
    except ModelFailed as exc:
        raise _failure(exc, "a model that runs on its golden rows") from None
    return _RAN


def _measured(loaded: LoadedModel, golden: GoldenRows | None) -> dict[str, Any]:
    feeds = golden.inputs if golden else _made_up(loaded.signature)
    rows = max((len(array) for array in feeds.values() if array.ndim), default=1)
    return measure(loaded, feeds) | {"rows": rows}


def _failure(exc: ModelFailed, expected: str) -> InvalidModel | MemoryError:
    """ONNX Runtime tells a failed allocation only by its message."""
    return MemoryError() if "alloc" in str(exc) else whole_file_refusal(expected, f"this: {exc}")


def _made_up(signature: Signature) -> Feeds:
    for spec in signature.inputs:
        dims = example_shape(spec, _TRIAL_ROWS)
        if math.prod(dims) > _MOST_TRIAL_ELEMENTS:
            got = f"'{spec.name}' {shape_text(dims)}"
            raise whole_file_refusal(f"inputs of at most {_MOST_TRIAL_ELEMENTS} elements", got)
    return plain_feeds(signature, _TRIAL_ROWS)


if __name__ == "__main__":
    main()
