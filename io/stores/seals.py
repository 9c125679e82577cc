"""The seal of a calibration: `journal/posterior.json`, size and CRC-32 of every file once the posterior is there.

It is written just before the posterior takes its name. Until then the arrays are read, which hold sums of their own.
"""

import json
import zlib
from pathlib import Path
from typing import Any

from shockmesh.io.stores.checkpoints import CHECKPOINTS, damaged, numbered
from shockmesh.io.stores.disks import PARTIAL
from shockmesh.io.stores.journal import JOURNAL, MANIFEST, JournalError
from shockmesh.io.stores.places import ROOT, Place, checksum, name_below, replace

MEMBERS, POSTERIOR, SEAL = "members", "posterior.zarr", "posterior.json"


def seal(run: Place, tree: Path) -> None:
    """Note the files of a calibration, and those of the tree that will be its posterior."""
    inside = {
        f"{POSTERIOR}/{file.relative_to(tree)}": checksum(file) for file in sorted(tree.rglob("*")) if file.is_file()
    }
    beside = {name_below(run, file): checksum(file) for file in [run / MANIFEST, *_arrays(run)]}
    files = beside | inside
    replace(run / JOURNAL / SEAL, json.dumps({"files": files, "crc32": _crc(files)}, indent=1).encode())


def problems(run: Place) -> list[str]:
    """Which files of a calibration are missing or damaged: every byte is read.

    Raises:
        JournalError: the seal itself is damaged.
    """
    there = (run / POSTERIOR / ROOT).is_file()
    if not (run / JOURNAL / SEAL).is_file():
        unsealed = [f"{run / JOURNAL / SEAL}: missing, so that nobody knows the check sums of {POSTERIOR}"]
        return _damaged(run) + (unsealed if there else [])
    if not there and _being_written(run):
        return _damaged(run)
    files, gone = _sealed(run), list[str]()
    if not (run / POSTERIOR).exists():
        gone = [f"{run / POSTERIOR}: missing"]
        files = {name: said for name, said in files.items() if not name.startswith(f"{POSTERIOR}/")}
    return gone + [found for name, said in files.items() if (found := _wrong(run / name, said))]


def _arrays(run: Place) -> list[Place]:
    return [run / folder / f"{number}.npz" for folder in (MEMBERS, CHECKPOINTS) for number in numbered(run / folder)]


def _crc(files: dict[str, Any]) -> int:
    """Of the seal itself."""
    return zlib.crc32(json.dumps(files).encode())


def _damaged(run: Place) -> list[str]:
    return [told for folder in (MEMBERS, CHECKPOINTS) for told in damaged(run / folder).values()]


def _being_written(run: Place) -> bool:
    """Whether a posterior is about to take its name, or was when its process died."""
    return any(True for _ in run.glob(f".{POSTERIOR}.*{PARTIAL}"))


def _sealed(run: Place) -> dict[str, Any]:
    path = run / JOURNAL / SEAL
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["crc32"] == _crc(said["files"]):
            return said["files"]
    except (ValueError, KeyError, TypeError):
        pass
    raise JournalError(f"{path}: not as it was written")


def _wrong(file: Place, said: Any) -> str:
    try:
        has = checksum(file)
    except FileNotFoundError:
        return f"{file}: missing"
    return "" if has == said else f"{file}: contents changed since the posterior was written"
