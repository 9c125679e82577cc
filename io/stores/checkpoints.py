"""Named arrays in one file, written whole or not at all. Of the checkpoints of long work the last two are kept."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from shockmesh.io.stores.places import Place, replace

CHECKPOINTS = "checkpoints"
KEPT = 2


class ArraysError(ValueError):
    """A file of arrays that is damaged. The message names it."""


def write_arrays(path: Place, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays durably; the file appears in one step, in place of an older one. Equal arrays make equal files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, values in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:  # of no date
                np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
    replace(path, content.getvalue())


def read_arrays(path: Place) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Raises:
        ArraysError: the file is cut short or changed.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            return dict(found)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, struct.error) as error:
        raise ArraysError(f"{path}: cut short or changed") from error


def discard_damaged(folder: Place) -> list[str]:
    """Remove a folder's files that are cut short or changed, so that their work is done again; one line for each."""
    found = damaged(folder)
    for file in found:
        file.unlink()
    return [*found.values()]


def damaged(folder: Place) -> dict[Place, str]:
    """A folder's files that are cut short or changed, each with what is wrong."""
    found = dict[Place, str]()
    for number in numbered(folder):
        try:
            read_arrays(folder / f"{number}.npz")
        except ArraysError as error:
            found[folder / f"{number}.npz"] = str(error)
    return found


def write_checkpoint(run: Place, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays of a step so that they survive a crash, then delete all but the last two steps."""
    write_arrays(_at(run, step), arrays)
    for old in numbered(run / CHECKPOINTS)[:-KEPT]:
        _at(run, old).unlink(missing_ok=True)


def last_checkpoint(run: Place) -> dict[str, np.ndarray] | None:
    """The arrays of the last step that has a checkpoint."""
    steps = numbered(run / CHECKPOINTS)
    return read_arrays(_at(run, steps[-1])) if steps else None


def numbered(folder: Place) -> list[int]:
    """The numbers of a folder's files, ascending."""
    return sorted(int(path.stem) for path in folder.glob("[0-9]*.npz"))


def _at(run: Place, step: int) -> Place:
    return run / CHECKPOINTS / f"{step}.npz"
