"""Stores that earlier versions wrote are opened with the numbers of then; those of a later one are refused."""

import json
import tarfile
from pathlib import Path

import pytest
from shockmesh.cluster.cli import main
from shockmesh.io.stores.schemas import mismatch
from stores import DATA, KINDS

VERSIONS = sorted(folder.name for folder in DATA.glob("stores-*"))


@pytest.fixture(scope="module", params=VERSIONS)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The stores of a version, and what is in them."""
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(DATA / request.param / "stores.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder, json.loads((DATA / request.param / "numbers.json").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kept_store_is_opened_with_the_same_numbers(kept: tuple[Path, dict], kind: str) -> None:
    folder, numbers = kept
    _, opened = KINDS[kind]
    assert opened(folder) == numbers[kind]


@pytest.mark.parametrize(
    ("kind", "verb"),
    [("network", "describe"), ("sweep", "report"), ("calibration", "report"), ("calibration", "describe")],
)
def test_verbs_take_a_kept_store(kept: tuple[Path, dict], kind: str, verb: str, tmp_path: Path) -> None:
    name, _ = KINDS[kind]
    out = ["--out", str(tmp_path / "report.html")] if verb == "report" else []
    assert main([verb, str(kept[0] / name), *out, "--quiet"]) == 0


@pytest.mark.parametrize(
    "file", ["table.zarr/zarr.json", "network.zarr/zarr.json", "sweep/RUN.json", "calibration/RUN.json"]
)
def test_a_later_layout_is_refused(kept: tuple[Path, dict], file: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept[0] / file
    now = path.read_text()
    path.write_text(now.replace('/1"', '/2"', 1))
    assert "written by a later shockmesh" in refused(path.parent, capsys)
    path.write_text(now)


def refused(store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["describe", str(store)]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("table/3", None),
        ("table/4", "'table/4': written by a later shockmesh; this one reads 'table/3': install a later one"),
        ("table/10", "'table/10': written by a later shockmesh; this one reads 'table/3': install a later one"),
        ("table/2", "'table/2': must be 'table/3'"),
        ("network/4", "'network/4': must be 'table/3'"),
        ("table/x", "'table/x': must be 'table/3'"),
        (None, "None: must be 'table/3'"),
    ],
)
def test_what_a_schema_says(told: str | None, wrong: str | None) -> None:
    assert mismatch({"shockmesh_schema": told}, "table/3") == (wrong and f"shockmesh_schema: {wrong}")
