"""The result store of a run: a folder with RUN.json, a journal, and results.zarr in write-once shards.

    run/RUN.json              the manifest: spec as resolved, seed, versions, input hashes; written last at creation
    run/journal/<block>.json  one marker per committed block of members; written last of the block
    run/results.zarr          output(member, time, region, sector) …, output_baseline(region, sector), drawn parameters
    run/log/…                 what happened while it was made (`runlog`); nothing depends on it

A block is the members that one task simulates together, and exactly one shard of every variable: two tasks never touch
the same file. Readers see the members of committed blocks only.
"""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
import zarr.errors
from shockmesh.io import journal
from shockmesh.io.places import PARTIAL, Place, flush_file, name_below, place, stamp, tree_size, whole, zarr_store
from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec, ZstdCodec

SCHEMA = "run/1"
MANIFEST, STORE = "RUN.json", "results.zarr"
FIRM_CHUNK = 8192
PENDING, COMPLETE, FAILED = 0, 1, 2
PROVENANCE = ("created", "seed", "versions", "git_commit", "inputs", "fingerprint")  # of RUN.json, kept in attrs too
NUMBERS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())
TEXT = (ZstdCodec(level=1), Crc32cCodec())


class ResultsError(ValueError):
    """A run folder that cannot be made, written or read. The message names the path and the rule."""


@dataclass(frozen=True)
class Variable:
    """A recorded quantity, stored with dims (member, time, *dims)."""

    name: str
    dims: tuple[str, ...]  # ("region", "sector"), ("region",), ("sector",), ("firm",) or ()
    unit: str
    long_name: str
    baseline: np.ndarray  # value of an undisturbed day, dims as above

    def sizes(self) -> tuple[int, ...]:
        return self.baseline.shape


@dataclass(frozen=True)
class Template:
    """Everything about a store that is known before the first member is simulated."""

    members: int
    block: int  # members per block: the length of a shard along member
    days: int
    variables: tuple[Variable, ...]
    coords: dict[str, np.ndarray]  # labels of region, sector, firm
    member_coords: dict[str, np.ndarray]  # drawn parameters, one value per member
    attrs: dict[str, Any]

    @property
    def blocks(self) -> int:
        return math.ceil(self.members / self.block)


def create_run(path: str | Place, manifest: dict[str, Any], template: Template) -> None:
    """Lay out an empty run. RUN.json is written last: a folder without it is not a run.

    Raises:
        ResultsError: the folder exists and is not empty.
    """
    run = place(path)
    _refuse_used(run)
    if isinstance(run, Path):
        (run / journal.JOURNAL).mkdir(parents=True, exist_ok=True)
    with whole(run / STORE) as store:
        _lay_out(store, manifest, template)
    _publish_manifest(run, manifest)


def _lay_out(store: Path, manifest: dict[str, Any], template: Template) -> None:
    """A store without members."""
    provenance = {key: manifest[key] for key in PROVENANCE if key in manifest}
    own: dict[str, Any] = {"Conventions": "CF-1.12", "shockmesh_schema": SCHEMA, "block": template.block}
    coordinates = {"coordinates": " ".join(template.member_coords)} if template.member_coords else {}
    attrs: dict[str, Any] = {**template.attrs, **provenance, **coordinates, **own}
    group = zarr.create_group(str(store), attributes=attrs)
    for variable in template.variables:
        _create_variable(group, variable, template)
    member_ids, days = np.arange(template.members), np.arange(template.days)
    _write_whole(group, "member", ("member",), member_ids, {"long_name": "member of the sweep"})
    _write_whole(group, "time", ("time",), days, {"long_name": "day of the run", "axis": "T"})
    _write_whole(group, "status", ("member",), np.full(template.members, PENDING, np.int8), _STATUS)
    for name, labels in template.coords.items():
        _write_whole(group, name, (name,), labels, {"long_name": name})
    for name, values in template.member_coords.items():
        _write_whole(group, name, ("member",), values, {"long_name": f"{name} of each member"})


def create_folder(path: str | Place, manifest: dict[str, Any]) -> None:
    """A run without a store of members, such as a calibration: the folder, and RUN.json in it.

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


_STATUS = {"flag_values": [PENDING, COMPLETE, FAILED], "flag_meanings": "pending complete failed"}


def write_block(path: str | Place, block: int, arrays: Mapping[str, np.ndarray], note: dict[str, Any]) -> bool:
    """Write all members of a block as whole shards, then publish its marker; False if it was committed already.

    Args:
        arrays: variable → values (member of the block, time, …); every variable of the store, nothing else.
        note: what the marker says beside the checksums, such as failed members.

    Raises:
        ResultsError: the arrays are not exactly this block of this store.
    """
    run = place(path)
    group = zarr.open_group(zarr_store(run / STORE), mode="r+")
    stored = recorded_arrays(group)
    if set(arrays) != set(stored):
        raise ResultsError(f"{path}: block {block}: variables {sorted(arrays)}, the store has {sorted(stored)}")
    lo, hi = _block_range(run, group, block)
    for name, array in stored.items():
        want = (hi - lo, *array.shape[1:])
        if arrays[name].shape != want or arrays[name].dtype != array.dtype:
            got = f"{arrays[name].shape} {arrays[name].dtype}"
            raise ResultsError(f"{path}: block {block}: {name} is {got}, expected {want} {array.dtype}")
    if block in journal.committed(run):
        return False
    for name, array in stored.items():
        array[lo:hi] = arrays[name]
    files = _block_files(run, list(stored), block)
    for file in files:
        flush_file(file)
    shards = {name_below(run, file): stamp(file) for file in files}
    return journal.publish(
        journal.marker_path(run, block), {"block": block, "shards": shards, **note, "members": [lo, hi]}
    )


def committed(path: str | Place) -> set[int]:
    """The blocks that are committed."""
    return journal.committed(place(path))


def failed_members(path: str | Place) -> list[int]:
    """Committed members whose numbers failed, as their blocks' markers say."""
    run = place(path)
    return sorted(m for block in journal.committed(run) for m in journal.read_marker(run, block).get("failed", []))


def read_manifest(path: str | Place) -> dict[str, Any]:
    """RUN.json.

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
    if not isinstance(manifest, dict) or manifest.get("shockmesh_schema") != SCHEMA:
        raise ResultsError(f"{file}: shockmesh_schema: expected {SCHEMA!r}")
    return manifest


def open_run(path: str | Place) -> xr.Dataset:
    """Open a run lazily, whether it is finished, going on or interrupted: committed members only.

    Raises:
        ResultsError: no run there.
    """
    run = place(path)
    read_manifest(run)
    ds = xr.open_zarr(zarr_store(run / STORE, read_only=True), chunks=None, consolidated=False)
    done, block = journal.committed(run), ds.attrs["block"]
    ids = np.arange(ds.sizes["member"])
    seen = np.isin(ids // block, list(done))
    status = np.where(np.isin(ids, failed_members(run)), FAILED, np.where(seen, COMPLETE, PENDING)).astype(np.int8)
    ds["status"] = ("member", status, _STATUS)
    return ds if seen.all() else ds.isel(member=seen)


def verify(path: str | Place) -> list[str]:
    """What is wrong with the committed blocks: shards that are missing or are not what their markers say."""
    run, problems = place(path), []
    for block in sorted(journal.committed(run)):
        for name, said in journal.read_marker(run, block)["shards"].items():
            file = run / name
            if not file.is_file():
                problems.append(f"{file}: missing, though block {block} is committed")
            elif stamp(file) != said:
                problems.append(f"{file}: contents changed since block {block} was committed")
    return problems


def finalise(path: str | Place) -> None:
    """Write the status of every member and consolidate the metadata; once all are there, remove what died half-written.

    Only the coordinator calls this, once its workers have ended.
    """
    with open_run(path) as ds:
        status, members = ds.status.values, ds.member.values
    run = place(path)
    group = zarr.open_group(zarr_store(run / STORE), mode="r+")
    array = cast(zarr.Array, group["status"])
    flags = np.full(array.shape, PENDING, np.int8)
    flags[members] = status
    array[:] = flags
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(zarr_store(run / STORE))
    if PENDING not in flags:
        for litter in run.rglob(f"*{PARTIAL}"):
            litter.unlink(missing_ok=True)


def disk_bytes(path: str | Place) -> int:
    """Size of a run's store on disk, as far as it is written; workers may go on meanwhile."""
    return tree_size(place(path) / STORE)


def _is_unborn(path: Place) -> bool:
    """Whether a folder was left by a process that died while it laid out a run."""
    left = (path / journal.JOURNAL).is_dir() or (path / STORE).is_dir()
    return left and not (path / MANIFEST).exists()


def recorded_arrays(group: zarr.Group) -> dict[str, zarr.Array]:
    """The variables that members fill."""
    return {
        name: array
        for name, array in sorted(group.arrays(), key=lambda named: named[0])
        if _dims(array)[:2] == ("member", "time")
    }


def _dims(array: zarr.Array) -> tuple[str | None, ...]:
    return tuple(getattr(array.metadata, "dimension_names", None) or ())


def _block_range(path: Place, group: zarr.Group, block: int) -> tuple[int, int]:
    """The members of a block; every shard must be exactly one block long."""
    members, length = cast(zarr.Array, group["member"]).shape[0], cast(int, group.attrs["block"])
    for name, array in recorded_arrays(group).items():
        if array.shards is None or array.shards[0] != length or array.shards[1] != array.shape[1]:
            raise ResultsError(f"{path}: {name}: shards {array.shards} are not blocks of {length} members")
    if not 0 <= block * length < members:
        raise ResultsError(f"{path}: block {block}: the store has blocks 0 … {math.ceil(members / length) - 1}")
    return block * length, min((block + 1) * length, members)


def _block_files(path: Place, names: list[str], block: int) -> list[Place]:
    return [
        file
        for name in names
        for file in sorted((path / STORE / name / "c" / str(block)).rglob("*"))
        if file.is_file() and file.suffix != PARTIAL
    ]


def _create_variable(group: zarr.Group, variable: Variable, template: Template) -> None:
    dims, sizes = ("member", "time", *variable.dims), variable.sizes()
    inner = tuple(min(size, FIRM_CHUNK) for size in sizes)
    whole = tuple(math.ceil(size / chunk) * chunk for size, chunk in zip(sizes, inner, strict=True))
    rank = len(dims)
    attrs: dict[str, Any] = {"units": variable.unit, "long_name": variable.long_name}
    group.create_array(
        variable.name,
        shape=(template.members, template.days, *sizes),
        dtype=variable.baseline.dtype,
        chunks=(1, template.days, *inner),
        shards=(template.block, template.days, *whole),
        filters=[TransposeCodec(order=(0, *range(2, rank), 1))] if rank > 2 else [],
        compressors=NUMBERS,
        fill_value=np.nan,
        dimension_names=dims,
        attributes=attrs,
        config={"write_empty_chunks": True},
    )
    attrs = attrs | {"long_name": f"{variable.long_name}, undisturbed day"}
    _write_whole(group, f"{variable.name}_baseline", variable.dims, variable.baseline, attrs)


def _write_whole(
    group: zarr.Group, name: str, dims: tuple[str, ...], values: np.ndarray, attrs: Mapping[str, Any]
) -> None:
    text = values.dtype.kind in "UO"
    array = group.create_array(
        name, shape=values.shape, dtype=str if text else values.dtype, dimension_names=dims, attributes=dict(attrs),
        chunks=tuple(max(1, size) for size in values.shape), compressors=TEXT if text else NUMBERS,
    )  # fmt: skip
    array[...] = values
