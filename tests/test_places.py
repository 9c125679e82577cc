"""Stores near and far: a local folder and a real S3 server behave alike, also when the server's answers get lost."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import boto3
import numpy as np
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from shockmesh.cluster.cli import main
from shockmesh.io import places
from shockmesh.io.networks import read_network, write_network
from shockmesh.io.places import Place, PlaceError, create, place, replace, stamp, tree_size, whole
from shockmesh.io.results import committed, open_run, verify
from werkzeug.serving import make_server

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that the server cut
SECRET = "not-to-be-told"
SPEC = """
economy: {economy}
horizon: {{days: 12}}
shocks: [{{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}}]
sweep: {{seed: 2, members: 6, vary: {{shocks.storm.loss: {{uniform: [0.2, 0.9]}}}}}}
record: {{output: [sector], inventory: []}}
resources: {{members_per_block: 2, gangs: 1}}
"""


class Server:
    """S3 by moto, which can answer late, answer 503, or do what it is asked and cut the connection."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._draw, self.faults, self.injected = Random(0), 0.0, list[str]()
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def _answer(self, environ: dict, start_response: Callable) -> Iterator[bytes]:
        fault = self._draw.choice(["unavailable", "cut", "slow"]) if self._draw.random() < self.faults else ""
        self.injected += [f"{fault} {environ['REQUEST_METHOD']}"] if fault else []
        if fault == "unavailable":
            start_response("503 Slow Down", [("Content-Length", "0")])
            return iter([b""])
        answer = list(self._app(environ, start_response))
        if fault == "cut":
            environ["werkzeug.socket"].close()
            return iter([])
        time.sleep(0.3 if fault == "slow" else 0)
        return iter(answer)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()
    for name, value in {
        "AWS_ENDPOINT_URL": found.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="bucket")
    places._store.cache_clear()
    yield found
    found.stop()
    places._store.cache_clear()


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Place:
    return tmp_path if request.param == "local" else place(f"s3://bucket/{tmp_path.name}")


def test_a_name_is_taken_once(folder: Place) -> None:
    assert create(folder / "a.json", b"one")
    assert not create(folder / "a.json", b"two")
    assert (folder / "a.json").read_bytes() == b"one"
    replace(folder / "a.json", b"three")
    assert (folder / "a.json").read_text() == "three"
    assert [found.name for found in folder.glob("*.json")] == ["a.json"]
    (folder / "a.json").unlink()
    assert not (folder / "a.json").exists()


def test_of_many_writers_one_wins(folder: Place) -> None:
    won: list[int] = []

    def write(who: int) -> None:
        if create(folder / "marker.json", str(who).encode()):
            won.append(who)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(who) for who in won] == [(folder / "marker.json").read_text()]


def test_a_tree_appears_whole_or_not_at_all(folder: Place) -> None:
    def make(root: bytes, fails: bool = False) -> None:
        with whole(folder / "tree") as at:
            (at / "c").mkdir(parents=True)
            (at / "c" / "0").write_bytes(b"12345")
            (at / "zarr.json").write_bytes(root)
            if fails:
                raise KeyError

    with pytest.raises(KeyError):
        make(b"{}", fails=True)
    assert not (folder / "tree").exists()
    make(b"{}")
    assert tree_size(folder / "tree") == 7
    before = stamp(folder / "tree" / "c" / "0")
    replace(folder / "tree" / "c" / "0", b"12346")
    assert stamp(folder / "tree" / "c" / "0") != before
    with pytest.raises(OSError, match=r"exist|empty"):
        make(b"{1}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://key:secret@bucket/x", "s3://bucket/x: credentials do not belong into a name"),
        ("s3://bucket/x?secret=1", "s3://bucket/x: credentials do not belong"),
        ("s3://bucket", "s3://bucket: a store is a path, or s3://"),
        ("ftp://host/x", "ftp://host/x: a store is a path, or s3://"),
    ],
)
def test_names_are_refused_without_their_secrets(name: str, message: str) -> None:
    with pytest.raises(PlaceError, match=message) as refused:
        place(name)
    assert "secret@" not in str(refused.value)
    assert "=1" not in str(refused.value)


def all_objects() -> dict[str, bytes]:
    client = boto3.client("s3")
    found = client.list_objects_v2(Bucket="bucket").get("Contents", [])
    return {of["Key"]: client.get_object(Bucket="bucket", Key=of["Key"])["Body"].read() for of in found}


def test_a_run_on_a_faulty_store_equals_a_local_one(
    server: Server, tmp_path: Path, random_network: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    network, far = random_network(firms=20, links=80), "s3://bucket/study"
    for at, name in ((tmp_path, "near"), (far, "far")):
        write_network(network, f"{at}/net.zarr")
        (tmp_path / f"{name}.yaml").write_text(SPEC.format(economy=f"{at}/net.zarr"))
    assert read_network(f"{far}/net.zarr").n_links == network.n_links
    server.faults = 0.2
    near = ["run", str(tmp_path / "near.yaml"), "--out", str(tmp_path / "run"), "--address", "local"]
    assert main(near) == 0
    assert main(["run", str(tmp_path / "far.yaml"), "--out", f"{far}/run", "--address", "local"]) == 0
    assert {"unavailable", "cut", "slow"} == {fault.partition(" ")[0] for fault in server.injected}
    assert any("cut PUT" in fault for fault in server.injected)
    place(f"{far}/run/journal/1.json").unlink()
    assert committed(f"{far}/run") == {0, 2}
    for verb in ("resume", "status", "describe", "report"):
        address = ["--address", "local"] if verb == "resume" else []
        assert main([verb, f"{far}/run", *address]) == 0
    server.faults = 0.0
    assert committed(f"{far}/run") == {0, 1, 2}
    assert verify(f"{far}/run") == []
    with open_run(tmp_path / "run") as expected, open_run(f"{far}/run") as found:
        for name in ("output", "inventory", "shocks.storm.loss", "status"):
            np.testing.assert_array_equal(found[name].values, expected[name].values)
    told, objects = capsys.readouterr(), all_objects()
    assert "study/run/report.html" in objects
    assert not any(SECRET.encode() in content for content in objects.values())
    assert SECRET not in told.out + told.err


def test_a_store_that_is_not_to_be_had_is_told_before_anything_is_computed(
    server: Server, tmp_path: Path, random_network: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    write_network(random_network(), tmp_path / "net.zarr")
    (tmp_path / "near.yaml").write_text(SPEC.format(economy=tmp_path / "net.zarr"))
    (tmp_path / "far.yaml").write_text(SPEC.format(economy="s3://bucket/none.zarr"))
    run = ["run", str(tmp_path / "near.yaml"), "--address", "local", "--out"]
    assert main([*run, "s3://nowhere/run"]) == 2
    assert "s3://nowhere/run: no such bucket" in capsys.readouterr().err
    assert main(["validate", str(tmp_path / "far.yaml")]) == 2
    assert "s3://bucket/none.zarr: no such store" in capsys.readouterr().err
    assert main(["status", "s3://bucket/none"]) == 2
    assert "s3://bucket/none: no run here" in capsys.readouterr().err
    server.stop()
    places._store.cache_clear()
    assert main([*run, "s3://bucket/run"]) == 2
    assert "s3://bucket/run: the store does not answer" in capsys.readouterr().err


@pytest.mark.ray
def test_workers_write_to_the_store_themselves(server: Server, tmp_path: Path, random_network: Callable) -> None:
    write_network(random_network(), "s3://bucket/net.zarr")
    (tmp_path / "far.yaml").write_text(SPEC.format(economy="s3://bucket/net.zarr"))
    assert main(["run", str(tmp_path / "far.yaml"), "--out", "s3://bucket/run"]) == 0
    with open_run("s3://bucket/run") as found:
        assert found.status.values.tolist() == [1] * 6
