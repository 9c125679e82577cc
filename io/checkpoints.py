"""Named arrays in one file, written whole or not at all: checkpoints of long work, of which the last two are kept."""

import io
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from shockmesh.io.journal import flush_folder

CHECKPOINTS = "checkpoints"
KEPT = 2


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays durably; the file appears at once, in place of an older one."""
    path.parent.mkdir(exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **dict[str, np.ndarray](arrays))  # pyright: ignore[reportArgumentType]
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with partial.open("xb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    flush_folder(path.parent)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file."""
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def write_checkpoint(run: Path, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Make the arrays of a step survive a crash, then forget all but the last two steps."""
    write_arrays(_at(run, step), arrays)
    for old in numbered(run / CHECKPOINTS)[:-KEPT]:
        _at(run, old).unlink(missing_ok=True)


def last_checkpoint(run: Path) -> dict[str, np.ndarray] | None:
    """The arrays of the last step that has a checkpoint."""
    steps = numbered(run / CHECKPOINTS)
    return read_arrays(_at(run, steps[-1])) if steps else None


def numbered(folder: Path) -> list[int]:
    """The numbers of a folder's files, ascending."""
    return sorted(int(path.stem) for path in folder.glob("[0-9]*.npz"))


def _at(run: Path, step: int) -> Path:
    return run / CHECKPOINTS / f"{step}.npz"
