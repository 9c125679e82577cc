"""Recorded runs of every shape that a report is made of; losses are known in closed form."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

REGIONS, SECTORS, DAYS = ["GBR", "ITA", "USA"], ["A01", "I"], 20
UNIT = "million USD / day"
MANIFEST: dict[str, Any] = {
    "spec": {
        "economy": "/data/world.zarr",
        "model": {"preset": "hamid2025"},
        "shocks": [{"name": "lockdown", "where": {"region": ["GBR"]}, "loss": 0.5, "onset": 2, "recovery_start": None}],
    },
    "seed": 7,
    "created": "2026-01-02T03:04:05Z",
    "git_commit": "0123abc",
    "versions": {"jax": "0.12.0"},
    "inputs": {"economy": {"path": "/data/world.zarr", "sha256": "f" * 64}},
    "plan": {"members": 5, "firms": 20_000},
}


def run(members: int = 5, dims: tuple[str, ...] = ("region", "sector"), **change: Any) -> xr.Dataset:
    """A run whose first label loses its member's share of days 2 to 11, and every other label a tenth of that."""
    name, unit, deepest = change.get("name", "output"), change.get("unit", UNIT), change.get("deepest", 0.6)
    labels = {"region": REGIONS, "sector": SECTORS, "firm": ["f1", "f2", "f3", "f4"]}
    shape = [len(labels[dim]) for dim in dims]
    baseline = xr.DataArray(1.0 + np.arange(math.prod(shape)).reshape(shape), dims=dims)
    loss = xr.DataArray(np.linspace(deepest / 3, deepest, members), dims="member")
    hit = xr.DataArray((np.arange(DAYS) >= 2) & (np.arange(DAYS) < 12), dims="time")
    first = xr.DataArray([1.0] + [0.1] * (shape[0] - 1), dims=dims[0]) if dims else xr.DataArray(1.0)
    values = (baseline * (1 - loss * hit * first)).transpose("member", "time", *dims).assign_attrs(units=unit)
    drawn = {"shocks.lockdown.loss": loss.values, "model.inventory_days": 9.0 - np.arange(members) % 3}
    coords = {"member": np.arange(members), "time": np.arange(DAYS), **{dim: labels[dim] for dim in dims}}
    ds = xr.Dataset({name: values, f"{name}_baseline": baseline}, coords)
    return ds.assign_coords({name: ("member", value) for name, value in drawn.items()})


def with_values(change: Callable[[xr.Dataset], xr.DataArray]) -> xr.Dataset:
    ds = run()
    return ds.assign(output=change(ds).assign_attrs(units=UNIT))


def with_names() -> xr.Dataset:
    return run().assign_coords({"shocks.lockdown.where.region": ("member", ["GBR", "ITA"] * 2 + ["GBR"])})


def with_hole() -> xr.Dataset:
    return with_values(lambda ds: ds["output"].where((ds["member"] != 3) | (ds["time"] != 4)))


def with_empty(**empty: str) -> xr.Dataset:
    ds = run()
    for name in ("output", "output_baseline"):
        ds[name].loc[empty] = 0
    return ds


def one_twice() -> xr.Dataset:
    by_firm = run(dims=("firm",), name="output_by_firm")
    return xr.merge([by_firm, run(dims=("region",))], join="exact", compat="equals")


def two_variables() -> xr.Dataset:
    return xr.merge([run(dims=()), run(dims=("region",), name="value_added")], join="exact", compat="equals")


def prices_alone(members: int = 5) -> xr.Dataset:
    """Prices that rise on day 2 for good, by a part of the loss that the member drew; ITA has no firms of I."""
    ds = run(members)
    loss, later = ds["shocks.lockdown.loss"], xr.DataArray(np.arange(DAYS) >= 2, dims="time")

    def of(parts: xr.DataArray, rises: xr.DataArray, unit: str) -> xr.DataArray:
        values = parts + rises * loss * later
        return values.transpose("member", "time", ...).reset_coords(drop=True).assign_attrs(units=unit)

    by_region, by_both = ({dim: ds[dim] for dim in dims} for dims in (["region"], ["region", "sector"]))
    one, there = xr.ones_like(ds["region"], float), xr.DataArray([[1.0, 1], [1, 0], [1, 1]], by_both)
    rises = xr.DataArray([[0.2, -0.05], [0.01, 0], [0, 0]], by_both)
    consumer, paid = (xr.DataArray(of, by_region) for of in ([0.1, 0.01, 0], [3.0, 0, 0]))
    money = {
        "consumer_price_index": of(one, consumer, "1"), "consumer_price_index_baseline": one,
        "price": of(there, rises, "1"), "price_baseline": there,
        "tariff_revenue": of(0 * one, paid, UNIT), "tariff_revenue_baseline": 0 * one,
    }  # fmt: skip
    return ds.drop_vars(["output", "output_baseline"]).assign(money)


def with_prices(members: int = 5) -> xr.Dataset:
    """The same beside output, in quantities and at today's prices."""
    ds = xr.merge([run(members), prices_alone(members)], join="exact", compat="equals")
    nominal = ds["output"] * ds["consumer_price_index"]
    nominal = nominal.transpose(*ds["output"].dims).assign_attrs(units=UNIT)
    return ds.assign(nominal_output=nominal, nominal_output_baseline=ds["output_baseline"])


SHAPES: dict[str, Callable[[], xr.Dataset]] = {
    "region and sector": run,
    "sector and region": lambda: run(dims=("sector", "region")),
    "region": lambda: run(dims=("region",)),
    "sector": lambda: run(dims=("sector",)),
    "firm": lambda: run(dims=("firm",)),
    "total": lambda: run(dims=()),
    "one member": lambda: run(members=1),
    "two members": lambda: run(members=2),
    "200 members": lambda: run(members=200, dims=("region",)),
    "two variables": two_variables,
    "one variable twice": one_twice,
    "a stock only": lambda: run(name="inventory", unit="million USD"),
    "names drawn": with_names,
    "dates": lambda: run().assign_coords(time=pd.date_range("2020-03-01", periods=DAYS)),
    "a hole": with_hole,
    "an empty industry": lambda: with_empty(region="ITA", sector="I"),
    "an empty region": lambda: with_empty(region="ITA"),
    "no shock": lambda: run(deepest=0.0),
    "a gain": lambda: run(deepest=-0.5),
    "prices": with_prices,
    "prices alone": prices_alone,
    "prices of one member": lambda: with_prices(1),
    "float32": lambda: run().astype("float32"),
}
