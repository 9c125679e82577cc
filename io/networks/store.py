"""The store of a firm network: one Zarr group in compressed-sparse-row form.

`STORE/network` holds `data` (amount), `indices` (supplier) and `product` per link, `indptr` (the first link of each
buyer), and the firms' variables; and, where it is known, who buys for final use: `final_shares` (industry, region).
Rows are buyers, columns suppliers. The same bytes open in xarray (`xr.open_zarr(STORE, group="network")`) and in
anndata (`anndata.io.read_elem(zarr.open(STORE)["network"])`, a SciPy CSR matrix). A store is written beside its place
and renamed, so that it is either absent or whole. It carries the SHA-256 of its contents; that, and every rule of a
network, is checked whenever one is written or read.
Candidates are three arrays along `candidate` (supplier, buyer, product) with a SHA-256 of their own, and are not there
where a network has none. So readers that do not know of them read such a store as before.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float
from shockmesh.io.stores.codecs import NUMBERS, TEXT
from shockmesh.io.stores.damage import check_claim, reading
from shockmesh.io.stores.places import Place, place, whole, zarr_store
from shockmesh.io.stores.schemas import mismatch
from shockmesh.kernels.network import CANDIDATE_ENDS, NONE, Candidates, FirmNetwork, NetworkError, check_network

SCHEMA = "network/1"
GROUP = "network"
DIMENSIONS = {
    "data": "link", "indices": "link", "product": "link", "indptr": "firm_ptr",
    "final_demand": "firm", "output": "firm", "region_code": "firm", "sector_code": "firm", "firm": "firm",
    "region": "region", "sector": "sector",
}  # fmt: skip
CANDIDATES = tuple(f"candidate_{end}" for end in CANDIDATE_ENDS)
CANDIDATES_HASH, AGAIN = "candidates_hash", "make the store again"
DISTINCT = ("firm", "region", "sector")  # no value twice: at most one shard is all fill value, and so not written
CHUNK, CHUNKS_PER_SHARD = 2**18, 8
STRUCTURE = {
    "encoding-type": "csr_matrix",
    "encoding-version": "0.1.0",
    "row_role": "buyer",
    "column_role": "supplier",
    "Conventions": "CF-1.12",
    "shockmesh_schema": SCHEMA,
}


class NetworkStoreError(ValueError):
    """A path that cannot be written, or holds no sound firm network. The message names the path and the rule."""


def content_hash(network: FirmNetwork) -> str:
    """SHA-256 of firms, links, labels, unit and buyers for final use, in canonical order and types; no attributes, no
    candidates."""
    told = _main_hash(network)
    if network.final_shares is None:
        return told
    return hashlib.sha256((told + _hash_of(network.final_shares)).encode()).hexdigest()


def _hash_of(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<f8").data).hexdigest()


def _main_hash(network: FirmNetwork) -> str:
    """The hash without buyers for final use, which releases before them read as well."""
    digest = hashlib.sha256()
    for name, (dims, values, _) in _variables(network).items():
        digest.update(f"{name}{dims}{values.shape}{values.dtype.str}".encode())
        digest.update(_bytes(values))
    digest.update(json.dumps([network.regions, network.sectors, network.unit]).encode())
    return digest.hexdigest()


def candidates_hash(network: FirmNetwork) -> str:
    """SHA-256 of the candidates of a network."""
    digest = hashlib.sha256()
    for name, values in _candidates(network).items():
        digest.update(f"{name}{values.shape}".encode())
        digest.update(_bytes(values))
    return digest.hexdigest()


def write_network(network: FirmNetwork, path: str | Place) -> Place:
    """Write a network to a new store; nothing is left behind if it fails.

    Raises:
        NetworkStoreError: the path exists, a rule is broken, or an attribute has a reserved name or is not JSON.
    """
    path = place(path)
    broken = _broken_rule(network)
    if broken:
        raise NetworkStoreError(f"{path}: {broken}; nothing was written")
    attributes = _attributes(network, path)
    if path.exists():
        raise NetworkStoreError(f"{path}: exists already; a network store is written once, to a new path")
    with whole(path) as partial:
        _write_group(network, partial, attributes)
    return path


def read_network(path: str | Place) -> FirmNetwork:
    """Read a whole network into memory; it must keep every rule, and still match the hash it was written with.

    Raises:
        NetworkStoreError: no network there, another schema, arrays that contradict each other, changed contents.
        DamagedStoreError: files of it are missing.
    """
    path = place(path)
    group, attrs = _open_group(path)
    with reading(path):
        read = {name: np.asarray(array[:]) for name, array in _sound_arrays(path, group).items()}
    network = _assemble(path, read, attrs)
    network = replace(
        network,
        final_shares=_read_final_shares(path, group, network),
        candidates=_read_candidates(path, group, attrs),
    )
    broken = _broken_rule(network)
    if _main_hash(network) != attrs["content_hash"]:
        what = "the contents are not those that were written"
        raise NetworkStoreError(f"{path}: content_hash: {what}{f' ({broken})' if broken else ''}; make it again")
    if len(network.candidates) and candidates_hash(network) != attrs.get(CANDIDATES_HASH):
        raise NetworkStoreError(f"{path}: {CANDIDATES_HASH}: the candidates are not those that were written; {AGAIN}")
    if broken:
        raise NetworkStoreError(f"{path}: {broken}; {AGAIN}")
    return network


def _read_final_shares(
    path: Place, group: zarr.Group, network: FirmNetwork
) -> Float[np.ndarray, "industry region"] | None:
    """Who buys for final use, as it was written; None in a store that does not say, as many do not."""
    told = group.attrs.get("final_shares_hash")
    if told is None:
        return None
    array = group.get("final_shares")
    shape = len(network.regions) * len(network.sectors), len(network.regions)
    if not isinstance(array, zarr.Array) or array.shape != shape:
        raise NetworkStoreError(f"{path}: final_shares: missing, or not of shape {shape}; make the store again")
    with reading(path):
        shares = np.asarray(array[:], np.float64)
    if _hash_of(shares) != told:
        raise NetworkStoreError(f"{path}: final_shares: the contents are not those that were written; make it again")
    return shares


def open_network(path: str | Place) -> xr.Dataset:
    """Open a network lazily: dims link, firm, firm_ptr, region, sector.

    Raises:
        NetworkStoreError: no network there, or another schema.
    """
    _open_group(place(path))
    return xr.open_zarr(zarr_store(place(path), read_only=True), group=GROUP, chunks=None, consolidated=False)


def _sound_arrays(path: Place, group: zarr.Group) -> dict[str, zarr.Array]:
    """The arrays, if their lengths agree and their files are there: room is made for them only afterwards."""
    there = dict(group.arrays())
    missing = sorted(DIMENSIONS.keys() - there.keys())
    if missing:
        raise NetworkStoreError(f"{path}: {', '.join(missing)}: missing; {AGAIN}")
    arrays = {name: there[name] for name in DIMENSIONS}
    firms, links = (arrays[name].size for name in ("firm", "data"))
    lengths = {"firm": firms, "link": links, "firm_ptr": firms + 1}
    for name, array in arrays.items():
        want = lengths.get(DIMENSIONS[name], array.size)
        if array.shape != (want,):
            raise NetworkStoreError(f"{path}: {name}: shape {array.shape}, expected ({want},); {AGAIN}")
    for name in ("data", *DISTINCT):
        check_claim(path, arrays[name], spare=int(name in DISTINCT))
    return arrays


def _read_candidates(path: Place, group: zarr.Group, attrs: Mapping[str, Any]) -> Candidates:
    """The candidates of a store, none if it has none; all of their arrays are there, and alike in length."""
    there = dict(group.arrays())
    if CANDIDATES_HASH not in attrs:
        return NONE
    missing = [name for name in CANDIDATES if name not in there]
    if missing:
        raise NetworkStoreError(f"{path}: {', '.join(missing)}: missing; {AGAIN}")
    arrays = [there[name] for name in CANDIDATES]
    if {array.shape for array in arrays} != {(arrays[0].size,)}:
        raise NetworkStoreError(f"{path}: {', '.join(CANDIDATES)}: not of one length; {AGAIN}")
    check_claim(path, arrays[0], spare=0)
    with reading(path):
        return Candidates(*(np.asarray(array[:], np.int32) for array in arrays))


def _assemble(path: Place, read: Mapping[str, np.ndarray], attrs: Mapping[str, Any]) -> FirmNetwork:
    """A network of the arrays of a store, whose lengths agree; its rules are not checked yet."""
    pointers, links = read["indptr"], len(read["indices"])
    if pointers[0] != 0 or pointers[-1] != links or np.any(np.diff(pointers) < 0):
        raise NetworkStoreError(f"{path}: indptr: does not lead from 0 to {links} links; {AGAIN}")
    firm = read["firm"] if read["firm"].dtype.kind in "iu" else np.array(read["firm"].tolist(), str)
    buyer = np.repeat(np.arange(len(firm), dtype=np.int32), np.diff(pointers))
    return FirmNetwork(
        supplier=read["indices"].astype(np.int32), buyer=buyer, amount=read["data"], product=read["product"],
        final_demand=read["final_demand"], output=read["output"],
        region=read["region_code"], sector=read["sector_code"], firm=firm,
        regions=tuple(map(str, read["region"])), sectors=tuple(map(str, read["sector"])),
        unit=attrs["unit"], attrs={key: value for key, value in attrs.items() if key not in _reserved()},
    )  # fmt: skip


def _broken_rule(network: FirmNetwork) -> str:
    """The first rule that a network breaks, or nothing."""
    try:
        check_network(network)
    except NetworkError as error:
        return str(error)
    return ""


def _variables(network: FirmNetwork) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Name → (dimension, values, attributes): everything the hash covers, as it is stored."""
    unit = network.unit
    pointers = np.searchsorted(network.buyer, np.arange(network.n_firms + 1))
    index = "<i4" if network.n_links < 2**31 else "<i8"  # SciPy wants indices and indptr of one type
    ids = network.firm.astype(np.int64) if network.firm.dtype.kind in "iu" else network.firm.astype(str)
    return {
        "data": ("link", network.amount.astype("<f8"), {"units": unit, "long_name": "flow from supplier to buyer"}),
        "indices": ("link", network.supplier.astype(index), {"long_name": "supplier, position along firm"}),
        "product": ("link", network.product.astype("<i4"), {"long_name": "product code"}),
        "indptr": ("firm_ptr", pointers.astype(index), {"long_name": "first link of each buyer"}),
        "final_demand": ("firm", network.final_demand.astype("<f8"), {"units": unit, "long_name": "final demand"}),
        "output": ("firm", network.output.astype("<f8"), {"units": unit, "long_name": "baseline output"}),
        "region_code": ("firm", network.region.astype("<i4"), {"long_name": "position along region"}),
        "sector_code": ("firm", network.sector.astype("<i4"), {"long_name": "position along sector"}),
        "firm": ("firm", ids, {"long_name": "firm id"}),
    }


def _candidates(network: FirmNetwork) -> dict[str, np.ndarray]:
    """Name → array of what a store keeps of candidates."""
    return {
        name: getattr(network.candidates, end).astype("<i4")
        for name, end in zip(CANDIDATES, CANDIDATE_ENDS, strict=True)
    }


def _bytes(values: np.ndarray) -> bytes | memoryview:
    return "\0".join(values.tolist()).encode() if values.dtype.kind == "U" else np.ascontiguousarray(values).data


def _reserved() -> set[str]:
    return {*STRUCTURE, "shape", "unit", "content_hash", "final_shares_hash", CANDIDATES_HASH}


def _attributes(network: FirmNetwork, path: Place) -> dict[str, Any]:
    clash = sorted(_reserved() & network.attrs.keys())
    if clash:
        raise NetworkStoreError(f"{path}: attrs: the names {', '.join(clash)} are reserved for the store itself")
    try:
        json.dumps(network.attrs, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NetworkStoreError(f"{path}: attrs: every attribute must be JSON ({error})") from error
    shape = [network.n_firms, network.n_firms]
    own: dict[str, Any] = {"shape": shape, "unit": network.unit, "content_hash": _main_hash(network)}
    if network.final_shares is not None:
        own["final_shares_hash"] = _hash_of(network.final_shares)
    if len(network.candidates):
        own[CANDIDATES_HASH] = candidates_hash(network)
    return {**network.attrs, **STRUCTURE, **own}


def _write_group(network: FirmNetwork, path: Path, attributes: Mapping[str, Any]) -> None:
    root = zarr.create_group(str(path), attributes={"shockmesh_schema": SCHEMA, "Conventions": "CF-1.12"})
    group = root.create_group(GROUP, attributes=dict(attributes))
    for name, (dim, values, attrs) in _variables(network).items():
        _write_array(group, name, dim, values, attrs)
    if len(network.candidates):
        for name, values in _candidates(network).items():
            told = f"position along firm, {name.partition('_')[2]}" if name != "candidate_product" else "product code"
            _write_array(group, name, "candidate", values, {"long_name": told})
    _write_array(group, "region", "region", np.asarray(network.regions), {"long_name": "region"})
    _write_array(group, "sector", "sector", np.asarray(network.sectors), {"long_name": "sector"})
    if network.final_shares is not None:
        group.create_array(
            "final_shares", data=network.final_shares.astype("<f8"), dimension_names=("industry", "region_to"),
            attributes={"long_name": "share of an industry's final demand that a region buys"}, compressors=NUMBERS,
        )  # fmt: skip


def _write_array(group: zarr.Group, name: str, dim: str, values: np.ndarray, attrs: Mapping[str, str]) -> None:
    text = values.dtype.kind == "U"
    chunk = min(CHUNK, max(1, len(values)))
    shard = chunk * min(CHUNKS_PER_SHARD, max(1, -(-len(values) // chunk)))
    array = group.create_array(
        name, shape=values.shape, dtype=str if text else values.dtype, dimension_names=(dim,), attributes=dict(attrs),
        chunks=(chunk,), shards=(shard,), compressors=TEXT if text else NUMBERS,
    )  # fmt: skip
    array[:] = values


def _open_group(path: Place) -> tuple[zarr.Group, dict[str, Any]]:
    if not path.is_dir():  # or no object below
        raise NetworkStoreError(f"{path}: no such store")
    try:
        root = zarr.open_group(zarr_store(path, read_only=True), mode="r")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise NetworkStoreError(f"{path}: not a Zarr store") from error
    if str(root.attrs.get("shockmesh_schema")).startswith("table/"):
        raise NetworkStoreError(
            f"{path}: is a table; `shockmesh generate {path} NETWORK --firms N` makes a network of it"
        )
    if wrong := mismatch(dict(root.attrs), SCHEMA):
        raise NetworkStoreError(f"{path}: {wrong}")
    with reading(path):
        group = root[GROUP]
    if not isinstance(group, zarr.Group):
        raise NetworkStoreError(f"{path}: {GROUP}: holds no network; {AGAIN}")
    for name in ("content_hash", "unit"):
        if not isinstance(group.attrs.get(name), str):
            raise NetworkStoreError(f"{path}: {GROUP}: {name}: missing, or no text; {AGAIN}")
    return group, dict(group.attrs)
