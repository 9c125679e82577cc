"""What is in a store (a table, a network, a run, a calibration), told as names and values, and what its checks find."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shockmesh.io.results import MANIFEST, is_calibration, read_manifest
from shockmesh.io.stores.damage import reading
from shockmesh.io.stores.places import Place, place
from shockmesh.io.stores.schemas import schema_of

if TYPE_CHECKING:
    from shockmesh.io.inputs.names import Named
    from shockmesh.io.tables.checks import Finding

DIFFERENCES = {
    "z_dropped_cells": "cells of the table without a link",
    "z_dropped_value": "their part of all flows",
    "z_kept": "largest difference of a kept cell",
    "z": "difference of all flows to the table",
    "output": "difference of output",
    "value_added": "difference of value added",
    "final_demand": "difference of final demand",
}
TABLE_COUNTS = {"regions": "region", "sectors": "sector", "categories of final demand": "category", "years": "year"}
CITED = ("title", "source", "license", "references", "unit", "units", "year")


class DescribeError(ValueError):
    """A path that holds nothing of ours. The message names the path."""


@dataclass(frozen=True)
class Description:
    """A store as a person reads it."""

    kind: str  # table, network, run or calibration
    facts: dict[str, Any]  # name → value
    findings: tuple[str, ...] = ()  # what the checks found
    numbers: dict[str, Any] = field(default_factory=dict[str, Any])  # for programs, in place of facts that are words


def describe_store(path: str | Place) -> Description:
    """Describe a store.

    Raises:
        DescribeError: neither a table nor a network nor a run.
        ResultsError: a calibration that has not ended.
    """
    path = place(path)
    readers = {"run": _run, "calibration": _calibration, "network": _network, "table": _table}
    kind = _kind(path)
    if kind in readers:
        with reading(path):
            return readers[kind](path)
    raise DescribeError(f"{path}: no table, network or run of shockmesh is there")


def size_of(path: str | Place) -> dict[str, Any]:
    """How many of each there are in a table or a network, and their `unit`.

    Raises:
        TableError, NetworkStoreError: what is there cannot be opened.
    """
    path = place(path)
    if _kind(path) == "table":
        from shockmesh.io.tables.store import open_table

        with open_table(path) as table:
            counts = {name: table.sizes.get(dim, 1) for name, dim in TABLE_COUNTS.items()}
            return counts | {"unit": table.attrs["units"]}
    from shockmesh.io.networks.store import read_network

    network = read_network(path)
    counts = {"firms": network.n_firms, "links": network.n_links}
    counts |= {"candidates": len(network.candidates)} if len(network.candidates) else {}
    return counts | {"regions": len(network.regions), "sectors": len(network.sectors), "unit": network.unit}


def codes_of(path: str | Place) -> dict[str, dict[str, Any]]:
    """The regions and sectors of a table, a network or a run: code → name and groups, empty where they are not known.

    Raises:
        DescribeError: none of them is there.
    """
    from shockmesh.io.inputs.names import groups_of, named

    regions, sectors, own = _labels(place(path))
    known = {"region": named("region", regions), "sector": named("sector", sectors, own)}
    return {
        "region": {code: _called(known["region"].get(code), groups_of("region")) for code in regions},
        "sector": {code: _called(known["sector"].get(code), groups_of("sector")) for code in sectors},
    }


def _called(of: "Named | None", groups: "Mapping[str, Named]") -> dict[str, Any]:
    """The name of a code, and the groups that it belongs to."""
    if of is None:
        return {"name": "", "groups": []}
    return {
        "name": of.name,
        "groups": [name for name, group in groups.items() if of.covers and of.covers <= group.covers],
    }


def _labels(path: Place) -> tuple[list[str], list[str], dict[str, str]]:
    """The regions and sectors of a store, and the names of sectors that a table brought itself."""
    from shockmesh.io.networks.store import open_network
    from shockmesh.io.results import open_run
    from shockmesh.io.tables.store import open_table

    readers = {"run": open_run, "network": open_network, "table": open_table}
    kind = _kind(path)
    if kind not in readers:
        raise DescribeError(f"{path}: no table, network or run of shockmesh is there")
    with reading(path), readers[kind](path) as ds:
        regions, sectors = (
            [str(one) for one in ds[name].values] if name in ds.variables else [] for name in ("region", "sector")
        )
        return regions, sectors, dict(ds.attrs.get("sector_names", {}))


def _kind(path: Place) -> str | None:
    """What the path holds, as it says itself: in its RUN.json, or by its `shockmesh_schema`, table/1 or network/1."""
    if (path / MANIFEST).is_file():
        return "calibration" if is_calibration(path) else "run"
    for file in (path / "zarr.json", path / "network" / "zarr.json"):
        if schema := schema_of(file):
            return schema.partition("/")[0]
    return None


def _table(path: Place) -> Description:
    from shockmesh.io.tables.checks import check_table
    from shockmesh.io.tables.store import open_table

    table = open_table(path)
    facts = {str(dim): size for dim, size in table.sizes.items()} | _cited(table.attrs)
    return Description("table", facts, tuple(told(found) for found in check_table(table)))


def told(finding: "Finding") -> str:
    """A finding as one line."""
    return f"{finding.severity}: {finding.check}: {finding.message}"


def _network(path: Place) -> Description:
    from shockmesh.io.networks.facts import describe_network

    network = describe_network(path)
    sizes = {name: network[name] for name in ("firms", "links", "regions", "sectors", "unit")}
    facts = sizes | {str(found["quantity"]): _statistic(found) for found in network["statistics"]}
    facts |= _cleaned(network["cleaning"]) | differences(network["aggregate_error"])
    numbers = sizes | {name: network[name] for name in ("statistics", "aggregate_error", "repairs", "cleaning")}
    return Description("network", facts, (*_repaired(network["repairs"]), *network["findings"]), numbers)


def differences(errors: Mapping[str, float]) -> dict[str, str]:
    """How far a generated network is from its table, in words."""
    return {DIFFERENCES.get(name, name): f"{value:.3g}" for name, value in errors.items()}


def _repaired(repairs: Sequence[dict[str, Any]]) -> list[str]:
    from shockmesh.io.networks.repairs import told

    return [f"repaired: {told(repair)}" for repair in repairs]


def _cleaned(cleaning: Mapping[str, Any]) -> dict[str, str]:
    """How a user's list was read, and what was left of it."""
    if not cleaning:
        return {}
    read, kept = cleaning["amount_read"], cleaning["amount_kept"]
    share = f"; links carry {100 * kept / read:.4g} % of their amounts" if read else ""
    rows = {"rows read": f"{cleaning['rows']:,}{share}"}
    return rows | {f"read {name}": _reading(told) for name, told in cleaning["read"].items()}


def _reading(told: Mapping[str, Any]) -> str:
    """How a file was read, in words."""
    columns = ", ".join(f"{mine} = {theirs}" for mine, theirs in told.get("columns", {}).items() if mine != theirs)
    trimmed = {f"blanks trimmed in {name}": count for name, count in told.get("blanks trimmed", {}).items()}
    plain = {name: of for name, of in told.items() if name not in ("columns", "blanks trimmed", "rows")}
    return "; ".join([*(f"{name} {of}" for name, of in (plain | trimmed).items()), *([columns] if columns else [])])


def describe_cleaning(path: str | Place) -> list[str]:
    """How a user's list was read, and what was repaired in it, as lines."""
    from shockmesh.io.networks.store import open_network

    with reading(path), open_network(path) as network:
        attrs = dict(network.attrs)
    facts = _cleaned(attrs["cleaning"])
    return [*(f"{name}: {fact}" for name, fact in facts.items()), *_repaired(attrs["repairs"])]


def _statistic(found: Mapping[str, Any]) -> str:
    return str(found["text"]) if math.isfinite(found["value"]) else "too few firms to tell"


def _run(path: Place) -> Description:
    from shockmesh.io.reports.headline import headline, headline_text
    from shockmesh.io.results import open_run, verify

    with open_run(path) as run:
        facts = {str(dim): size for dim, size in run.sizes.items()} | _cited(run.attrs)
        numbers = headline(run, read_manifest(path).get("spec", {}))
    lines = {f"result {i}": line for i, line in enumerate(headline_text(numbers), 1)}
    return Description("run", facts | lines, tuple(verify(path)), facts | numbers)


def _calibration(path: Place) -> Description:
    from shockmesh.io.posteriors import open_posterior

    with open_posterior(path) as tree:
        found, table = tree["posterior"].to_dataset(), tree["scores"].to_dataset()
        errors = {
            f"error of {name}, {part.replace('_', ' ')} [%]": 100 * float(table[f"{name}_{part}"].sel(score="rmse"))
            for name in tree["observed_data"].data_vars
            for part in ("fitted", "held_out")
        }
        shares = {name: float(table.attrs[f"moved {name}"]) for name in map(str, found)}
    facts = {"firms": found.sizes["firm"], "draws": found.sizes["draw"], "inferred": ", ".join(map(str, found))}
    shown = {name: f"{error:.3g}" for name, error in errors.items() if math.isfinite(error)}
    moved = tuple(f"{name}: the data moved it for {100 * share:.0f} % of the firms" for name, share in shares.items())
    return Description("calibration", facts | shown, moved, facts | errors)


def _cited(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: attrs[name] for name in CITED if attrs.get(name)}
