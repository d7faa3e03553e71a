"""Why a model of trees answered as it did: what each feature added, by path-dependent TreeSHAP (`shap`).

The alternative, interventional SHAP, asks for background rows with every explanation and costs a run of the trees for
each of them; the path-dependent kind needs only counts of training rows, which fit into the file (`tree_graph`), and is
what LightGBM calls `pred_contrib`. Contributions are in the unit in which trees add up, which `scale` names: that of
the answer, its logarithm, or the margin (log-odds) of a classification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from inferhub.errors import FieldError, InvalidInput
from inferhub.runtime.column_names import column_names, renamed
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.session import LoadedModel, load_session
from inferhub.runtime.shap import Doubles, PackedLeaves
from inferhub.runtime.signature import Array
from inferhub.runtime.tree_graph import Trees, not_explainable, read_trees, scale_of

MOST_ROWS = 100
_MOST_MULTIPLICATIONS = 400_000_000  # of one request: a few seconds
_ENCODED = "inferhub_explain_input"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explainer:
    """The trees of one artifact, and the graph up to them. Threads may share it."""

    encoder: LoadedModel
    trees: Trees
    leaves: PackedLeaves
    columns: tuple[str, ...]
    scale: str

    def explain(self, feeds: Mapping[str, Array], deadline: Deadline | None = None) -> list[dict[str, Any]]:
        """For each row: {"of", "scale", "base_value", "value", "contributions"}.

        `base_value` is the mean over the training rows; with the contributions it adds up to `value`. Of several
        classes the one with the largest value is explained, of two with one value the second; `of` names it. `scale`
        says what these numbers are (`scale_of`). Raises InvalidInput where that is too much work, ModelFailed and
        TimedOut.
        """
        encoded = self.encoder.run(feeds, deadline)[_ENCODED]
        self._check_work(len(encoded))
        contributions = self.leaves.contributions(self.trees.decisions(encoded))
        base = self.leaves.expected + np.array(self.trees.base)
        values = base + contributions.sum(axis=1)
        best = values.argmax(axis=1)
        rows = np.arange(len(encoded))
        return [
            self._row(int(place), base[place], value, some)
            for place, value, some in zip(best, values[rows, best], contributions[rows, :, best], strict=True)
        ]

    def _row(self, place: int, base: float, value: float, contributions: Doubles) -> dict[str, Any]:
        of = {"of": self.trees.classes[place]} if self.trees.classes else {}
        named: dict[str, float] = {}
        for name, contribution in zip(self.columns, map(float, contributions), strict=True):
            named[name] = named.get(name, 0.0) + contribution  # several columns may be parts of one input
        numbers = {"base_value": float(base), "value": float(value), "contributions": named}
        return {**of, "scale": self.scale, **numbers}

    def _check_work(self, rows: int) -> None:
        work = rows * self.leaves.cost_of_row
        if work > _MOST_MULTIPLICATIONS:
            most = _MOST_MULTIPLICATIONS // self.leaves.cost_of_row
            raise InvalidInput(
                errors=[
                    FieldError(
                        pointer="/rows",
                        expected=f"at most {most} rows with explain, as large as the trees of this model are",
                        got=f"{rows}",
                    )
                ]
            )


def read_explainer(onnx_bytes: bytes) -> Explainer:
    """An explainer for an artifact. Raises InvalidInput, saying why it has none."""
    model = onnx.load_from_string(onnx_bytes)
    trees = read_trees(model)
    encoder = load_session(_up_to(model, trees.input))
    shape = encoder.signature.outputs[0].shape
    width = (shape[1] if len(shape) == 2 else None) or trees.features
    if width < trees.features:
        raise not_explainable("one whose trees ask for features that they are not given")
    names = column_names(model.graph, trees.input, width)
    return Explainer(
        encoder=encoder,
        trees=trees,
        leaves=PackedLeaves(trees.leaves, features=width),
        columns=tuple(names),
        scale=scale_of(model.graph),
    )


def name_after(origins: Mapping[str, str], explanation: dict[str, Any]) -> dict[str, Any]:
    """The same with contributions under the names that callers know; those of one name are added up."""
    named: dict[str, float] = {}
    for column, contribution in explanation["contributions"].items():
        name = renamed(origins, column)
        named[name] = named.get(name, 0.0) + contribution
    return explanation | {"contributions": named}


def check_row_count(rows: int) -> None:
    """Raises InvalidInput for more rows than one request may have explained."""
    if rows > MOST_ROWS:
        expected = f"at most {MOST_ROWS} rows with explain"
        raise InvalidInput(errors=[FieldError(pointer="/rows", expected=expected, got=f"{rows} rows")])


def _up_to(model: onnx.ModelProto, tensor: str) -> bytes:
    """The graph whose only output is what the trees get, without what is not needed for that."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    needed: set[str] = set()
    pending = [tensor]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += makers[name].input if name in makers else ()
    del cut.graph.node[:]
    cut.graph.node.extend(node for node in model.graph.node if needed & set(node.output))
    cut.graph.node.append(helper.make_node("Identity", [tensor], [_ENCODED]))
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info(_ENCODED, TensorProto.FLOAT, None))
    return bytes(cut.SerializeToString())
