"""The YAML of a spec: YAML 1.2, data only, every key by a path."""

import pytest
from shockmesh.cluster.spec.source import SpecError, locate, parse_source

SCALARS = {
    "NO": "NO",
    "yes": "yes",
    "01": "01",
    "1e-3": 1e-3,
    "-2": -2,
    "0.50": 0.5,
    "12:30": "12:30",
    "2020-03-01": "2020-03-01",
    "true": True,
    "~": None,
    "1_000": "1_000",
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=SCALARS)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object):
    read = parse_source("s", f"key: {text}").data["key"]
    assert (read, type(read)) == (value, type(value))


def test_merge_keys_and_anchors_work():
    data = parse_source("s", "base: &b {a: 1, b: 2}\nmore: {<<: *b, b: 3}\n").data
    assert data["more"] == {"a": 1, "b": 3}


def test_code_in_yaml_is_refused():
    with pytest.raises(SpecError, match=r"s:1: .*no such tag as tag:yaml.org,2002:python/object"):
        parse_source("s", "key: !!python/object/apply:os.getcwd []")


PATHS = {
    "plain": ("horizon.days", ("horizon", "days")),
    "shock by name": ("shocks.b.loss", ("shocks", 1, "loss")),
    "shock by number": ("shocks.0.loss", ("shocks", 0, "loss")),
    "sector with a dot": ("model.n.by_sector.C10.1", ("model", "n", "by_sector", "C10.1")),
    "swept path": ("sweep.vary.model.n", ("sweep", "vary", "model.n")),
}


@pytest.mark.parametrize(("dotted", "keys"), PATHS.values(), ids=PATHS)
def test_a_dotted_path_means_these_keys(dotted: str, keys: tuple[str | int, ...]):
    data = {"shocks": [{"name": "a"}, {"name": "b"}], "model": {"n": {"by_sector": {"C10.1": 1}}}}
    assert locate(data, dotted) == keys
