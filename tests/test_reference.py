"""Every key of a spec is explained, by an example that loads; the schema for editors takes what loads, and no more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError
from shockmesh.cluster.cli import main
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.reference import NUMBERS, Key, UnknownKeyError, below, find, keys
from shockmesh.cluster.spec.schema import spec_schema
from shockmesh.cluster.spec.source import read_source

type Data = dict[str, Any]

EXAMPLES = Path(__file__).parent.parent.joinpath("io/examples")
SCHEMA_OF = spec_schema()
SCHEMA = jsonschema.Draft202012Validator(SCHEMA_OF)
LEAVES = [key for key in keys() if key.example is not None]


def whole(path: list[str], value: Any) -> Data:
    """A spec with a value at the path of a key, and what else it requires."""
    if path[0] == "shocks" and len(path) > 2:
        required = [key for key in below(find(f"shocks.{path[1]}")[0]) if key.required and key.name != path[2]]
        shock = {"kind": path[1], **dict(_example(key) for key in required), **nested(path[2:], value)}
        return whole(["shocks"], [shock])
    if path[0] == NUMBERS:
        return whole(["model", "capacity"], nested(path[1:], value))
    if path[:2] == ["model", "delays"] and len(path) > 2:
        return whole(["model", "delays"], [{"name": "sea", "days": 30, **nested(path[2:], value)}])
    if path[:2] == ["model", "routes"] and len(path) > 2:
        return whole(["model", "routes"], [{"name": "strait", "capacity": 2, **nested(path[2:], value)}])
    if path[0] == "observe" and len(path) > 1:
        return whole(["observe"], [{"file": "series.csv", **nested(path[1:], value)}])
    if path[:2] == ["infer", "parameters"] and len(path) > 2:
        return whole(["infer", "parameters"], {"model.capacity": nested(path[2:], value)})
    if path[0] == "infer" and len(path) > 1 and path[1] != "parameters":
        return whole(["infer"], {"parameters": {}, **nested(path[1:], value)})
    if path[0] == "allocate" and len(path) > 1:
        required = {"budget": 5, "levers": {"model.capacity": 1}, "held_out": 2}
        return whole(["allocate"], required | nested(path[1:], value))
    horizon = nested(path[1:], value) if path[0] == "horizon" and len(path) > 1 else {}
    return {"economy": "world.zarr", **nested(path, value), "horizon": {"days": 9, **horizon}}


def nested(path: list[str], value: Any) -> Data:
    return {path[0]: value if len(path) == 1 else nested(path[1:], value)}


def _example(key: Key) -> tuple[str, Any]:
    assert key.example is not None
    ((name, value),) = yaml.safe_load(key.example).items()
    return name, value


def loads(data: Data) -> bool:
    try:
        Spec.model_validate(data)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("key", LEAVES, ids=lambda key: key.path)
def test_the_example_of_a_key_loads(key: Key):
    data = whole(key.path.split("."), _example(key)[1])
    Spec.model_validate(data)
    SCHEMA.validate(data)


def test_every_key_says_what_it_means_with_an_example_and_numbers_with_a_unit():
    kinds = {key.path for key in below(find("shocks")[0])}
    numbers = [key for key in keys() if key.kind.startswith("number") and not key.path.startswith(NUMBERS)]
    assert [key.path for key in keys() if not key.meaning] == [], "say it with `key`, or in RECORDS of schema.py"
    assert [key.path for key in keys() if key.example is None and key.path not in kinds] == []
    assert [key.path for key in numbers if key.unit is None or key.bounds is None] == []


def edges(node: Data) -> Iterator[float]:
    """Numbers on and just beyond the bounds of whatever a part of the schema admits."""
    for name, of in node.items():
        if name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            yield from (of, of - 1, of + 1)
        elif name in ("anyOf", "oneOf"):
            yield from (edge for one in of for edge in edges(one))


@pytest.mark.parametrize(
    "key", [key for key in LEAVES if key.bounds and "number" in key.kind], ids=lambda key: key.path
)
def test_the_schema_admits_the_numbers_that_load(key: Key):
    """Found where the example stands, so that the schema's own bounds are tried."""
    at, path = SCHEMA_OF, key.path.split(".")
    for name in path:
        at = step(at, name)
    tried = {float(edge) for edge in edges(at)}
    assert tried
    for value in tried:
        data = whole(path, int(value) if "whole number" in key.kind else value)
        assert SCHEMA.is_valid(data) == loads(data), value


def step(node: Data, name: str) -> Data:
    """The part of a schema for a key, in whichever alternative has it."""
    if name in node.get("properties", {}):
        return node["properties"][name]
    several = [*node.get("anyOf", []), *node.get("oneOf", []), node.get("items"), node.get("additionalProperties")]
    within: list[Data] = [of for of in several if isinstance(of, dict)]
    of_kind = [of for of in within if of.get("properties", {}).get("kind", {}).get("const") == name]
    return of_kind[0] if of_kind else next((found for of in within if (found := step(of, name))), {})


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_schema_takes_every_example(file: Path):
    SCHEMA.validate(read_source(file).data)


TAKEN = {
    "by BoARIO's names": {"model": {"main_inv_dur": 90, "order_type": "alt", "inventory_dict": {"F": "inf"}}},
    "BoARIO's builders": {"shocks": [{"name": "a", "kind": "damage", "loss": 0.1, "rebuilding_sectors": {"F": 1}}]},
    "one region": {"shocks": [{"name": "a", "kind": "recovery", "loss": 0.1, "where": {"region": "GBR", "firm": 7}}]},
    "a record by another name": {"record": {"output": [], "output_by_firm": ["firm"]}},
    "distributions": {"sweep": {"vary": {"a": {"normal": {"mean": 1, "sd": 2}}, "b": {"choice": ["A", "B"]}}}},
}
REFUSED = {
    "an unknown key": {"modle": {}},
    "an unknown key of a shock": {"shocks": [{"name": "a", "kind": "recovery", "loss": 0.1, "region": "GBR"}]},
    "a preset that is none": {"model": {"preset": "hamid"}},
    "a loss of more than all": {"shocks": [{"name": "a", "kind": "recovery", "loss": {"by_sector": {"F": 1.5}}}]},
    "a damage without builders": {"shocks": [{"name": "a", "kind": "damage", "loss": 0.1}]},
    "a variable that is none": {"record": {"outputs": ["region"]}},
    "no such distribution": {"sweep": {"members": 2, "vary": {"a": {"gauss": [0, 1]}}}},
}


@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_the_schema_takes_what_loads(name: str):
    data = {"economy": "world.zarr", "horizon": {"days": 9}, **(TAKEN | REFUSED)[name]}
    assert SCHEMA.is_valid(data) == loads(data) == (name in TAKEN)


ASKED = {
    "model.capacity": ["model.capacity"],
    "alpha_max": ["model.capacity"],
    "pass_through": ["model.prices.pass_through"],
    "shocks.lockdown.detour_days": ["shocks.cut.detour_days"],
    "tariff.rate": ["shocks.tariff.rate"],
    "water_filling": ["model.rationing"],
    "consumer_price_index": ["record.consumer_price_index"],
    "loss": [
        *(f"shocks.{kind}.loss" for kind in ("recovery", "failures", "damage", "cut", "closure", "table")),
        "allocate.loss",
    ],
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_key_is_found_by_any_of_its_names(asked: str):
    assert [key.path for key in find(asked)] == ASKED[asked]


def test_a_key_that_is_none_is_told_with_those_alike():
    with pytest.raises(UnknownKeyError, match=r"no key «model\.capacty», did you mean «model\.capacity»"):
        find("model.capacty")


def test_explain_prints_all_that_is_known(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "model.inventory_days"]) == 0
    told = capsys.readouterr().out
    for part in ("days of use", "≥ 1", "9 (hamid2025, literal)", "inventory_days: 10", "main_inv_dur"):
        assert part in told
    assert main(["explain", "shocks.cut", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["keys"]
    assert "shocks.cut.detour_days" in found["keys"]
    assert main(["explain", "nothing.like.it"]) == 2


def test_explain_prints_the_schema(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA_OF
