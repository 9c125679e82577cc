"""Input–output tables: one Zarr store a table, written region by region, read lazily.

    Z(region_from, sector_from, region_to, sector_to)   what industries sell to industries
    Y(region_from, sector_from, region_to, category)    what they sell to final demand
    value_added(region, sector)                         output less the inputs of an industry
    output(region, sector)

Rows sell, columns buy. Values are in `units` (million USD / year …). Regions and sectors are sorted, so that an
industry's number is region · n_sectors + sector. A table of several years has a leading `year` on every variable.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float
from shockmesh.io.stores.codecs import NUMBERS, TEXT
from shockmesh.io.stores.damage import check_claim, reading
from shockmesh.io.stores.places import ROOT, Place, place, whole, zarr_store
from shockmesh.io.stores.schemas import KEY, mismatch

SCHEMA = "table/1"
INDUSTRY = ("region", "sector")
DIMS = {
    "Z": ("region_from", "sector_from", "region_to", "sector_to"),
    "Y": ("region_from", "sector_from", "region_to", "category"),
    "value_added": INDUSTRY,
    "output": INDUSTRY,
}


class TableError(ValueError):
    """A table that cannot be read or written. The message names the file, the field and the rule."""


@dataclass(frozen=True)
class Rows:
    """What the industries of one region sell, in the source's own order of labels."""

    region: str
    flows: Float[np.ndarray, "sector region_to sector_to"]  # Z
    final: Float[np.ndarray, "sector region_to category"]  # Y
    output: Float[np.ndarray, " sector"] | None = None  # left out: what the region sells in all


@dataclass(frozen=True)
class Header:
    """What is known of a table before its rows are read."""

    regions: Sequence[str]
    sectors: Sequence[str]
    categories: Sequence[str]
    unit: str
    title: str
    source: str
    licence: str
    references: str
    years: tuple[int, ...]
    notes: dict[str, Any] = field(default_factory=dict)  # further attributes, such as the names of the sectors
    remarks: tuple[str, ...] = ()  # what was left out or changed when it was read, as sentences


type Reader = Callable[[int], Iterable[Rows | str]]
"""The rows of a year, one region at a time. A text among them is a remark, which the store keeps."""

type Tell = Callable[[str, float], None]
"""Told how far a long work is: what is done now, and the part that is done already."""


def untold(doing: str, part: float) -> None:
    """Tells nobody."""


def write_table(path: str | Place, header: Header, read: Reader, tell: Tell = untold) -> Place:
    """Write a table to a new store, holding the rows of one region at a time; nothing is left behind if it fails.

    Raises:
        TableError: the path exists, labels repeat, a region is missing or repeated, or a value is not finite.
    """
    path = place(path)
    if path.exists():
        raise TableError(f"{path}: exists already; a table is written once, to a new path")
    _check_labels(header)
    with whole(path) as partial:
        group = _create(partial, header)
        remarks = list(header.remarks)
        for position, year in enumerate(header.years):
            remarks += _fill(group, header, _told(header, read(year), position, tell), position, year)
        group.attrs["remarks"] = remarks
    return path


def _told(header: Header, rows: Iterable[Rows | str], position: int, tell: Tell) -> Iterator[Rows | str]:
    """The same rows, each told of."""
    regions, years = len(header.regions), len(header.years)
    for done, of in enumerate(rows):
        yield of
        part = min((done + 1) / regions, 1)
        tell(f"{header.years[position]}: region {part * regions:.0f} of {regions}", (position + part) / years)


def open_table(path: str | Place, year: int | None = None) -> xr.Dataset:
    """Open a table lazily; of a table of several years, one year.

    Raises:
        TableError: no table there, another schema, or a year that it does not have.
        DamagedStoreError: files of it are missing.
    """
    if not (place(path) / ROOT).is_file():
        raise TableError(f"{path}: no table there")
    with reading(path):
        _check_arrays(place(path))
        table = xr.open_zarr(zarr_store(place(path), read_only=True), chunks=None, consolidated=False)
    years = [int(one) for one in np.atleast_1d(table.attrs["year"])]
    if year is not None and year not in years:
        raise TableError(f"{path}: year: {year}: the table has {_span(years)}")
    if "year" not in table.dims or year is None:
        return table
    return table.isel(year=years.index(year)).assign_attrs(year=year)


def _check_arrays(path: Place) -> None:
    """Before anything is read: every variable and label is there, with as many files as it claims."""
    group = zarr.open_group(zarr_store(path, read_only=True), mode="r")
    if wrong := mismatch(dict(group.attrs), SCHEMA):
        network = str(group.attrs.get(KEY)).startswith("network/")
        raise TableError(f"{path}: {'is a network of firms, not a table' if network else wrong}")
    arrays = dict(group.arrays())
    if missing := sorted({*DIMS, *chain(*DIMS.values())} - arrays.keys()):
        raise TableError(f"{path}: {', '.join(missing)}: missing; make the store again")
    for array in arrays.values():
        check_claim(path, array)


def one_year(table: xr.Dataset) -> xr.Dataset:
    """The table itself, if it is of one year.

    Raises:
        TableError: it has several, so that one must be chosen.
    """
    if "year" in table.dims:
        raise TableError(f"year: none given; the table has {_span([int(year) for year in table['year']])}")
    return table


def _span(years: Sequence[int]) -> str:
    return f"{years[0]} … {years[-1]}" if len(years) > 1 else str(years[0])


def _check_labels(header: Header) -> None:
    for name in ("regions", "sectors", "categories", "years"):
        labels = list(getattr(header, name))
        repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
        if repeated or not labels:
            raise TableError(
                f"{header.source}: {name}: {', '.join(repeated) or 'none'}: labels must be there, each once"
            )


def _create(path: Path, header: Header) -> zarr.Group:
    regions, sectors, categories = len(header.regions), len(header.sectors), len(header.categories)
    attrs: dict[str, Any] = {
        **header.notes, "remarks": [], "Conventions": "CF-1.12", "shockmesh_schema": SCHEMA,
        "title": header.title, "source": header.source, "license": header.licence, "references": header.references,
        "units": header.unit,
        "row_role": "supplier", "column_role": "buyer",
        "year": header.years[0] if len(header.years) == 1 else list(header.years),
    }  # fmt: skip
    group = zarr.create_group(str(path), attributes=attrs)
    shapes = {
        "Z": (
            (regions, sectors, regions, sectors),
            (1, sectors, regions, sectors),
            "what industries sell to industries",
        ),
        "Y": ((regions, sectors, regions, categories), (1, sectors, regions, categories), "sales to final demand"),
        "value_added": ((regions, sectors), (regions, sectors), "output less inputs from industries"),
        "output": ((regions, sectors), (regions, sectors), "gross output"),
    }
    lead = () if len(header.years) == 1 else (len(header.years),)
    for name, (shape, chunks, long_name) in shapes.items():
        group.create_array(
            name, shape=(*lead, *shape), chunks=(*(1 for _ in lead), *chunks), dtype="f8", fill_value=np.nan,
            dimension_names=(*("year" for _ in lead), *DIMS[name]), compressors=NUMBERS,
            attributes={"units": header.unit, "long_name": long_name},
        )  # fmt: skip
    for name, labels in {"region": sorted(header.regions), "sector": sorted(header.sectors)}.items():
        for dim in (name, f"{name}_from", f"{name}_to"):
            _labels(group, dim, labels)
    _labels(group, "category", header.categories)
    if lead:
        group.create_array("year", shape=lead, dtype="i8", dimension_names=("year",))[:] = np.asarray(header.years)
    return group


def _labels(group: zarr.Group, name: str, labels: Sequence[str]) -> None:
    array = group.create_array(name, shape=(len(labels),), dtype=str, dimension_names=(name,), compressors=TEXT)
    array[:] = np.asarray(list(labels), dtype=object)


def _fill(group: zarr.Group, header: Header, rows: Iterable[Rows | str], position: int, year: int) -> list[str]:
    """Write one year, region by region, sorted; value added follows from the column sums. Returns the remarks."""
    remarks = list[str]()
    by_region, by_sector = _sorting(header.regions), _sorting(header.sectors)
    place = {header.regions[old]: new for new, old in enumerate(by_region)}
    at = (position,) if len(header.years) > 1 else ()
    sizes = (len(header.regions), len(header.sectors))
    inputs, output = np.zeros(sizes), np.full(sizes, np.nan)
    for of in rows:
        if isinstance(of, str):
            remarks.append(of)
            continue
        if of.region not in place or not np.isnan(output[place[of.region], 0]):
            raise TableError(f"{header.title}, {year}: region {of.region}: unknown, or there twice")
        _check_finite(header, of, year)
        flows = of.flows[by_sector][:, by_region][:, :, by_sector]
        final = of.final[by_sector][:, by_region]
        new = place[of.region]
        group["Z"][(*at, new)], group["Y"][(*at, new)] = flows, final  # pyright: ignore
        inputs += flows.sum(0)
        sold = flows.sum((1, 2)) + final.sum((1, 2))
        output[new] = sold if of.output is None else of.output[by_sector]
    missing = [region for region, new in place.items() if np.isnan(output[new]).any()]
    if missing:
        raise TableError(f"{header.title}, {year}: no rows for {', '.join(missing[:5])}")
    everything = at or (...,)
    group["output"][everything], group["value_added"][everything] = output, output - inputs  # pyright: ignore
    return remarks


def _sorting(labels: Sequence[str]) -> list[int]:
    return sorted(range(len(labels)), key=lambda i: labels[i])


def _check_finite(header: Header, rows: Rows, year: int) -> None:
    for name, values in (("Z", rows.flows), ("Y", rows.final), ("output", rows.output)):
        if values is not None and not np.isfinite(values).all():
            at = np.argwhere(~np.isfinite(values))[0]
            value = values[tuple(at)]
            supplier = f"{rows.region} {header.sectors[at[0]]}"
            raise TableError(f"{header.title}, {year}: {name} of supplier {supplier}: {value}: must be finite")
