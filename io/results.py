"""The result store of a run: a folder with RUN.json, a journal, and results.zarr in write-once shards.

    run/RUN.json              the manifest: spec as resolved, seed, versions, input hashes; written last at creation
    run/journal/<block>.json  one marker per committed block of members; written last of the block
    run/journal/packed.json   copies of all markers, made once the workers have ended
    run/results.zarr          output(member, time, region, sector) …, output_baseline(region, sector), drawn parameters
    run/log/…                 what happened during the run (`runlog`); nothing depends on it

A block is the members that one task simulates together. It is exactly one shard of every variable, so two tasks never
touch the same file. Readers see the members of committed blocks only. With the engine `icechunk` the same arrays are in
a repository, run/results.icechunk, whose snapshots take the place of the journal (`engines`).
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import numpy as np
import xarray as xr
import zarr
from shockmesh.io.stores import journal, seals
from shockmesh.io.stores.disks import naming
from shockmesh.io.stores.engines import COMPLETE, FAILED, PENDING, Commit, Engine, ZarrEngine
from shockmesh.io.stores.icechunk_engine import IcechunkEngine
from shockmesh.io.stores.journal import MANIFEST
from shockmesh.io.stores.places import Place, place, sizes
from shockmesh.io.stores.schemas import mismatch
from shockmesh.io.stores.template import SCHEMA, STATUS, Template, create_variable, fill, write_baseline

ENGINES: dict[str, Callable[[Place], Engine]] = {"zarr": ZarrEngine, "icechunk": IcechunkEngine}


class ResultsError(ValueError):
    """A run folder that cannot be made, written or read. The message names the path and the rule."""


def create_run(path: str | Place, manifest: dict[str, Any], template: Template, engine: str = "zarr") -> None:
    """Lay out an empty run. RUN.json is written last: a folder without it is not a run.

    Args:
        engine: what keeps the store, see `engines`.

    Raises:
        ResultsError: the folder exists and is not empty.
    """
    run = place(path)
    _refuse_used(run)
    ENGINES[engine](run).lay_out(lambda store: fill(store, manifest, template))
    _publish_manifest(run, {**manifest, "engine": engine})


def create_folder(path: str | Place, manifest: dict[str, Any]) -> None:
    """Make a run without a store of members, such as a calibration: the folder, and RUN.json in it.

    Raises:
        ResultsError: the folder exists and is not empty.
    """
    run = place(path)
    _refuse_used(run)
    if isinstance(run, Path):
        run.mkdir(parents=True, exist_ok=True)
    _publish_manifest(run, manifest)


def _refuse_used(path: Place) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        again = "; what is there ended before it began: delete it and run again" if _is_unborn(path) else ""
        raise ResultsError(f"{path}: exists already; a run is written once, to a new folder{again}")


def _publish_manifest(path: Place, manifest: dict[str, Any]) -> None:
    if not journal.publish(path / MANIFEST, {"shockmesh_schema": SCHEMA, **manifest}):
        raise ResultsError(f"{path}: another process made a run here meanwhile")


def write_block(path: str | Place, block: int, arrays: Mapping[str, np.ndarray], note: dict[str, Any]) -> Any:
    """Write all members of a block as whole shards. Commit it, or return what `committing` needs to commit it.

    Returns False if the block was committed already.

    Args:
        arrays: variable → values (member of the block, time, …); every variable of the store, nothing else.
        note: what the marker says beside the checksums, such as failed members.

    Raises:
        ResultsError: the arrays are not exactly this block of this store.
    """
    run = place(path)
    engine = engine_of(run)
    with zarr.config.set({"array.write_empty_chunks": True}):  # or Zarr would compare each chunk with the fill value
        group = zarr.open_group(engine.writes, mode="r+")
        names = cast(str, group.attrs["recorded"]).split()
        if set(arrays) != set(names):
            raise ResultsError(f"{path}: block {block}: variables {sorted(arrays)}, the store has {names}")
        stored = {name: cast(zarr.Array, group[name]) for name in names}
    lo, hi = _block_range(run, stored, cast(int, group.attrs["block"]), block)
    for name, array in stored.items():
        want = (hi - lo, *array.shape[1:])
        if arrays[name].shape != want or arrays[name].dtype != array.dtype:
            got = f"{arrays[name].shape} {arrays[name].dtype}"
            raise ResultsError(f"{path}: block {block}: {name} is {got}, expected {want} {array.dtype}")
    if block in engine.committed():
        return False
    with naming(engine.tree):
        for name, array in stored.items():
            try:
                array[lo:hi] = arrays[name]
            except ValueError:  # Zarr reads a short block's shard before it writes it; a power cut has torn this one
                engine.discard(block, name)
                array[lo:hi] = arrays[name]
        return engine.seal(block, list(stored), {**note, "members": [lo, hi]})


def committing(path: str | Place) -> AbstractContextManager[Commit]:
    """Where the one process that coordinates a run's writers commits the blocks that they hand back.

    Raises:
        EngineError: the run's engine admits one such process, and there is another.
    """
    return engine_of(place(path)).committing()


def committed(path: str | Place) -> set[int]:
    """The blocks that are committed and whose files are there; none where there is no run yet."""
    run = place(path)
    return _there(engine_of(run)) if (run / MANIFEST).is_file() else set()


def lost(path: str | Place) -> list[str]:
    """Which files of committed blocks are missing or cut, by presence and size; `verify` looks at the contents."""
    return [problem for problems in engine_of(place(path)).lost().values() for problem in problems]


def _there(engine: Engine) -> set[int]:
    return engine.committed() - engine.lost().keys()


def mend(path: str | Place, template: Callable[[], Template]) -> list[str]:
    """Take back the commits of blocks whose files are missing or cut, so that they are done again.

    Only the coordinator calls this, before its workers begin.

    Args:
        template: makes the run's template; called only where files are missing, as a variable's folder may be gone.

    Returns:
        What was missing or cut, one line for each file.
    """
    engine = engine_of(place(path))
    found = engine.lost()
    if found:
        _lay_out_again(engine, template())
    for block in found:
        engine.take_back(block)
    return [problem for problems in found.values() for problem in problems]


def _lay_out_again(engine: Engine, template: Template) -> None:
    """Make the variables anew whose whole folder is gone; their blocks are done again."""
    group = zarr.open_group(engine.writes, mode="r+", use_consolidated=False)
    for variable in template.variables:
        if variable.name not in group:
            create_variable(group, variable, template)
        if f"{variable.name}_baseline" not in group:
            write_baseline(group, variable)


def failed_members(path: str | Place) -> list[int]:
    """Committed members with numbers that are not finite."""
    return engine_of(place(path)).failed()


def notes(path: str | Place) -> list[dict[str, Any]]:
    """What writers noted of the committed blocks."""
    return engine_of(place(path)).notes()


def engine_of(run: Place) -> Engine:
    """The engine that keeps a run's store.

    Raises:
        ResultsError: no run there, or its engine is not known.
    """
    name = read_manifest(run).get("engine", "zarr")
    if name not in ENGINES:
        raise ResultsError(f"{run / MANIFEST}: engine: {name!r}; there are {', '.join(ENGINES)}")
    return ENGINES[name](run)


def read_manifest(path: str | Place) -> dict[str, Any]:
    """What RUN.json says.

    Raises:
        ResultsError: no run there, or of another schema.
    """
    file = place(path) / MANIFEST
    if not file.is_file():
        again = "; it ended before it began: delete the folder and run again" if _is_unborn(place(path)) else ""
        raise ResultsError(f"{path}: no run here ({MANIFEST} is missing){again}")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultsError(f"{file}: not JSON ({error})") from error
    if wrong := mismatch(manifest if isinstance(manifest, dict) else {}, SCHEMA):
        raise ResultsError(f"{file}: {wrong}")
    return manifest


def is_calibration(path: str | Place) -> bool:
    """Whether a run keeps a posterior in place of members."""
    return dict(read_manifest(path).get("spec", {})).get("infer") is not None


def open_run(path: str | Place) -> xr.Dataset:
    """Open a run lazily, be it finished, going on or interrupted: only members that are committed and there.

    Raises:
        ResultsError: no run there, or a calibration, which keeps no members.
    """
    if is_calibration(path):
        raise ResultsError(
            f"{path}: a calibration, which keeps no members: `shockmesh report` shows its posterior, "
            "shockmesh.io.posteriors.open_posterior opens it"
        )
    return _opened(engine_of(place(path)))


def _opened(engine: Engine) -> xr.Dataset:
    ds = texts_as_objects(xr.open_zarr(engine.reads, chunks=None, consolidated=False))
    ds = ds.rename({name: path for name in ds.coords if (path := unquote(str(name))) != name})
    ids = np.arange(ds.sizes["member"])
    seen = np.isin(ids // ds.attrs["block"], list(_there(engine)))
    status = np.where(np.isin(ids, engine.failed()), FAILED, np.where(seen, COMPLETE, PENDING)).astype(np.int8)
    ds["status"] = ("member", status, STATUS)
    return ds if seen.all() else ds.isel(member=seen)


def recordings(ds: xr.Dataset) -> list[str]:
    """The names of what an open run recorded, each of which has its `<name>_baseline`."""
    return [str(name) for name in ds.data_vars if f"{name}_baseline" in ds]


def drawn_by_member(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """What an open run says that each member drew: dotted path → value of each, not yet read."""
    return {str(name): of for name, of in ds.coords.items() if of.dims == ("member",) and "." in str(name)}


def texts_as_objects(ds: xr.Dataset) -> xr.Dataset:
    """Turn texts into Python strings; netCDF, pandas and Excel do not know the type that a store gives them."""
    return ds.assign({str(name): of.astype(object) for name, of in ds.variables.items() if of.dtype.kind == "T"})


def verify(path: str | Place) -> list[str]:
    """What is wrong with what is committed: files that are missing, damaged, or not what was committed."""
    if is_calibration(path):
        return seals.problems(place(path))
    return engine_of(place(path)).problems()


def finalise(path: str | Place) -> None:
    """Make the store ready for readers that know only Zarr: write each member's status; clean up once all are there.

    Only the coordinator calls this, once its workers have ended.
    """
    engine = engine_of(place(path))
    with _opened(engine) as ds:
        status, members = ds.status.values, ds.member.values
    flags = np.full(cast(zarr.Array, zarr.open_group(engine.reads, mode="r")["member"]).shape, PENDING, np.int8)
    flags[members] = status
    with naming(engine.tree):
        engine.finish(flags)


def disk_bytes(path: str | Place) -> int:
    """Size of a run's store on disk, as far as it is written; workers may still be writing."""
    return sum(sizes(engine_of(place(path)).tree).values())


def _is_unborn(path: Place) -> bool:
    """Whether a folder was left by a process that died while it laid out a run."""
    left = (path / journal.JOURNAL).is_dir() or any(make(path).tree.is_dir() for make in ENGINES.values())
    return left and not (path / MANIFEST).exists()


def _block_range(path: Place, stored: Mapping[str, zarr.Array], length: int, block: int) -> tuple[int, int]:
    """The members of a block of this length; every shard must be exactly one block long."""
    for name, array in stored.items():
        if array.shards is None or array.shards[:2] != (length, array.shape[1]):
            raise ResultsError(f"{path}: {name}: shards {array.shards} are not blocks of {length} members")
    members = min(array.shape[0] for array in stored.values())
    if not 0 <= block * length < members:
        raise ResultsError(f"{path}: block {block}: the store has blocks 0 … {math.ceil(members / length) - 1}")
    return block * length, min((block + 1) * length, members)
