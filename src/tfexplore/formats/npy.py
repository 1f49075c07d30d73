"""NumPy's .npy and .npz files: arrays of numbers and strings, never pickles.

Layout: numpy.lib.format. A header's shape is compared with the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from tfexplore.errors import CorruptError, NotAModelError, NotFoundError, RefusedFileError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 128 << 20
_MAGIC = b"\x93NUMPY"
_MAX_LISTED = 12


def read_npy(data: bytes, *, path: str) -> np.ndarray:
    """The array of an .npy file.

    Args:
        data: the whole file.
        path: where it came from, for errors.

    Raises:
        NotAModelError: it is no .npy file.
        RefusedFileError: it holds Python objects: a pickle, which could run any code.
        CorruptError: its header is damaged or does not fit its length.
        UnsupportedError: an array of records.
    """
    import numpy as np

    if not data.startswith(_MAGIC):
        if data.startswith(b"\x80"):
            raise _pickle(path)
        raise NotAModelError("this is no .npy file: it does not begin with \\x93NUMPY", path=path)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise UnsupportedError(f"an .npy file of version {version[0]}.{version[1]}", path=path)
        read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (
        ValueError,
        TypeError,
        SyntaxError,
        KeyError,
        AttributeError,
        EOFError,
        MemoryError,
        RecursionError,
    ) as error:
        raise CorruptError("the header of the .npy file is damaged", path=path, offset=len(_MAGIC)) from error
    if dtype.hasobject:
        raise _pickle(path)
    if dtype.names is not None or dtype.subdtype is not None:
        raise UnsupportedError("an .npy file of records with several fields", path=path)
    start = stream.tell()
    if any(size < 0 for size in shape) or len(shape) > 64:
        raise CorruptError("the .npy file claims a shape that no array has", path=path, offset=start)
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != len(data) - start or math.prod(filter(None, shape)) >= 1 << 59:
        raise CorruptError(
            f"the .npy file claims {wanted:,} bytes of values where {len(data) - start:,} are left",
            path=path,
            offset=start,
        )
    if not dtype.itemsize:
        return np.zeros(shape, dtype)
    found: np.ndarray = np.frombuffer(data, dtype, offset=start)
    shaped: np.ndarray = found.reshape(shape, order="F" if fortran else "C")
    return shaped


def read_npz(data: bytes, name: str | None, *, path: str) -> np.ndarray:
    """One array of an .npz file; without a name the only one.

    Raises:
        NotFoundError: there is no array of that name, or there are several and none was named.
        and as `read_npy`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [found.removesuffix(".npy") for found in archive.namelist()]
            if name is None and len(names) == 1:
                name = names[0]
            if name is None or name not in names:
                listed = ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
                what = "which array is not said" if name is None else f"there is no array {name!r}"
                raise NotFoundError(f"{what}; there is: {listed}", path=path, hint="name one with FILE.npz:NAME")
            member = archive.infolist()[names.index(name)]
            with archive.open(member) as file:
                inner = file.read(MAX_BYTES + 1)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, IndexError,
    ) as error:  # fmt: skip
        raise CorruptError("the .npz file is no readable zip archive", path=path) from error
    if len(inner) > MAX_BYTES:
        raise UnsupportedError(f"the array {name!r} has over {MAX_BYTES:,} bytes", path=path)
    return read_npy(inner, path=f"{path}:{name}")


def _pickle(path: str) -> RefusedFileError:
    return RefusedFileError(
        "the file holds Python objects (a pickle), which could run any code",
        path=path,
        hint="save the array as numbers or strings, without dtype=object",
    )
