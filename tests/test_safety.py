"""Malformed specs and damaged stores: always exit code 2 with a sentence, never a traceback, never a write."""

import copy
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import write_network

SPEC: dict[str, Any] = {
    "economy": "economy.zarr",
    "horizon": {"days": 10},
    "model": {
        "preset": "hamid2025",
        "inventory_days": {"default": 5, "by_sector": {"S0": 4}},
        "inventory_dict": {"S1": 3, "S2": "inf"},
    },
    "shocks": [
        {"name": "storm", "kind": "recovery", "where": {"sector": ["S0"]}, "loss": 0.5, "recovery_days": 4},
        {"name": "gap", "kind": "table", "file": "factors.csv"},
        {
            "name": "homes",
            "kind": "household_damage",
            "worth": 2.0,
            "rebuilding_sectors": {"S0": 1.0},
            "rebuild_tau": 9,
        },
    ],
    "sweep": {"seed": 1, "members": 3, "vary": {"shocks.storm.loss": {"uniform": [0.1, 0.9]}}},
    "record": {"output": ["sector"]},
    "resources": {"gangs": 1},
}
JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e308, 10**400, float("nan"), float("inf"), 10**30,
    "", " ", "../../etc/passwd", "/dev/null", "\x00",
    "ü" * 300, "a\nb", "!!python/object:os.system",
    "s3://key:secret@bucket/x", "file:///etc/passwd", [], {}, [[]], [None],
    {"": 0}, {"default": "x"}, ["x", 1, None],
    {"uniform": [1, 0]}, {"file": "nothing.csv"}, {"__class__": "x"}, "0x1F", "1e3",
)  # fmt: skip
TEXTS: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "a word": b"spec",
    "binary": bytes(range(256)),
    "not utf-8": b"economy: \xff\xfe\n",
    "a tab": b"economy:\n\t- x\n",
    "unclosed": b"economy: {a: [1, 2\n",
    "two documents": b"economy: a\n---\neconomy: b\n",
    "a key twice": b"economy: economy.zarr\neconomy: other.zarr\nhorizon: {days: 1}\n",
    "a python tag": b"economy: !!python/object/apply:os.system ['touch touched']\nhorizon: {days: 1}\n",
    "a python name": b"economy: !!python/name:os.system\nhorizon: {days: 1}\n",
    "an unknown tag": b"economy: !secret x\nhorizon: {days: 1}\n",
    "a merge key": b"base: &b {days: 1}\nhorizon: {<<: *b}\neconomy: economy.zarr\n",
    "an alias of itself": b"economy: &a [*a]\nhorizon: {days: 1}\n",
    "a thousand laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + k, 98 + k, b",".join([b"*%c" % (97 + k)] * 9)) for k in range(8)),
    "a thousand laughs by merges": b"a: &a {x: 1, y: 1}\n"
    + b"".join(b"%c: &%c {<<: [%s]}\n" % (98 + k, 98 + k, b",".join([b"*%c" % (97 + k)] * 8)) for k in range(6)),
    "a thousand laughs as a key": b"a: &a [x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + k, 98 + k, b",".join([b"*%c" % (97 + k)] * 8)) for k in range(3))
    + b"? [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n: 1\n",
    "a bell": b"economy: net\x07.zarr\nhorizon: {days: 2}\n",
    "a key that is a list": b"? [economy]\n: x\nhorizon: {days: 1}\n",
    "deep": b"economy: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "a long number": b"economy: x\nhorizon: {days: " + b"9" * 5000 + b"}\n",
    "a trillion members": b"economy: economy.zarr\nhorizon: {days: 1}\nsweep: {grid: {"
    + b", ".join(
        b"model.%s: [%s]" % (key, b", ".join(b"%d" % (k + 1) for k in range(1000)))
        for key in (b"inventory_days", b"adjustment_days", b"capacity")
    )
    + b"}}\n",
    "a long key": b"x" * 100_000 + b": 1\n",
}


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path into a tree of mappings and lists."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from places(value, (*at, key))


def mutate(draw: random.Random) -> dict[str, Any]:
    """The spec with one to three places replaced by junk, removed, or given a key that nobody knows."""
    spec = copy.deepcopy(SPEC)
    for _ in range(draw.randint(1, 3)):
        path = draw.choice(list(places(spec)))
        node: Any = spec
        for key in path[:-1]:
            node = node[key]
        match draw.randrange(3):
            case 0:
                node[path[-1]] = copy.deepcopy(draw.choice(JUNK))
            case 1:
                del node[path[-1]]
            case _ if isinstance(node, dict):
                node[draw.choice(["days ", "Model", "seeds", "__init__", "0"])] = copy.deepcopy(draw.choice(JUNK))
            case _:
                node.append(copy.deepcopy(draw.choice(JUNK)))
        if not list(places(spec)):
            break
    return spec


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, random_network: Callable) -> Path:
    """A network, a table, a spec that is right and its run, made once."""
    at = tmp_path_factory.mktemp("made")
    write_network(random_network(firms=12, links=40), at / "economy.zarr")
    (at / "factors.csv").write_text("sector,day,factor\nS1,0,0.5\n")
    (at / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    with chdir(at):
        assert main(["import", "wiod2016", "example", "table.zarr", "--quiet"]) == 0
        assert main(["run", "spec.yaml", "--out", "run", "--address", "local", "--quiet"]) == 0
    return at


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The network and a file that the spec names, as the working directory."""
    shutil.copytree(made / "economy.zarr", tmp_path / "economy.zarr")
    shutil.copy2(made / "factors.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file and folder below."""
    found = {str(path): path.stat() for path in folder.rglob("*")}
    return {name: (of.st_size, of.st_mtime_ns) for name, of in found.items()}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> bool:
    """Run a verb; it must end with 0, or with 2 and a sentence."""
    code, told = main(arguments), capsys.readouterr()
    assert code in (0, 2), arguments
    assert "Traceback" not in told.err
    assert (code == 2) == bool(told.err.strip())
    return code == 2


def test_the_spec_that_is_mutated_is_valid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spec.yaml").write_text(yaml.safe_dump(SPEC))
    assert not refused(["validate", "spec.yaml"], capsys)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_a_hundred_malformed_specs(folder: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    draw, spec = random.Random(seed), folder / "spec.yaml"
    spec.touch()
    count = 0
    for _ in range(100):
        spec.write_text(yaml.safe_dump(mutate(draw), allow_unicode=True))
        before = listing(folder)
        count += refused(["validate", "spec.yaml"], capsys)
        assert listing(folder) == before
    assert count > 80  # some mutations leave a valid spec


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("verb", ["validate", "plan", "run"])
def test_texts_that_are_no_specs(folder: Path, capsys: pytest.CaptureFixture[str], name: str, verb: str) -> None:
    Path("spec.yaml").write_bytes(TEXTS[name])
    before = listing(folder)
    assert refused([verb, "spec.yaml", *(["--address", "local"] if verb == "run" else [])], capsys)
    assert listing(folder) == before


@pytest.mark.parametrize("spec", [".", "nothing.yaml", "economy.zarr", "loop.yaml", "pipe"])
def test_paths_that_are_no_specs(folder: Path, capsys: pytest.CaptureFixture[str], spec: str) -> None:
    os.symlink("loop.yaml", "loop.yaml")
    Path("pipe").write_bytes(b"\x1f\x8b\x08")
    assert refused(["validate", spec], capsys)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbled": lambda file: file.write_bytes(bytes(b ^ 0x5A for b in file.read_bytes())),
}


def every_damage(
    folder: str, damage: str, verbs: list[list[str]], capsys: pytest.CaptureFixture[str], every: int = 1
) -> list[list[bool]]:
    """Damage one file of a folder after the other; whether each verb then refused. None of them writes there."""
    told = list[list[bool]]()
    for file in sorted(path for path in Path(folder).rglob("*") if path.is_file())[::every]:
        content = file.read_bytes()
        DAMAGE[damage](file)
        before = listing(Path(folder))
        told.append([refused(verb, capsys) for verb in verbs])
        assert listing(Path(folder)) == before
        file.write_bytes(content)
    return told


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_networks(folder: Path, made: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    shutil.copy2(made / "spec.yaml", folder)
    told = every_damage("economy.zarr", damage, [["validate", "spec.yaml"], ["describe", "economy.zarr"]], capsys)
    assert all(all(verbs) for verbs in told)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_tables(folder: Path, made: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    shutil.copytree(made / "table.zarr", "table.zarr")
    verbs = [["describe", "table.zarr"], ["generate", "table.zarr", "firms.zarr", "--firms", "2000"]]
    told = every_damage("table.zarr", damage, verbs, capsys, every=12)
    assert all(any(verbs) for verbs in told)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_runs(folder: Path, made: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    shutil.copytree(made / "run", "run")
    verbs = [[verb, "run"] for verb in ("status", "describe")] + [["report", "run", "--out", "x.html"]]
    told = every_damage("run", damage, verbs, capsys)
    assert any(any(refusals) for refusals in told)
