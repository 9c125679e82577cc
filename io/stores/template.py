"""The layout of a run's store, and its arrays before the first member is there."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import zarr
from shockmesh.io.stores.codecs import QUICK, TEXT
from shockmesh.io.stores.engines import COMPLETE, FAILED, PENDING
from zarr.codecs import TransposeCodec

SCHEMA = "run/1"
FIRM_CHUNK = 8192
CHUNK_BYTES = 4_000_000
PROVENANCE = ("created", "seed", "versions", "git_commit", "inputs", "fingerprint")  # of RUN.json, kept in attrs too
STATUS = {"flag_values": [PENDING, COMPLETE, FAILED], "flag_meanings": "pending complete failed"}


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
    firm_coords: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])  # one value per firm
    start: date | None = None  # of day 0

    @property
    def blocks(self) -> int:
        return math.ceil(self.members / self.block)


def fill(store: Any, manifest: dict[str, Any], template: Template) -> None:
    """Fill a store with all but its members."""
    provenance = plain_attrs({key: manifest[key] for key in PROVENANCE if key in manifest})
    names = sorted(variable.name for variable in template.variables)
    own: dict[str, Any] = {
        "Conventions": "CF-1.12", "shockmesh_schema": SCHEMA, "block": template.block, "recorded": " ".join(names)
    }  # fmt: skip
    along = {
        "member": {array_name(path): of for path, of in template.member_coords.items()},
        "firm": template.firm_coords,
    }
    names_along = [name for coords in along.values() for name in coords]
    coordinates = {"coordinates": " ".join(names_along)} if names_along else {}
    attrs: dict[str, Any] = {**template.attrs, **provenance, **coordinates, **own}
    group = zarr.create_group(store, attributes=attrs)
    for variable in template.variables:
        create_variable(group, variable, template)
        write_baseline(group, variable)
    member_ids, days = np.arange(template.members), np.arange(template.days)
    _write_whole(group, "member", ("member",), member_ids, {"long_name": "member of the sweep"})
    _write_whole(group, "time", ("time",), days, time_attrs(template.start))
    _write_whole(group, "status", ("member",), np.full(template.members, PENDING, np.int8), STATUS)
    for name, labels in template.coords.items():
        _write_whole(group, name, (name,), labels, {"long_name": name})
    for dim, coords in along.items():
        for name, values in coords.items():
            _write_whole(group, name, (dim,), values, {"long_name": f"{unquote(name)} of each {dim}"})


def time_attrs(start: date | None) -> dict[str, str]:
    """What days are: of the run, or of a calendar, by the CF conventions, so that xarray opens them as dates."""
    if start is None:
        return {"long_name": "day of the run", "axis": "T"}
    named = {"long_name": "date", "standard_name": "time", "axis": "T"}
    return {**named, "units": f"days since {start.isoformat()}", "calendar": "proleptic_gregorian"}


def array_name(path: str) -> str:
    """The name of a swept path's array in a store, where a slash would make a folder and a blank would split the name.

    >>> array_name("shocks.flood.loss.by_sector.Wood/paper"), array_name("model.capacity")
    ('shocks.flood.loss.by_sector.Wood%2Fpaper', 'model.capacity')
    """
    return quote(path, safe="")


def plain_attrs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as netCDF and others can hold them: nested ones become JSON text, those that are None are left out."""
    told = {name: json.dumps(of) if isinstance(of, Mapping) else of for name, of in attrs.items()}
    return {name: of for name, of in told.items() if of is not None}


def create_variable(group: zarr.Group, variable: Variable, template: Template) -> None:
    dims, sizes = ("member", "time", *variable.dims), variable.sizes()
    inner = tuple(min(size, FIRM_CHUNK) for size in sizes)
    whole = tuple(math.ceil(size / chunk) * chunk for size, chunk in zip(sizes, inner, strict=True))
    rank, path_bytes = len(dims), template.days * math.prod(inner) * variable.baseline.dtype.itemsize
    attrs: dict[str, Any] = {"units": variable.unit, "long_name": variable.long_name}
    group.create_array(
        variable.name,
        shape=(template.members, template.days, *sizes),
        dtype=variable.baseline.dtype,
        chunks=(_together(template.block, path_bytes), template.days, *inner),
        shards=(template.block, template.days, *whole),
        filters=[TransposeCodec(order=(0, *range(2, rank), 1))] if rank > 2 else [],
        compressors=QUICK,
        fill_value=np.nan,
        dimension_names=dims,
        attributes=attrs,
        config={"write_empty_chunks": True},
    )


def write_baseline(group: zarr.Group, variable: Variable) -> None:
    attrs = {"units": variable.unit, "long_name": f"{variable.long_name}, undisturbed day"}
    _write_whole(group, f"{variable.name}_baseline", variable.dims, variable.baseline, attrs)


def _together(block: int, path_bytes: int) -> int:
    """How many members' paths are one chunk: as many as stay below `CHUNK_BYTES` and divide a block.

    >>> _together(32, 13_440), _together(32, 591_360), _together(32, 10_000_000)
    (32, 4, 1)
    """
    return max(n for n in range(1, block + 1) if block % n == 0 and (n == 1 or n * path_bytes <= CHUNK_BYTES))


def _write_whole(
    group: zarr.Group, name: str, dims: tuple[str, ...], values: np.ndarray, attrs: Mapping[str, Any]
) -> None:
    text = values.dtype.kind in "UO"
    array = group.create_array(
        name, shape=values.shape, dtype=str if text else values.dtype, dimension_names=dims, attributes=dict(attrs),
        chunks=tuple(max(1, size) for size in values.shape), compressors=TEXT if text else QUICK,
    )  # fmt: skip
    array[...] = values
