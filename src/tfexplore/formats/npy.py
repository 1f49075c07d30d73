"""NumPy's .npy and .npz files: arrays of numbers and strings, never pickles.

Layout: numpy.lib.format. A header's shape is compared with the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfexplore.errors import CorruptError, NotAModelError, NotFoundError, RefusedFileError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 128 << 20
_MAGIC = b"\x93NUMPY"
_MAX_LISTED = 12
_MAX_HEADER = 1 << 16
# Found, not evaluated: what numpy and other writers put there is a Python dict in one line.
_DESCR = re.compile(r"'descr'\s*:\s*'([^'\\]{1,40})'")
_RECORDS = re.compile(r"'descr'\s*:\s*[\[(]")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([0-9L, ]{0,800})\)")
_DIGITS = re.compile(r"[0-9]{1,20}")


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
    header, start = _header(data, path)
    descr, order, sizes = (pattern.search(header) for pattern in (_DESCR, _ORDER, _SHAPE))
    if _RECORDS.search(header):
        raise UnsupportedError("an .npy file of records with several fields", path=path)
    if descr is None or order is None or sizes is None:
        raise CorruptError("the header of the .npy file lacks descr, fortran_order or shape", path=path, offset=10)
    shape = tuple(map(int, _DIGITS.findall(sizes[1])))
    try:
        dtype = np.dtype(descr[1])
    except (TypeError, ValueError) as error:
        raise CorruptError(
            f"the .npy file names the dtype {descr[1]!r}, which numpy does not know", path=path
        ) from error
    if dtype.hasobject:
        raise _pickle(path)
    if dtype.names is not None or dtype.subdtype is not None:
        raise UnsupportedError("an .npy file of records with several fields", path=path)
    if dtype.kind not in "biufcSUV":  # dates, and kinds whose elements are pointers
        raise UnsupportedError(f"an .npy file of {dtype}", path=path, hint="save numbers or strings")
    if len(shape) > 32:
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
    shaped: np.ndarray = found.reshape(shape, order="F" if order[1] == "True" else "C")
    return shaped


def _header(data: bytes, path: str) -> tuple[str, int]:
    """The text of the header, a Python dict, and where the values begin."""
    major = data[6] if len(data) > 6 else 0
    if major not in (1, 2, 3):
        raise UnsupportedError(f"an .npy file of version {major}", path=path)
    begin = 10 if major == 1 else 12
    length = int.from_bytes(data[8:begin], "little")
    if length > min(len(data) - begin, _MAX_HEADER):
        raise CorruptError(f"the .npy file claims a header of {length:,} bytes", path=path, offset=8)
    return data[begin : begin + length].decode("latin-1"), begin + length


def read_npz(data: bytes, name: str | None, *, path: str) -> np.ndarray:
    """One array of an .npz file; without a name the only one.

    Raises:
        NotFoundError: there is no array of that name, or there are several and none was named.
        and as `read_npy`.
    """
    with _archive(data, path) as archive:
        names = _names(archive)
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in names:
            listed = ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
            what = "which array is not said" if name is None else f"there is no array {name!r}"
            raise NotFoundError(f"{what}; there is: {listed}", path=path, hint="name one with FILE.npz:NAME")
        member = archive.infolist()[names.index(name)]
        with archive.open(member) as file:
            inner = file.read(MAX_BYTES + 1)
    if len(inner) > MAX_BYTES:
        raise UnsupportedError(f"the array {name!r} has over {MAX_BYTES:,} bytes", path=path)
    return read_npy(inner, path=f"{path}:{name}")


def names_in(data: bytes, *, path: str) -> list[str]:
    """The names of the arrays of an .npz file, in its order.

    Raises:
        CorruptError: it is no readable zip archive.
    """
    with _archive(data, path) as archive:
        return _names(archive)


@contextlib.contextmanager
def _archive(data: bytes, path: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, IndexError,
    ) as error:  # fmt: skip
        raise CorruptError("the .npz file is no readable zip archive", path=path) from error


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [found.removesuffix(".npy") for found in archive.namelist()]


def _pickle(path: str) -> RefusedFileError:
    return RefusedFileError(
        "the file holds Python objects (a pickle), which could run any code",
        path=path,
        hint="save the array as numbers or strings, without dtype=object",
    )
