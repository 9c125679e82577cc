"""How the store of a run is kept. Every engine presents a Zarr store; engines differ in how they commit a block.

`ZarrEngine` keeps plain files; whoever writes a block commits it, by a marker in a journal.
`shockmesh.io.stores.icechunk_engine` keeps snapshots, made by the one process that `committing` lets in.
"""

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import zarr
import zarr.errors
from shockmesh.io.stores import journal
from shockmesh.io.stores.places import (
    PARTIAL,
    Place,
    discard_partial,
    flush_file,
    name_below,
    sizes,
    stamp,
    whole,
    zarr_store,
)

PENDING, COMPLETE, FAILED = 0, 1, 2  # of members

type Commit = Callable[[Mapping[int, dict[str, Any]]], None]
"""Told again and again of all blocks that were written, with their notes, as `write_block` gave them back."""


class EngineError(ValueError):
    """A store that cannot be made, read or committed to by its engine. The message names it and the reason."""


class Engine(Protocol):
    """The store of one run, in the state that it has when it is first read."""

    @property
    def tree(self) -> Place:
        """Where the store is."""
        ...

    def lay_out(self, fill: Callable[[Any], None]) -> None:
        """Make the store and let `fill` fill it; it appears whole or not at all."""
        ...

    @cached_property
    def reads(self) -> Any:
        """The Zarr store to read from."""
        ...

    @cached_property
    def writes(self) -> Any:
        """The Zarr store to write one block to."""
        ...

    def discard(self, block: int, variable: str) -> None:
        """Remove what an interrupted writer left of a block that is not committed."""
        ...

    def seal(self, block: int, variables: list[str], note: dict[str, Any]) -> Any:
        """Commit a written block, or return what the committer needs. False if another attempt was faster."""
        ...

    def committing(self) -> AbstractContextManager[Commit]:
        """Commit what writers hand back; the rest is committed at the end."""
        ...

    def committed(self) -> set[int]:
        """The blocks that are committed."""
        ...

    def failed(self) -> list[int]:
        """The committed members with numbers that are not finite."""
        ...

    def notes(self) -> list[dict[str, Any]]:
        """What writers noted of the blocks that are committed."""
        ...

    def lost(self) -> dict[int, list[str]]:
        """The committed blocks with a file that is missing or of another size, and what is wrong with each."""
        ...

    def take_back(self, block: int) -> None:
        """Withdraw the commit of a lost block, so that it is done again."""
        ...

    def problems(self) -> list[str]:
        """What is wrong with the committed blocks; every bit is read."""
        ...

    def finish(self, status: np.ndarray) -> None:
        """Once no writer is left: write each member's status, and make the store ready for other readers."""
        ...


class ZarrEngine:
    """Plain files: shards, flushed to disk, and a marker for each block, published last."""

    def __init__(self, run: Place) -> None:
        self._run, self.tree = run, run / "results.zarr"

    def lay_out(self, fill: Callable[[Any], None]) -> None:
        if isinstance(self._run, Path):
            (self._run / journal.JOURNAL).mkdir(parents=True, exist_ok=True)
        with whole(self.tree) as store:
            fill(str(store))

    @cached_property
    def reads(self) -> Any:
        return zarr_store(self.tree, read_only=True)

    @cached_property
    def writes(self) -> Any:
        return zarr_store(self.tree)

    def discard(self, block: int, variable: str) -> None:
        for file in self._files(variable, block):
            file.unlink(missing_ok=True)

    def seal(self, block: int, variables: list[str], note: dict[str, Any]) -> bool:
        files = [file for name in variables for file in self._files(name, block)]
        for file in files:
            flush_file(file)
        shards = {name_below(self._run, file): stamp(file) for file in files}
        return journal.publish(journal.marker_path(self._run, block), {"block": block, "shards": shards, **note})

    @contextmanager
    def committing(self) -> Generator[Commit]:
        yield lambda notes: None  # the writers have done it

    def committed(self) -> set[int]:
        return journal.committed(self._run)

    def failed(self) -> list[int]:
        return sorted(member for note in self.notes() for member in note.get("failed", []))

    def notes(self) -> list[dict[str, Any]]:
        return [marker for _, marker in self._markers]

    @cached_property
    def _markers(self) -> list[journal.Stamped]:
        return journal.stamped(self._run)

    def lost(self) -> dict[int, list[str]]:
        shards = _shards(self.notes())  # first: what is committed later is not looked for
        there = {f"{self.tree.name}/{name}": bytes_ for name, bytes_ in sizes(self.tree).items()}
        found = dict[int, list[str]]()
        for block, name, (bytes_, _) in shards:
            wrong = _wrong_size(there.get(name), bytes_)
            if wrong:
                found.setdefault(block, []).append(f"{self._run / name}: {wrong}, though block {block} is committed")
        return found

    def take_back(self, block: int) -> None:
        journal.marker_path(self._run, block).unlink(missing_ok=True)

    def problems(self) -> list[str]:
        lost, shards = self.lost(), _shards(journal.read_markers(self._run, self.committed()))
        changed = [
            f"{self._run / name}: contents changed since block {block} was committed"
            for block, name, said in shards
            if block not in lost and stamp(self._run / name) != said
        ]
        return [problem for problems in lost.values() for problem in problems] + changed

    def finish(self, status: np.ndarray) -> None:
        write_status(self.writes, status)
        with warnings.catch_warnings():
            unspecified = "Consolidated metadata is currently not part"
            warnings.filterwarnings("ignore", unspecified, zarr.errors.ZarrUserWarning)
            zarr.consolidate_metadata(self.writes)
        journal.pack(self._run, self._markers)
        if PENDING not in status:
            discard_partial(self._run)

    def _files(self, name: str, block: int) -> list[Place]:
        found = sorted((self.tree / name / "c" / str(block)).rglob("*"))
        return [file for file in found if file.is_file() and file.suffix != PARTIAL]


def _shards(markers: list[dict[str, Any]]) -> list[tuple[int, str, list[Any]]]:
    """Block, file and stamp of every shard that was committed."""
    return [(marker["block"], name, said) for marker in markers for name, said in marker["shards"].items()]


def _wrong_size(has: int | None, committed: int) -> str:
    if has is None:
        return "missing"
    return "" if has == committed else f"{has:,} bytes of {committed:,}"


def write_status(store: Any, status: np.ndarray) -> None:
    """Write the status of every member. Only a coordinator does."""
    cast(zarr.Array, zarr.open_group(store, mode="r+")["status"])[:] = status
