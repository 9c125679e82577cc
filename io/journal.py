"""The journal of a run: one marker per block, published last, durably and exclusively.

A block is committed when its marker exists, and only then. Markers are written to a temporary file, flushed, and linked
to their name, which fails if the name is taken: of several attempts at one block exactly one wins.
"""

import json
import os
import stat
import uuid
import zlib
from pathlib import Path
from typing import Any

JOURNAL = "journal"


class JournalError(ValueError):
    """A marker that is damaged. The message names its path."""


def publish(path: Path, content: dict[str, Any]) -> bool:
    """Write a JSON file durably under a new name; False if the name is taken already."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with partial.open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
        flush_folder(path.parent)
    return True


def flush_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def size(path: Path) -> int:
    """Bytes of a file; 0 of a folder, or of what vanishes meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def checksum(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    content = path.read_bytes()
    return [len(content), zlib.crc32(content)]


def marker_path(run: Path, block: int) -> Path:
    return run / JOURNAL / f"{block}.json"


def committed(run: Path) -> set[int]:
    """The blocks with a marker."""
    return {int(path.stem) for path in (run / JOURNAL).glob("[0-9]*.json")}


def read_marker(run: Path, block: int) -> dict[str, Any]:
    """What was published of a block. Raises JournalError if it is not what `publish` writes."""
    path = marker_path(run, block)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JournalError(f"{path}: not JSON ({error}); delete it to have the block done again") from error
    if not isinstance(said, dict):
        raise JournalError(f"{path}: no marker of a block; delete it to have the block done again")
    return said


def flush_tree(folder: Path) -> None:
    """Make every file and name below a folder survive a power cut."""
    for parent, _, names in os.walk(folder):
        for name in names:
            flush_file(Path(parent, name))
        flush_folder(Path(parent))
