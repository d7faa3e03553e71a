"""Preprocess step for pictures: base64 text to a tensor."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.steps.base import (
    NAME,
    NUMBERS,
    Columns,
    Planned,
    Specs,
    Stage,
    batch_of,
    bound,
    check_dims,
    choice,
    parameters,
    refuse,
    refuse_cell,
    take_datatype,
)

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_SIDE = {"type": "integer", "minimum": 1, "maximum": 4096}
_MOST_PIXELS = 25_000_000  # a small file can unfold into gigabytes: the header is read before anything is decoded
_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises for broken files
_EXAMPLE = "R0lGODdhAQABAIEAAICAgAAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="  # one grey pixel, GIF
_GREY = (114, 114, 114)  # around a letterboxed picture, as YOLO pads in training


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeImage:
    """A picture (JPEG, PNG, WebP, BMP, GIF) in base64 as (pixel / 255 - mean) / std, channel by channel.

    `resize`: `stretch` to width x height, `crop` (fill, then cut from the middle) or `letterbox` (fit, grey around).
    A model of UINT8 gets the pixels as they are. `size_into` names a by-product [N, 2] for the postprocess step
    `boxes`: the width and height that each picture had.
    """

    name: ClassVar[str] = "image"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"column": NAME, "into": NAME, "width": _SIDE, "height": _SIDE},
        layout=choice("NCHW", "NHWC"),
        colour=choice(*_CHANNELS),
        resize=choice("stretch", "crop", "letterbox"),
        mean=NUMBERS,
        std=NUMBERS,
        divide_by={"type": "number", "exclusiveMinimum": 0},
        size_into=NAME,
    )

    column: str
    into: str
    width: int
    height: int
    layout: str = "NCHW"
    colour: str = "RGB"
    resize: str = "stretch"
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    divide_by: float = 255.0
    size_into: str = ""

    def plan(self, specs: Specs) -> Planned:
        spec = take_datatype(specs, self.into, "/into", "UINT8", "FP16", "FP32", "FP64")
        channels = _CHANNELS[self.colour]
        dims = (self.height, self.width)
        check_dims(spec, "/layout", *((channels, *dims) if self.layout == "NCHW" else (*dims, channels)))
        for where, numbers in (("/mean", self.mean), ("/std", self.std)):
            if len(numbers) not in (1, channels):
                refuse(where, f"one number, or {channels} for {self.colour}", f"{len(numbers)}")
        if not all(self.std):
            refuse("/std", "numbers other than 0", "0")
        needed = {name: other for name, other in specs.items() if name != self.into}
        if self.column in needed:
            refuse("/column", "a name that no other column has", f"'{self.column}'")
        needed[self.column] = TensorSpec(name=self.column, datatype="BYTES", shape=(batch_of(spec),))
        kept = TensorSpec(name=self.size_into, datatype="INT64", shape=(None, 2))
        finish = self._finish(spec)

        def run(columns: Columns) -> None:
            pictures = columns.pop(self.column).tolist()
            bound(self.column, len(pictures), self.width * self.height * channels)
            pixels = np.empty((len(pictures), *dims, channels), np.uint8)
            sizes = np.empty((len(pictures), 2), np.int64)
            for row, text in enumerate(pictures):
                picture = self._open(text, row)
                sizes[row] = _upright_size(picture)
                pixels[row] = self._pixels(picture, row)
            columns[self.into] = finish(pixels)
            if self.size_into:
                columns[self.size_into] = sizes

        by_product = {self.size_into: kept} if self.size_into else {}
        return Planned(specs=needed, run=run, kept=by_product, examples={self.column: _EXAMPLE})

    def _open(self, text: str, row: int) -> Image.Image:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            refuse_cell(self.column, row, "a picture in base64", text)
        try:
            picture = Image.open(BytesIO(data), formats=_FORMATS)
            picture.getexif()  # damaged, it would raise later
        except _UNREADABLE:
            refuse_cell(self.column, row, f"a picture ({', '.join(_FORMATS)})", f"{len(data)} bytes of something else")
        if picture.width * picture.height > _MOST_PIXELS:
            size = f"{picture.width} x {picture.height}"
            refuse_cell(self.column, row, f"a picture of at most {_MOST_PIXELS} pixels", size)
        return picture

    def _pixels(self, picture: Image.Image, row: int) -> Array:
        """[height, width, channels]; the rotation that a camera noted is undone."""
        wanted, mode = (self.width, self.height), "L" if self.colour == "L" else "RGB"
        try:
            picture.draft(mode, wanted)  # a JPEG of twice the size and more is decoded smaller at once
            picture = ImageOps.exif_transpose(picture).convert(mode)
        except _UNREADABLE:
            refuse_cell(self.column, row, "a whole picture", "one that breaks off or is damaged")
        if self.resize == "letterbox":
            picture = ImageOps.pad(picture, wanted, Image.Resampling.BILINEAR, _GREY if mode == "RGB" else _GREY[0])
        elif self.resize == "crop":
            picture = ImageOps.fit(picture, wanted, Image.Resampling.BILINEAR)
        else:
            picture = picture.resize(wanted, Image.Resampling.BILINEAR)
        pixels = np.asarray(picture).reshape(self.height, self.width, -1)
        return pixels[:, :, ::-1] if self.colour == "BGR" else pixels

    def _finish(self, spec: TensorSpec) -> Callable[[Array], Array]:
        """From [N, height, width, channels] of bytes to what the model wants."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        divide_by = np.float32(self.divide_by)

        def finish(pixels: Array) -> Array:
            numbers = pixels if spec.datatype == "UINT8" else (pixels / divide_by - mean) / std
            if self.layout == "NCHW":
                numbers = numbers.transpose(0, 3, 1, 2)
            return np.ascontiguousarray(numbers, dtype=spec.numpy_type)

        return finish


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height as people see the picture, with the rotation that a camera noted."""
    width, height = picture.size
    is_lying = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (height, width) if is_lying else (width, height)
