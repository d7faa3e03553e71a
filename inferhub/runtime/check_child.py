"""The inside of the upload firewall: one hostile file, one short-lived process with hard limits.

Started by `inferhub.runtime.check` as `python -m inferhub.runtime.check_child LIMITS` in an empty folder, with the file
on standard input. Writes one JSON document to standard output, and `rewritten.onnx` where the model was rewritten.
"""

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from inferhub.errors import InvalidModel, ModelFailed
from inferhub.runtime.graph import (
    estimate_memory,
    model_signature,
    parse_model,
    read_metadata,
    rewrite_zipmap,
    whole_file_refusal,
)
from inferhub.runtime.metadata import read_labels, read_task
from inferhub.runtime.operators import operator_name
from inferhub.runtime.scan import scan_model
from inferhub.runtime.session import LoadedModel, load_session
from inferhub.runtime.signature import Feeds, Signature, TensorSpec

REWRITTEN = "rewritten.onnx"

_OPEN_FILES = 16
_UNKNOWN_CATEGORY = "Unknown Category"  # OneHotEncoder's complaint, right for any value that it was not trained on
_TRIAL_ROWS = 2
_FREE_DIM = 3
_MOST_TRIAL_ELEMENTS = 2**24


def main() -> None:
    limits = json.loads(sys.argv[1])
    _limit(limits)
    try:
        report, rewritten = inspect(sys.stdin.buffer.read())
        if rewritten is not None:
            Path(REWRITTEN).write_bytes(rewritten)
        answer: Mapping[str, Any] = {"report": report}
    except InvalidModel as exc:
        answer = _refused(exc)
    except MemoryError:
        expected = f"a model that loads and runs in {limits['memory_bytes']} bytes of memory"
        answer = _refused(whole_file_refusal(expected, "one that needs more"))
    json.dump(answer, sys.stdout)


def inspect(onnx_bytes: bytes) -> tuple[dict[str, Any], bytes | None]:
    """The whole check, cheapest first: a report, and the bytes of the model where it was rewritten.

    Raises InvalidModel; may run out of memory or time, which the limits are for.
    """
    model = parse_model(onnx_bytes)
    scan_model(model)
    is_rewritten = rewrite_zipmap(model)
    _check(model)
    declared, metadata = model_signature(model), read_metadata(model)
    labels = read_labels(metadata)
    final_bytes = model.SerializeToString() if is_rewritten else onnx_bytes
    loaded = _load(final_bytes, declared)
    trial = _try_out(loaded)
    report = {
        "signature": loaded.signature.to_dict(),
        "task": read_task(metadata),
        "labels": labels,
        "operators": sorted({operator_name(node.domain, node.op_type) for node in model.graph.node}),
        "trial": trial,
        "memory_bytes": estimate_memory(model),
    }
    return report, final_bytes if is_rewritten else None


def _refused(exc: InvalidModel) -> dict[str, Any]:
    return {"message": str(exc), "errors": [[error.pointer, error.expected, error.got] for error in exc.errors]}


def _limit(limits: Mapping[str, int]) -> None:
    """Lower this process's own limits for good (a pre-exec hook in a parent with threads is not safe)."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(kind, (value, value))


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
        loaded.run(_made_up_feeds(signature))
    except ModelFailed as exc:
        if _UNKNOWN_CATEGORY in str(exc):
            return "not run: made-up values are none of its categories"
        failure = _failure(exc, "a model that runs on values of its signature")
        if free and isinstance(failure, InvalidModel):
            return f"not run: {', '.join(free)} has free dimensions"
        raise failure from None
    return "ran"


def _failure(exc: ModelFailed, expected: str) -> InvalidModel | MemoryError:
    """ONNX Runtime tells a failed allocation only by its message."""
    return MemoryError() if "alloc" in str(exc) else whole_file_refusal(expected, f"this: {exc}")


def _made_up_feeds(signature: Signature) -> Feeds:
    feeds: Feeds = {}
    for spec in signature.inputs:
        if not spec.is_optional:
            dims = [_made_up_dim(spec, axis) for axis in range(len(spec.shape))]
            if np.prod(dims, dtype=float) > _MOST_TRIAL_ELEMENTS:
                raise whole_file_refusal(f"inputs of at most {_MOST_TRIAL_ELEMENTS} elements", f"'{spec.name}' {dims}")
            # "0" reads as a word, a category and a number
            feeds[spec.name] = np.full(dims, "0" if spec.datatype == "BYTES" else 0, dtype=spec.numpy_type)
    return feeds


def _made_up_dim(spec: TensorSpec, axis: int) -> int:
    return spec.shape[axis] or (_FREE_DIM if axis else _TRIAL_ROWS)


if __name__ == "__main__":
    main()
