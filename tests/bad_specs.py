"""Bad specs: every leaf of the models wrong in every way, names of nothing, sweeps, each with what a refusal names."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from shockmesh.cluster.spec.domains import DOMAINS, Domain
from shockmesh.cluster.spec.fields import MOST, PerFirm
from shockmesh.cluster.spec.load import Spec, parse_spec
from shockmesh.cluster.spec.rules import targets
from shockmesh.io.networks.candidates import draw_candidates
from shockmesh.io.networks.store import read_network, write_network

type Cases = Iterator[tuple[list[str], list[str]]]
"""Command lines, and what the refusal of each must name: fields, files or arguments."""

STORM = {"name": "storm", "kind": "recovery", "loss": 0.5, "where": {"sector": ["s1"], "share": 0.5}}
BASE = {
    "economy": "network.zarr", "horizon": {"days": 5}, "shocks": [STORM], "record": {"output": ["region", "sector"]},
}  # fmt: skip
SPECS: dict[str, dict[str, Any]] = {
    "shocks": {
        "model": {"inventory_days": 9, "inventory_by_product": {"s1": 3}, "adjustment_days": 6, "capacity": 1.25},
        "shocks": [
            STORM | {"loss": {"default": 0.5, "by_sector": {"s1": 0.1}, "by_region": {"AA": 0.2}}, "recovery_days": 4,
                     "recovery_start": 1},
            {"name": "breaks", "kind": "failures", "days_between_failures": 9, "repair_days": 2,
             "where": {"largest": 2}},
            {"name": "quake", "kind": "damage", "loss": 0.1, "builders": {"s1": 1.0, "s2": 1.0}, "rebuild_start": 1},
            {"name": "homes", "kind": "household_damage", "worth": 2, "builders": {"s1": 1.0}, "region": ["AA"]},
            {"name": "canal", "kind": "cut", "origin": {"region": ["AA"]}, "destination": {"region": ["BB"]},
             "recovery_start": 1, "recovery_days": 3, "detour_days": 4},
        ],
        "sweep": {"seed": 1, "members": 1},
        "resources": {"gangs": 1, "members_per_block": 1},
    },
    "ces": {"model": {"production": "ces", "elasticity": 0.5}},
    "labour": {
        "model": {
            "capacity_rule": "hiring", "hiring_days": 9, "firing_days": 9, "consumption": "labour_income",
            "household_share": 0.5, "consumption_persistence": 0.5, "benefit_share": 0.5,
        },
    },
    "hours": {
        "model": {
            "production": "threshold", "inventory_threshold": 0.5, "capacity_rule": "overproduction",
            "base_capacity": 1.1, "overproduction_days": 9,
        },
    },
    "prices": {
        "model": {
            "prices": {"pass_through": 0.5, "scarcity": 0.1, "elasticity_within": 2, "elasticity_between": 0.5,
                       "elasticity_final": {"default": 1, "by_region": {"AA": 0.5}}},
        },
        "shocks": [
            {"name": "duty", "kind": "tariff", "from": {"region": ["AA"]}, "to": {"region": ["BB"]}, "rate": 0.25,
             "recovery_start": 1, "recovery_days": 3},
            {"name": "wages", "kind": "cost", "rate": {"default": 0.1, "by_sector": {"s1": 0.2}}, "recovery_start": 1,
             "recovery_days": 3},
            {"name": "fuel", "kind": "cost", "on": "energy", "energy": ["s1"], "rate": 0.5},
        ],
        "record": {"price": ["sector"], "consumer_price_index": ["region"], "tariff_revenue": []},
    },
    "suppliers": {
        "economy": "candidates.zarr",
        "model": {
            "suppliers": {"satisfaction_days": 5, "sensitivity": 1.5, "pull": {"default": 1, "by_sector": {"s1": 2}},
                          "search_days": 3, "switching_days": 9, "turnover": 0.002},
        },
        "record": {"output": ["sector"], "switched": ["region"]},
    },
    "delays": {
        "model": {
            "delays": [
                {"name": "sea", "from": {"region": ["AA"]}, "to": {"region": ["BB"]}, "days": 3},
                {"name": "road", "days": {"default": 3, "by_region": {"AA": 4}, "by_sector": {"s1": 2}}, "stages": 2},
            ],
        },
    },
    "routes": {
        "model": {
            "prices": {},
            "routes": [{"name": "strait", "from": {"region": ["AA"]}, "to": {"region": ["BB"]}, "capacity": 1.2,
                        "detour_days": 4, "detour_cost": 0.1}],
        },
        "shocks": [
            {"name": "war", "kind": "closure", "route": "strait", "loss": 0.5, "recovery_start": 1, "recovery_days": 3},
        ],
    },
    "events": {
        "shocks": [
            {"name": "storms", "kind": "events", "file": "events.csv", "event": "a", "onset": 1, "duration": 2,
             "recovery_days": 3},
        ],
    },
    "allocate": {
        "sweep": {"seed": 1, "members": 4},
        "allocate": {"budget": 5, "levers": {"model.inventory_days": 1, "model.capacity": 9.5}, "tail": 0.5,
                     "held_out": 2, "steps": 3, "loss": "value_added", "where": {"region": ["AA"]}},
    },
    "table": {"shocks": [{"name": "gap", "kind": "table", "file": "factors.csv", "loss": 0.5}]},
    "files": {
        "model": {"production": "half_critical", "criticality": "critical.csv", "capacity": {"file": "numbers.csv"}},
        "shocks": [STORM | {"loss": {"default": 0.1, "file": "numbers.csv"}}],
    },
    "fit": {
        "shocks": [STORM, STORM | {"name": "flood"}],
        "observe": [
            {"file": "series.csv", "groups": "groups.csv", "noise": {"file": "noise.csv"}, "window": [0, 3],
             "held_out": [3, 5]},
            {"file": "total.csv", "by": "total", "variable": "value_added", "noise": 0.1},
        ],
        "infer": {
            "parameters": {
                "shocks.storm.loss": {"spread": {"all": 0.1, "firm": 0.1}, "doubt": 0.1},
                "shocks.flood.loss": {"like": "shocks.storm.loss"},
            },
            "steps": 2, "draws": 4, "temperature": 2, "patience": 3,
        },
    },
}  # fmt: skip


def spec_of(name: str) -> dict[str, Any]:
    """A whole spec."""
    return BASE | SPECS[name]


def write_specs() -> None:
    """Every spec, into the working directory, and the network with candidates that one of them needs."""
    write_network(draw_candidates(read_network("network.zarr"), 2, 0), "candidates.zarr")
    for name in SPECS:
        Path(f"{name}.yaml").write_text(yaml.safe_dump(spec_of(name), sort_keys=False))


# What a spec says: every leaf of its models, wrong in every way

COUNT = Domain(1, MOST)
BOUNDS = {
    **DOMAINS, "seed": Domain(0, 2**32 - 1), "window": Domain(0, MOST), "held_out": Domain(0, MOST),
    "inventory_by_product": DOMAINS["inventory_days"], "builders": DOMAINS["share"],
    "budget": DOMAINS["worth"], "levers": DOMAINS["cost"], "tail": DOMAINS["share"],
    "TariffShock.rate": DOMAINS["rise"], "CostShock.rate": DOMAINS["rise"],
}  # fmt: skip
NO_NUMBER = {
    "text": "lots", "empty": "''", "bool": "true", "list": "[1]", "mapping": "{lots: 1}", "NaN": ".nan",
    "infinite": ".inf", "endless below": "-.inf", "huge": "1.0e+300", "date": "2020-03-01", "null": "null",
}  # fmt: skip
NO_TEXT = {"number": "7.5", "bool": "true", "list": "[[1]]", "mapping": "{lots: 1}", "null": "null"}
NO_BOOL = {"text": "perhaps", "number": "2", "list": "[]", "null": "null"}
NO_NAME = {"unknown": "no such", "empty": "''"}
NAMED = (  # where names are keys
    "model.inventory_by_product", "model.capacity.by_sector", "model.capacity.by_region", "shocks.storm.loss.by_sector",
    "shocks.storm.loss.by_region", "shocks.quake.builders", "shocks.homes.builders", "record", "horizon", "model",
    "shocks.storm", "shocks.storm.where", "sweep", "resources",
)  # fmt: skip


@dataclass(frozen=True)
class Leaf:
    """A number, a text or a truth value that a spec says, or a default."""

    spec: str
    field: str  # model and name: RecoveryShock.loss, also of a loss by sector
    path: tuple[str | int, ...]
    value: Any
    optional: bool

    @property
    def dotted(self) -> str:
        """The path as `--set` takes it: shocks, delays and routes by name."""
        keys, spec = [*self.path], spec_of(self.spec)
        if keys[0] == "shocks":
            keys[1] = spec["shocks"][keys[1]]["name"]
        if keys[:2] in (["model", "delays"], ["model", "routes"]):
            keys[2] = spec["model"][keys[1]][keys[2]]["name"]
        return ".".join(map(str, keys))

    @property
    def label(self) -> str:
        """The path as refusals say it; of a pair of days, the pair; of a shock's or a delay's name, by number."""
        if self.path[-1] == "name":
            *holder, number, _ = self.path
            return f"{'.'.join(map(str, holder))}[{number}].name"
        text = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in self.dotted.split("."))[1:]
        return text[:-3] if self.field in ("Observe.window", "Observe.held_out") else text

    def out_of_bounds(self) -> dict[str, str]:
        """A number below and one above all that it may be."""
        known = BOUNDS.get(self.field, BOUNDS.get(self.field.partition(".")[2], COUNT))
        low, high = known.low, known.high
        below = {"below": repr(low / 2 if 0 < low < 1 else low - 1)}
        return below if high == math.inf else below | {"above": repr(2 * high + 1)}

    def wrong(self) -> dict[str, str]:
        """What this cannot be, by kind, as YAML writes it."""
        match self.value:
            case bool():
                kinds = NO_BOOL
            case str():
                kinds = NO_TEXT
            case _:
                kinds = NO_NUMBER | self.out_of_bounds()
        admitted = {"null"} if self.optional else set[str]()
        admitted |= {"infinite"} if self.field == "Model.inventory_by_product" else set()  # it is never short
        return {kind: text for kind, text in kinds.items() if kind not in admitted}


def leaves(spec: str, value: Any, field: str = "", at: tuple[str | int, ...] = (), may: bool = False) -> Iterator[Leaf]:
    """Everything that a part of a spec says; `may`: it may be left out."""
    match value:
        case int() | float() | str():
            yield Leaf(spec, field, at, value, may)
        case BaseModel():
            for name, about in type(value).model_fields.items():
                own = field if isinstance(value, PerFirm) else f"{type(value).__name__}.{name}"
                null = type(None) in getattr(about.annotation, "__args__", ())
                yield from leaves(spec, getattr(value, name), own, (*at, about.alias or name), null)
        case dict() | tuple():
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            yield from (found for key, of in entries for found in leaves(spec, of, field, (*at, key)))
        case _:
            return


def every_leaf() -> list[Leaf]:
    """Each of its path once."""
    found = {leaf.dotted: leaf for name in SPECS for leaf in leaves(name, parse_spec(spec_of(name)))}
    return list(found.values())


def fields_of_numbers() -> set[str]:
    """Every field of the models of a spec that may be a number, or holds some."""
    known = Spec.model_json_schema(by_alias=False, mode="serialization")["$defs"]  # ids are texts there
    models = {name: of["properties"] for name, of in known.items() if "properties" in of and "PerFirm" not in name}

    def admits(schema: Any) -> bool:
        """Whether a part of a JSON schema is a number, or holds some without being a model."""
        if isinstance(schema, list):
            return any(map(admits, schema))
        if not isinstance(schema, dict):
            return False
        of = known.get(schema.get("$ref", "").rpartition("/")[2], {})
        return schema.get("type") in ("number", "integer") or any(map(admits, [*schema.values(), of.get("oneOf")]))

    return {f"{model}.{name}" for model, fields in models.items() for name, of in fields.items() if admits(of)}


def bad_leaves() -> Cases:
    """All leaves of a spec at once, wrong in one way: a refusal names each."""
    by_call: dict[tuple[str, str], list[tuple[Leaf, str]]] = {}
    for leaf in every_leaf():
        for kind, text in leaf.wrong().items():
            alone = leaf.dotted if leaf.path[-1] in ("name", "kind") else ""  # the rest of a shock hangs on them
            by_call.setdefault((leaf.spec, kind + alone), []).append((leaf, text))
    for (spec, _), wrong in by_call.items():
        overrides = [f"{leaf.dotted}={text}" for leaf, text in wrong]
        words = [word for override in overrides for word in ("--set", override)]
        yield ["validate", f"{spec}.yaml", *words], [f": {leaf.label}" for leaf, _ in wrong]


def bad_names() -> Cases:
    """Names of nothing: of a region, a sector, a firm, a file, a choice."""
    for leaf in every_leaf():
        if isinstance(leaf.value, str):
            yield from (
                (["validate", f"{leaf.spec}.yaml", "--set", f"{leaf.dotted}={text}"], [leaf.label.partition("[")[0]])
                for text in NO_NAME.values()
            )
    for path, name in product(NAMED, ("no such", " s1", "S1", "AA s1", "*", "''")):
        yield ["validate", "shocks.yaml", "--set", f"{path}.{name}=3"], [f"{path}"]


# Sweeps

NO_LEVELS = {
    "out of bounds": "[-7.5]", "text": "[lots]", "NaN": "[.nan]", "null": "[null]", "bool": "[true]", "mixed": "[1, a]",
    "empty": "[]", "no list": "1", "nested": "[[1]]", "mapping": "{low: 1}", "infinite": "[.inf]",
}  # fmt: skip
NO_DRAWS = {
    "unknown family": "{gauss: [0, 1]}", "no family": "{}", "number": "1", "list": "[0, 1]", "text": "uniform",
    "too few": "{uniform: [0]}", "too many": "{uniform: [0, 1, 2]}", "named wrong": "{uniform: {from: 0, to: 1}}",
    "wrong way round": "{uniform: [9, 8]}", "no width": "{uniform: [1, 1]}", "texts": "{uniform: [a, b]}",
    "beyond": "{uniform: [-9, 1.0e+300]}", "NaN": "{uniform: [.nan, 1]}", "two": "{uniform: [0, 1], normal: [0, 1]}",
    "no spread": "{normal: [1, 0]}", "null": "null", "no choice": "{choice: []}", "mixed choice": "{choice: [1, a]}",
}  # fmt: skip
NO_PATHS = (
    "shocks.nobody.loss", "shocks.storm", "shocks.storm.nothing", "shocks", "model", "model.nothing", "model.preset",
    "horizon.days", "economy", "precision", "record.output", "sweep.seed", "model.hiring_days", "shocks.storm.name",
    "shocks.storm.kind", "shocks.storm.where", "shocks.storm.where.region.AA", "shocks.canal.loss.by_sector.s1",
    "shocks.homes.worth.by_region.AA", "model.capacity.by_firm.1", ".", "..", "model.capacity.",
)  # fmt: skip
NO_GROUPS = (
    "model.capacity.by_sector.XX", "model.capacity.by_region.s1", "shocks.storm.loss.by_sector.",
    "model.capacity.by_sector", "shocks.quake.loss.by_region.aa",
)  # fmt: skip


def swept(way: str, values: dict[str, str]) -> list[str]:
    """The call of a spec whose sweep has these paths."""
    inside = ", ".join(f"{json.dumps(path)}: {of}" for path, of in values.items())
    return ["validate", "shocks.yaml", "--set", f"sweep.{way}={{{inside}}}"]


def bad_sweeps() -> Cases:
    paths = [path for path, domain in targets(parse_spec(spec_of("shocks"))).items() if domain]
    for way, text in [*(("grid", of) for of in NO_LEVELS.values()), *(("vary", of) for of in NO_DRAWS.values())]:
        yield swept(way, dict.fromkeys(paths, text)), [f"sweep.{way}.{path}: " for path in paths]
    yield swept("grid", dict.fromkeys(NO_PATHS, "[1]")), [f"sweep.grid.{path}: " for path in NO_PATHS]
    yield swept("vary", dict.fromkeys(NO_PATHS, "{uniform: [0.1, 0.9]}")), [f"sweep.vary.{path}: " for path in NO_PATHS]
    for path in NO_GROUPS:
        yield swept("grid", {path: "[1]"}), [path]
    for path in ("region", "sector", "firm"):
        yield swept("grid", {f"shocks.storm.where.{path}": "[no such]"}), [f"shocks.storm.where.{path}"]
