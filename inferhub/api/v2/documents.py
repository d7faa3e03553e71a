"""What the protocol says of a server and its models, as JSON documents."""

from typing import Any

from inferhub.lib.version import own_version
from inferhub.registry.queries import VersionPlan
from inferhub.runtime.signature import TensorSpec
from inferhub.runtime.tensors import wire_datatype

PLATFORM = "onnxruntime_onnx"
_EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics")


def server_document() -> dict[str, Any]:
    return {"name": "inferhub", "version": own_version(), "extensions": list(_EXTENSIONS)}


def model_document(plan: VersionPlan, versions: list[int]) -> dict[str, Any]:
    """Model metadata; the inputs and outputs are those of `plan`, with its steps where it has some."""
    signature = plan.pipeline.request
    return {
        "name": plan.model,
        "versions": [str(number) for number in versions],
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def config_document(plan: VersionPlan) -> dict[str, Any]:
    """Triton's ModelConfig. `max_batch_size` 0: the shapes say where the batch is, and no batch is made here."""
    signature = plan.pipeline.request
    return {
        "name": plan.model,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "default_model_filename": "model.onnx",
        "version_policy": {"specific": {"versions": [plan.number]}},
        "max_batch_size": 0,
        "input": [_config_tensor(spec) | {"optional": spec.is_optional} for spec in signature.inputs],
        "output": [_config_tensor(spec) for spec in signature.outputs],
        "instance_group": [{"name": plan.model, "kind": "KIND_CPU", "count": 1}],
        "parameters": {
            "digest": {"string_value": plan.digest},
            "task": {"string_value": plan.task},
        },
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": wire_datatype(spec), "shape": _dims(spec)}


def _config_tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = wire_datatype(spec)
    kind = "STRING" if datatype == "BYTES" else datatype
    return {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": _dims(spec)}


def _dims(spec: TensorSpec) -> list[int]:
    return [-1 if dim is None else dim for dim in spec.shape]
