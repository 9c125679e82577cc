"""The journal of a run: one marker per block, published last, durably and exclusively.

A block is committed when its marker exists, and only then. Of several attempts at one block exactly one publishes it.
Once the workers have ended, the coordinator packs copies of all markers into one file, with what the file system or the
object store says of each: a reader then asks for one file in place of thousands, and reads anew what has changed since.
"""

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shockmesh.io.stores.places import Place, create, replace, stamps

MANIFEST, JOURNAL = "RUN.json", "journal"
PACKED = "packed.json"
READERS = 32  # markers asked for at once: each is a journey to an object store
WRITTEN = ("block", "shards", "members")  # of a marker, whatever its writer notes

type Stamped = tuple[Any, dict[str, Any]]


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


def stamped(run: Place) -> list[Stamped]:
    """What was published of every committed block, in their order, each after what would reveal a change of its file.

    Raises:
        JournalError: a marker is damaged.
    """
    files = {name.removesuffix(".json"): stamp for name, stamp in stamps(run / JOURNAL).items()}
    there = {int(block): stamp for block, stamp in files.items() if block.isdecimal()}
    packed = _packed(run)
    new = [block for block in there if block not in packed or packed[block][0] != there[block]]
    read = dict(zip(new, read_markers(run, new), strict=True))
    return [(there[block], read[block] if block in read else packed[block][1]) for block in sorted(there)]


def pack(run: Place, markers: list[Stamped]) -> None:
    """Put copies of markers into one file, as `stamped` found them."""
    replace(run / JOURNAL / PACKED, json.dumps(markers).encode())


def read_markers(run: Place, blocks: Collection[int]) -> list[dict[str, Any]]:
    """The markers themselves. Raises JournalError where one is damaged."""
    with ThreadPoolExecutor(min(READERS, max(len(blocks), 1))) as readers:
        return [*readers.map(lambda block: read_marker(run, block), blocks)]


def _packed(run: Place) -> dict[int, Stamped]:
    """The packed copies by block; none where their file is missing or damaged, for the markers say the same."""
    try:
        copies = json.loads((run / JOURNAL / PACKED).read_bytes())
        return {said["block"]: (stamp, said) for stamp, said in copies}
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return {}


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
