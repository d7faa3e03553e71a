"""Postprocess steps for object detection: what a detector says as boxes and scores, and the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from inferhub.lib.describe import describe
from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.steps.base import (
    FLAG,
    JSON,
    NAME,
    SIZE,
    Columns,
    Planned,
    Specs,
    Stage,
    check_dims,
    choice,
    parameters,
    refuse,
    take,
    take_float,
)

_MOST_CANDIDATES = 3000  # of one picture, the best by score: the time of NMS grows with their square
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Boxes:
    """A detector's output as `boxes` [N, A, 4] (left, top, right, bottom) and `scores` [N, A, classes].

    `of` holds boxes and scores together, as YOLO does: [N, A, 4 + classes], with `objectness` (YOLOv5) [N, A, 5 +
    classes] whose fifth number multiplies the scores, with `channels_first` (YOLOv8) [N, 4 + classes, A]. Or `of` holds
    the boxes alone and `scores_of` the scores. `form` says what the four numbers are; `width` and `height` are those
    of the picture that the model saw (1 and 1 where boxes are shares of it). With `image_size`, the by-product of the
    step `image`, boxes are in pixels of the picture that the caller sent, else in shares of it (0 to 1).
    """

    name: ClassVar[str] = "boxes"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"of": NAME, "form": choice("xyxy", "xywh", "cxcywh"), "width": SIZE, "height": SIZE},
        scores_of=NAME,
        objectness=FLAG,
        channels_first=FLAG,
        image_size=NAME,
        letterbox=FLAG,
        into=NAME,
        scores_into=NAME,
    )

    of: str
    form: str
    width: int
    height: int
    scores_of: str = ""
    objectness: bool = False
    channels_first: bool = False
    image_size: str = ""
    letterbox: bool = False
    into: str = "boxes"
    scores_into: str = "scores"

    def plan(self, specs: Specs) -> Planned:
        spec = take_float(specs, self.of, "/of")
        if len(spec.shape) != 3:
            check_dims(spec, "/of", None, None)
        batch, anchors, numbers = spec.shape if not self.channels_first else (spec.shape[0], *spec.shape[:0:-1])
        classes = self._classes(specs, numbers)
        if self.letterbox and not self.image_size:
            refuse("/image_size", "the by-product of the step image (size_into), as letterbox needs it", "nothing")
        if self.image_size:
            check_dims(take(specs, self.image_size, "/image_size"), "/image_size", 2)
        made = {
            self.into: TensorSpec(name=self.into, datatype=spec.datatype, shape=(batch, anchors, 4)),
            self.scores_into: TensorSpec(
                name=self.scores_into, datatype=spec.datatype, shape=(batch, anchors, classes)
            ),
        }
        left = {name: other for name, other in specs.items() if name not in (self.of, self.scores_of)}
        return Planned(specs={**left, **made}, run=self._run)

    def _classes(self, specs: Specs, numbers: int | None) -> int | None:
        if self.scores_of:
            scores = take_float(specs, self.scores_of, "/scores_of")
            if len(scores.shape) != 3:
                check_dims(scores, "/scores_of", None, None)
            return scores.shape[2]
        least = 5 + self.objectness
        if numbers is not None and numbers < least:
            refuse("/of", f"at least {least} numbers for each box", f"{numbers}")
        return None if numbers is None else numbers - least + 1

    def _run(self, columns: Columns) -> None:
        raw = columns.pop(self.of)
        raw = raw.transpose(0, 2, 1) if self.channels_first else raw
        if self.scores_of:
            scores = columns.pop(self.scores_of)
        elif self.objectness:
            scores = raw[..., 5:] * raw[..., 4:5]
        else:
            scores = raw[..., 4:]
        columns[self.into] = self._shares(raw[..., :4], columns)
        columns[self.scores_into] = scores

    def _shares(self, four: Array, columns: Columns) -> Array:
        """Corners, in shares of the picture or in its pixels, never outside of it."""
        corners: Array = _corners(four, self.form) / np.array([self.width, self.height] * 2, four.dtype)
        if not self.image_size:
            return corners.clip(0, 1)
        sizes = columns[self.image_size].astype(four.dtype)[:, np.newaxis]  # [N, 1, 2]
        if self.letterbox:
            corners = self._without_borders(corners, sizes)
        pixels: Array = corners.clip(0, 1) * np.concatenate([sizes, sizes], axis=2)
        return pixels

    def _without_borders(self, corners: Array, sizes: Array) -> Array:
        """Shares of the letterboxed picture as shares of the picture inside it."""
        frame = np.array([self.width, self.height], corners.dtype)
        shares = sizes * (frame / sizes).min(axis=2, keepdims=True) / frame  # of the frame that the picture fills
        borders = (1 - shares) / 2
        inside: Array = (corners - np.concatenate([borders, borders], 2)) / np.concatenate([shares, shares], 2)
        return inside


def _corners(four: Array, form: str) -> Array:
    if form == "xyxy":
        return four
    first, size = four[..., :2], four[..., 2:]
    first = first - size / 2 if form == "cxcywh" else first
    return np.concatenate([first, first + size], axis=-1)


@dataclass(frozen=True, kw_only=True, slots=True)
class NonMaximumSuppression:
    """The best boxes of each picture as `into`, a list of {"label", "score", "box"}, best first.

    Greedy: a box goes where a better one of its class overlaps it by more than `iou` (intersection over union). Boxes
    scored below `score` do not count. `labels` name the classes; without them a label is the number of its class.
    """

    name: ClassVar[str] = "nms"
    stage: ClassVar[Stage] = Stage.POSTPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {},
        boxes=NAME,
        scores=NAME,
        into=NAME,
        iou=_SHARE,
        score=_SHARE,
        most=SIZE,
        labels={"type": "array", "minItems": 1, "items": {"type": "string"}},
    )

    boxes: str = "boxes"
    scores: str = "scores"
    into: str = "detections"
    iou: float = 0.5
    score: float = 0.25
    most: int = 100
    labels: Sequence[str] = ()

    def plan(self, specs: Specs) -> Planned:
        boxes, scores = take_float(specs, self.boxes, "/boxes"), take_float(specs, self.scores, "/scores")
        check_dims(boxes, "/boxes", None, 4)
        check_dims(scores, "/scores", boxes.shape[1], None)
        classes = scores.shape[2]
        if self.labels and classes not in (None, len(self.labels)):
            refuse("/labels", f"{classes} names, one for each class of '{self.scores}'", describe(list(self.labels)))
        left = {name: spec for name, spec in specs.items() if name not in (self.boxes, self.scores)}
        made = TensorSpec(name=self.into, datatype=JSON, shape=(boxes.shape[0],))
        return Planned(specs={**left, self.into: made}, run=self._run)

    def _run(self, columns: Columns) -> None:
        boxes, scores = columns.pop(self.boxes), columns.pop(self.scores)
        found = np.empty(len(boxes), dtype=object)
        found[:] = [self._detections(boxes[row], scores[row]) for row in range(len(boxes))]
        columns[self.into] = found

    def _detections(self, boxes: Array, scores: Array) -> list[dict[str, Any]]:
        classes = scores.argmax(axis=1) if scores.shape[1] else np.zeros(0, np.int64)
        best = scores.max(axis=1, initial=0)
        candidates = np.flatnonzero(best >= scores.dtype.type(self.score)) if scores.shape[1] else classes
        candidates = candidates[np.argsort(-best[candidates], kind="stable")][:_MOST_CANDIDATES]
        kept = suppress(boxes[candidates], classes[candidates], iou=self.iou, most=self.most)
        return [self._detection(boxes[place], best[place], int(classes[place])) for place in candidates[kept]]

    def _detection(self, box: Array, score: Any, kind: int) -> dict[str, Any]:
        label: str | int = self.labels[kind] if kind < len(self.labels) else kind
        return {"label": label, "score": _decimal(score), "box": [_decimal(edge) for edge in box]}


def suppress(boxes: Array, classes: Array, *, iou: float, most: int) -> list[int]:
    """Places of the boxes [A, 4] that stay, at most `most`; they must come best first.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    >>> suppress(boxes, np.zeros(3, np.int64), iou=0.5, most=10)
    [0, 2]
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    is_left = np.ones(len(boxes), bool)
    kept: list[int] = []
    for place in range(len(boxes)):
        if not is_left[place]:
            continue
        kept.append(place)
        if len(kept) == most:
            break
        low, high = np.maximum(boxes[:, :2], boxes[place, :2]), np.minimum(boxes[:, 2:], boxes[place, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        union = np.maximum(areas + areas[place] - shared, np.finfo(boxes.dtype).tiny)
        is_left &= (shared / union <= iou) | (classes != classes[place])
    return kept


def _decimal(number: Any) -> float:
    """The shortest decimal that names a float32, as other outputs have it."""
    return float(str(number))
