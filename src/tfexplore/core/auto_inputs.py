"""Inputs that are made up for a signature: what `smoke` runs it with.

Integers are zeros, floats seeded normal, booleans false; strings that are parsed are Examples from the recovered
spec, strings that are decoded as pictures are small pictures, any other are empty. Unknown dimensions are 1, then
32, then 224: with several in one input the first is the batch and stays 1. Unknown ranks are one dimension, at last
none.
"""

from __future__ import annotations

import base64
import math
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import examples, makers, text
from tfexplore.core.feature_ops import FEATURE_LISTS, FIXED, RAGGED, SEQUENCE, VARIABLE, Feature
from tfexplore.core.feature_spec import InputSpec, input_specs
from tfexplore.core.shapes import Shape, format_shape, num_elements
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes, png

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.meta_graph import MetaGraph

SIZES = (1, 32, 224)
_MAX_ELEMENTS = 1 << 24
# Values of one feature that are made up.
_MAX_VALUES = 1 << 20
# A gray picture of one pixel for DecodeAndCropJpeg, which takes nothing else: JFIF, baseline.
_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQH/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AVN//2Q=="
)
_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


class Attempt(NamedTuple):
    """One set of inputs.

    Attributes:
        description: what it is, in words: `unknown dimensions 32: x float32 [1, 32, 32, 3] random`.
        arrays: by input name; an input that the model has a default for is left out.
    """

    description: str
    arrays: dict[str, np.ndarray]


def attempts(
    meta_graph: MetaGraph,
    signature: Signature,
    seed: int = 0,
    cancel: threading.Event | None = None,
    specs: Sequence[InputSpec] | None = None,
) -> Iterator[Attempt]:
    """Inputs to try one after the other, until one works; one attempt only where all dimensions are known.

    Args:
        specs: what `feature_spec.input_specs` gave, where that is known already.

    Raises:
        UsageError: an input takes nothing that can be made up; says which.
        Cancelled: `cancel` was set.
    """
    known = input_specs(meta_graph, signature, cancel) if specs is None else specs
    by_input = {spec.input: spec for spec in known}
    infos = [info for info in signature.inputs if info.name not in signature.defaults]
    open_shapes = any(info.shape is None or None in info.shape for info in infos)
    tried: set[tuple[tuple[int, ...], ...]] = set()
    tries = [(size, False) for size in (SIZES if open_shapes else SIZES[:1])]
    if any(info.shape is None for info in infos):
        tries.append((SIZES[0], True))
    for size, scalars in tries:
        sizes = tuple(() if scalars and info.shape is None else _sized(info.shape, size) for info in infos)
        if sizes in tried or (size != 1 and any(math.prod(shape) > _MAX_ELEMENTS for shape in sizes)):
            continue
        tried.add(sizes)
        arrays = {}
        words = []
        for info, shape in zip(infos, sizes, strict=True):
            arrays[info.name], how = _made(info, shape, by_input.get(info.name), size, seed)
            words.append(f"{text.label(info.name)} {dtypes.name(info.dtype)} {format_shape(shape)} {how}")
        head = f"unknown dimensions {size}: " if open_shapes else ""
        yield Attempt(head + (", ".join(words) or "no inputs"), arrays)


def _sized(shape: Shape, size: int) -> tuple[int, ...]:
    if shape is None or shape.count(None) < 2:
        return makers.concrete(shape, size)
    first = shape.index(None)
    return tuple((1 if axis == first else size) if known is None else known for axis, known in enumerate(shape))


def _made(
    info: TensorInfo, shape: tuple[int, ...], spec: InputSpec | None, size: int, seed: int
) -> tuple[np.ndarray, str]:
    if dtypes.base(info.dtype) != dtypes.STRING or spec is None:
        is_float = dtypes.name(dtypes.base(info.dtype)).startswith(("float", "bfloat", "complex", "half"))
        if is_float:
            return makers.make("random", info, shape, seed), "random"
        empty = "empty" if dtypes.base(info.dtype) == dtypes.STRING else "zeros"
        return makers.make("zeros", info, shape), "false" if info.dtype == 10 else empty
    if spec.is_parsed:
        value, how = example(spec, seed), "of Examples" if not spec.sequence else "of SequenceExamples"
    else:
        value, how = picture(spec.image_ops, size)
    if spec.base64:
        value, how = base64.urlsafe_b64encode(value), f"{how} in base64"
    found = makers.make("zeros", info, shape)
    found.fill(value)
    return found, how


def example(spec: InputSpec, seed: int = 0) -> bytes:
    """A serialized Example, or SequenceExample, that the parsing ops accept.

    A feature with a default is left out. Integers are zeros, floats seeded normal, strings empty; where the number of
    values is free there is one, and one step where the number of steps is.
    """
    row: dict[str, dict[str, Any]] = {}
    for feature in spec.features:
        if feature.default is not None and feature.kind == FIXED:
            continue
        row.setdefault(feature.part, {})[feature.name] = _feature_value(feature, seed)
    found = {
        (part, name): examples.message(value, feature)
        for feature in spec.features
        for part, name in [(feature.part, feature.name)]
        if (value := row.get(part, {}).get(name)) is not None
    }
    return examples.serialized(found, sequence=spec.sequence)


def _feature_value(feature: Feature, seed: int) -> Any:
    inner = feature.shape[1:] if feature.shape is not None and feature.kind == SEQUENCE else feature.shape
    count = 1 if feature.kind in (VARIABLE, RAGGED) else num_elements(inner)
    if count is None or count > _MAX_VALUES:
        raise UsageError(f"the feature {text.label(feature.name)} is too large to be made up")
    values: list[Any]
    if feature.dtype == dtypes.STRING:
        values = [""] * count
    elif feature.dtype == 1:
        info = TensorInfo(feature.name, feature.name, 1, (count,))
        values = makers.make("random", info, seed=seed).tolist()
    else:
        values = [0] * count
    return [values] if feature.part == FEATURE_LISTS else values


def picture(ops: Sequence[str], size: int = 1) -> tuple[bytes, str]:
    """A picture that the decoding ops take, and what it is: PNG of `size` × `size` pixels, unless one of them takes
    only another kind.
    """
    if "DecodeBmp" in ops:
        return _bmp(), "of a 1×1 BMP"
    if "DecodeGif" in ops:
        return _GIF, "of a 1×1 GIF"
    if "DecodeAndCropJpeg" in ops or "ExtractJpegShape" in ops:
        return _JPEG, "of a 1×1 JPEG"
    return png.encode_rgb(size, size), f"of a {size}×{size} PNG"


def _bmp() -> bytes:
    pixel = b"\0\0\0\0"  # blue, green, red, and zeros up to four bytes
    head = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, len(pixel), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixel), 0, 0, 14 + len(head)) + head + pixel
