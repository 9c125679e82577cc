"""The journal of a run: one marker per block, published last, durably and exclusively.

A block is committed when its marker exists, and only then. Of several attempts at one block exactly one publishes it.
"""

import json
from typing import Any

from shockmesh.io.stores.places import Place, create

MANIFEST, JOURNAL = "RUN.json", "journal"
WRITTEN = ("block", "shards", "members")  # of a marker, whatever its writer notes


class JournalError(ValueError):
    """A marker that is damaged. The message names its path."""


def publish(path: Place, content: dict[str, Any]) -> bool:
    """Write a JSON file durably under a new name; False if the name is taken already."""
    return create(path, json.dumps(content, indent=1).encode())


def marker_path(run: Place, block: int) -> Place:
    return run / JOURNAL / f"{block}.json"


def committed(run: Place) -> set[int]:
    """The blocks with a marker."""
    return {int(path.stem) for path in (run / JOURNAL).glob("[0-9]*.json")}


def read_marker(run: Place, block: int) -> dict[str, Any]:
    """What was published of a block. Raises JournalError if it is not what `publish` writes."""
    path = marker_path(run, block)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JournalError(f"{path}: not JSON ({error}); delete it to have the block done again") from error
    missing = [key for key in WRITTEN if key not in said] if isinstance(said, dict) else WRITTEN
    if missing:
        raise JournalError(f"{path}: {', '.join(missing)}: missing; delete it to have the block done again")
    return said
