"""Icechunk as the engine of a run: a repository whose snapshots take the place of the journal. For object stores.

A writer writes its block to a fork of a session and hands the fork back; nobody sees its chunks yet. One process, the
driver of the run, merges the forks, sets the status of their members, and commits both as one snapshot. So a
block and its status appear together, or never. A writer that dies, or lives on though it was taken for dead, leaves
chunks that nothing refers to.

* A block is one chunk reference of every variable, and manifests are cut along `member`: a commit rewrites few of them.
* A commit holds `BLOCKS` blocks, or those that came within `SECONDS`.
* On a file system two commits may spoil each other, so a lock admits one process. On an object store a commit that
  comes second is made again, without the blocks that the first one committed.
* Only garbage older than a week is collected: a younger chunk may belong to a block that is being written.
"""

import fcntl
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import zarr
from shockmesh.io.stores.clients import PAUSES, broke_off
from shockmesh.io.stores.damage import DamagedStoreError, reading
from shockmesh.io.stores.engines import COMPLETE, FAILED, PENDING, Commit, EngineError, write_status
from shockmesh.io.stores.places import PatientStore, Place, Remote

BLOCKS, SECONDS = 20, 30.0
SHARDS_PER_MANIFEST = 64
GARBAGE_AGE = timedelta(days=7)
BRANCH = "main"
LOCK = "committer.lock"


class IcechunkEngine:
    """A repository; an `Engine`."""

    def __init__(self, run: Place) -> None:
        self._run, self.tree = run, run / "results.icechunk"

    def lay_out(self, fill: Callable[[Any], None]) -> None:
        made_by = {"made_by": uuid4().hex}  # a commit whose answer was lost is known as one's own

        def make() -> None:
            repository = _icechunk().Repository.open_or_create(_storage(self.tree), config=_configuration())
            newest, *older = repository.ancestry(branch=BRANCH)
            if not older:
                session = repository.writable_session(BRANCH)
                fill(session.store)
                session.commit("laid out", metadata=made_by)
            elif newest.metadata != made_by:
                raise EngineError(f"{self.tree}: another process made a store here meanwhile")

        self._ask(make)

    @cached_property
    def reads(self) -> Any:
        return PatientStore(self._session.store)

    @cached_property
    def writes(self) -> Any:
        return PatientStore(self._fork.store)

    def discard(self, block: int, variable: str) -> None:
        """Do nothing: what a writer leaves is in no snapshot."""

    def seal(self, block: int, variables: list[str], note: dict[str, Any]) -> Any:
        return self._fork

    @contextmanager
    def committing(self) -> Generator[Commit]:
        with _alone(self._run) if isinstance(self._run, Path) else nullcontext():
            committer = _Committer(self)
            try:
                yield committer.hear
            finally:
                committer.commit()

    def commit(self, blocks: Mapping[int, dict[str, Any]]) -> None:
        """Make a snapshot of what writers handed back, except blocks that are committed already."""
        self._ask(lambda: self._commit(blocks))

    def _commit(self, blocks: Mapping[int, dict[str, Any]]) -> None:
        session = self._repository.writable_session(BRANCH)
        status = _status(session.store)
        new = {block: note for block, note in blocks.items() if status[note["members"][0]] == PENDING}
        if not new:
            return
        for note in new.values():
            lo, hi = note["members"]
            status[lo:hi] = np.where(np.isin(np.arange(lo, hi), note["failed"]), FAILED, COMPLETE)
        session.merge(*(note["draft"] for note in new.values()))
        write_status(session.store, status)
        told = {str(block): {name: of for name, of in note.items() if name != "draft"} for block, note in new.items()}
        session.commit(f"{len(new)} blocks", metadata={"blocks": told})

    def committed(self) -> set[int]:
        length = cast(int, self._group.attrs["block"])
        return {int(member) // length for member in np.flatnonzero(self._ask(lambda: _status(self.reads)) != PENDING)}

    def failed(self) -> list[int]:
        return np.flatnonzero(self._ask(lambda: _status(self.reads)) == FAILED).tolist()

    def notes(self) -> list[dict[str, Any]]:
        snapshots = self._ask(lambda: [*self._repository.ancestry(snapshot_id=self._session.snapshot_id)])
        return [note for snapshot in snapshots for note in snapshot.metadata.get("blocks", {}).values()]

    def lost(self) -> dict[int, list[str]]:
        """None: the repository keeps chunks by their contents; `problems` reads them all."""
        return {}

    def take_back(self, block: int) -> None:
        """Do nothing: no block is lost."""

    def problems(self) -> list[str]:
        length, found = cast(int, self._group.attrs["block"]), list[str]()
        arrays = [(name, array) for name, array in self._group.arrays() if array.shards is not None]
        for block in sorted(self.committed()):
            for name, array in arrays:
                try:
                    with reading(f"{self.tree}: {name} of block {block}"):
                        _ = array[block * length : (block + 1) * length]
                except DamagedStoreError as error:
                    found.append(str(error))
        return found

    def finish(self, status: np.ndarray) -> None:
        if PENDING not in status:
            with suppress(EngineError):  # garbage harms nobody, and the next one to finish collects it
                self._ask(lambda: self._repository.garbage_collect(datetime.now(UTC) - GARBAGE_AGE))

    @cached_property
    def _repository(self) -> Any:
        return self._ask(lambda: _icechunk().Repository.open(_storage(self.tree)))

    @cached_property
    def _session(self) -> Any:
        return self._ask(lambda: self._repository.readonly_session(BRANCH))

    @cached_property
    def _group(self) -> zarr.Group:
        return self._ask(lambda: zarr.open_group(self.reads, mode="r"))

    @cached_property
    def _fork(self) -> Any:
        return self._ask(lambda: self._repository.writable_session(BRANCH).fork())

    def _ask[T](self, what: Callable[[], T]) -> T:
        """Ask again where an answer broke off or another committer was faster; say in one line what else failed."""
        ice = _icechunk()
        for pause in (*PAUSES, None):
            try:
                return what()
            except ice.IcechunkError as error:
                if pause is None or not (broke_off(error) or isinstance(error, ice.ConflictError)):
                    raise EngineError(f"{self.tree}: {str(error).partition(chr(10))[0]}") from error
                time.sleep(pause)
        raise AssertionError


class _Committer:
    """Keeps what was handed back until there is enough for a snapshot."""

    def __init__(self, engine: IcechunkEngine) -> None:
        self._engine, self._heard, self._since = engine, set[int](), time.monotonic()
        self._waiting = dict[int, dict[str, Any]]()

    def hear(self, notes: Mapping[int, dict[str, Any]]) -> None:
        new = {block: note for block, note in notes.items() if block not in self._heard}
        if not self._waiting:
            self._since = time.monotonic()
        self._heard |= new.keys()
        self._waiting |= {block: note for block, note in new.items() if note["draft"]}
        if len(self._waiting) >= BLOCKS or time.monotonic() - self._since >= SECONDS:
            self.commit()

    def commit(self) -> None:
        self._engine.commit(self._waiting)
        self._waiting = {}


@contextmanager
def _alone(run: Path) -> Generator[None]:
    """Be the one process that commits to a run on a file system; the lock ends with the process."""
    with (run / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(f"{run}: another process commits to this run; wait for its end") from error
        yield


def _status(store: Any) -> np.ndarray:
    return np.asarray(cast(zarr.Array, zarr.open_group(store, mode="r")["status"])[:])


@cache
def _icechunk() -> Any:
    try:
        import icechunk
    except ImportError as error:
        raise EngineError("engine: icechunk is not installed; pip install 'shockmesh[icechunk]'") from error
    icechunk.set_logs_filter("error")
    return icechunk


def _configuration() -> Any:
    ice, made = _icechunk(), _icechunk().RepositoryConfig.default()
    by_member = {ice.ManifestSplitDimCondition.DimensionName("member"): SHARDS_PER_MANIFEST}
    splitting = ice.ManifestSplittingConfig.from_dict({ice.ManifestSplitCondition.AnyArray(): by_member})
    made.manifest = ice.ManifestConfig(splitting=splitting)
    return made


def _storage(at: Place) -> Any:
    """Where a repository is; credentials and endpoint come from the environment of each process."""
    if not isinstance(at, Remote):
        return _icechunk().local_filesystem_storage(str(at))
    scheme, _, bucket = at.bucket.partition("://")
    if scheme == "gs":
        return _icechunk().gcs_storage(bucket=bucket, prefix=at.key, from_env=True)
    if scheme == "az":
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
        return _icechunk().azure_storage(account=account, container=bucket, prefix=at.key, from_env=True)
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return _icechunk().s3_storage(
        bucket=bucket, prefix=at.key, from_env=True, region=os.environ.get("AWS_REGION"), endpoint_url=endpoint,
        force_path_style=endpoint is not None, allow_http=(endpoint or "").startswith("http://"),
    )  # fmt: skip
