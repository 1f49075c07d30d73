"""Files as the value of an input: JSON, NumPy's arrays, pictures, raw bytes (`--input NAME=@FILE`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfexplore.core import arrays, json_values, text
from tfexplore.core.arrays import called
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes, npy, png

if TYPE_CHECKING:
    import numpy as np

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
_SCRIPTS = (".pkl", ".pickle")


def read(path: str, info: TensorInfo, where: str) -> np.ndarray:
    """The value in a file, by the ending of its name.

    `.json`; `.npy`; `.npz`, with `:NAME` where it holds several arrays; anything else, pictures above all, as the bytes
    that it has, for an input of strings. A PNG file goes to an input of numbers as pixels: 0 to 255 for integers,
    0 to 1 for floats.

    Raises:
        UsageError: it cannot be read, or does not fit the input.
    """
    try:
        return _read(path, info, where)
    except ModelError as error:
        raise UsageError(f"{where}: {error}") from error


def _read(path: str, info: TensorInfo, where: str) -> np.ndarray:
    file, name = path, None
    if ".npz:" in path and not os.path.lexists(path):
        file, _, name = path.rpartition(".npz:")
        file += ".npz"
    ending = os.path.splitext(file)[1].lower()
    if ending == ".json":
        document = json_values.parse(json_values.read_file(file), text.visible(file))
        return arrays.from_json(document, info, where)
    if ending == ".npy":
        return arrays.from_array(npy.read_npy(json_values.read_file(file, npy.MAX_BYTES), path=file), info, where)
    if ending == ".npz":
        found = npy.read_npz(json_values.read_file(file, npy.MAX_BYTES), name, path=file)
        return arrays.from_array(found, info, where)
    if dtypes.base(info.dtype) == dtypes.STRING:
        return strings([json_values.read_file(file, npy.MAX_BYTES)], info, where)
    if ending == ".png":
        return _pixels(png.decode(json_values.read_file(file, npy.MAX_BYTES), path=file), info, where)
    if ending in PICTURES:
        raise UsageError(
            f"{where}: {text.visible(file)} is a picture, which goes to an input of strings; "
            "for an input of numbers save it as .png or .npy"
        )
    if ending in _SCRIPTS:
        raise UsageError(f"{where}: {text.visible(file)} is a pickle, which could run any code; save it as .npy")
    raise UsageError(f"{where}: {text.visible(file)} is none of .json, .npy, .npz and .png")


def strings(values: list[bytes], info: TensorInfo, where: str | None = None) -> np.ndarray:
    """Strings in the shape that an input takes: one for a scalar, else along the one dimension that may differ from 1.

    Raises:
        UsageError: the input takes another number of them.
    """
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    shape = info.shape
    if shape is None:
        return found
    where = where or called(info)
    if not shape and len(values) != 1:
        raise UsageError(f"{where}: it takes one string, and {len(values):,} are given")
    free = [axis for axis, size in enumerate(shape) if size != 1]
    if len(free) > 1 or len(shape) > json_values.MAX_DIMS:
        raise UsageError(f"{where}: give the strings as JSON in its shape, {format_shape(shape)}")
    sizes = [1] * len(shape)
    if shape:
        sizes[free[0] if free else 0] = len(values)
    return arrays.checked(found.reshape(sizes), info, where)


def _pixels(picture: png.Picture, info: TensorInfo, where: str) -> np.ndarray:
    import numpy as np

    found = np.frombuffer(picture.pixels, "uint8").reshape(picture.height, picture.width, picture.channels)
    shape = info.shape
    if shape is not None and shape and shape[-1] in (1, 3, 4):
        found = _with_channels(found, int(shape[-1] or 0), where)
    dtype = arrays.numpy_dtype(info)
    if dtype.kind not in "iuf" and "float" not in dtype.name:
        raise UsageError(f"{where}: a picture is no {dtypes.name(info.dtype)}")
    if shape is not None and len(shape) == 4:
        found = found[None]
    elif shape is not None and len(shape) == 2 and found.shape[-1] == 1:
        found = found[..., 0]
    if dtype.kind in "iu":
        return arrays.from_array(found, info, where)
    return arrays.from_array(found / np.float64(255), info, where)


def _with_channels(picture: np.ndarray, wanted: int, where: str) -> np.ndarray:
    """Gray becomes RGB, and alpha is left out or made opaque."""
    import numpy as np

    count = picture.shape[-1]
    if count in (2, 4) and wanted in (1, 3):
        picture = picture[..., : count - 1]
        count -= 1
    if count == 1 and wanted == 3:
        return np.repeat(picture, 3, axis=-1)
    if count == 3 and wanted == 4:
        return np.concatenate([picture, np.full_like(picture[..., :1], 255)], axis=-1)
    if count != wanted:
        kinds = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}
        raise UsageError(
            f"{where}: the picture is {kinds[count]}, and the input takes {text.plural(wanted, 'channel')}"
        )
    return picture
