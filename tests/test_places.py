"""Stores near and far: a local folder and a real S3 server behave alike, also when the server's answers get lost."""

import logging
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle, repeat
from pathlib import Path
from urllib.request import urlopen

import boto3
import numpy as np
import pytest
import zarr
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from shockmesh.cluster.cli import main
from shockmesh.io.networks.store import read_network, write_network
from shockmesh.io.results import committed, open_run, verify
from shockmesh.io.stores import clients, places
from shockmesh.io.stores.engines import write_status
from shockmesh.io.stores.icechunk_engine import IcechunkEngine
from shockmesh.io.stores.places import (
    Place,
    PlaceError,
    Remote,
    create,
    place,
    replace,
    sizes,
    stamp,
    whole,
    zarr_store,
)
from werkzeug.serving import make_server

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that the server cut
SECRET = "not-to-be-told"
SLOW = 0.3  # seconds
SPEC = """
economy: {economy}
horizon: {{days: 12}}
shocks: [{{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}}]
sweep: {{seed: 2, members: 6, vary: {{shocks.storm.loss: {{uniform: [0.2, 0.9]}}}}}}
record: {{output: [sector], inventory: []}}
resources: {{members_per_block: 2, gangs: 1}}
"""


class Server:
    """S3 by moto, which can answer late, answer an error, or do what it is asked and cut its answer short."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self.asked, self.faults, self.injected = Counter[str](), 0.0, list[str]()
        self._kinds = defaultdict[str, Iterator[str]](lambda: cycle(["cut", "503 Slow Down", "torn", "slow"]))
        self.planned = iter(list[str]())  # faults that come first
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def _answer(self, environ: dict, start_response: Callable) -> Iterator[bytes]:
        fault, method = next(self.planned, ""), environ["REQUEST_METHOD"]
        self.asked[method] += 1
        if not fault and self.faults and self.asked[method] % round(1 / self.faults) == 0:
            fault = next(self._kinds[method])
        self.injected += [f"{fault} {method}"] if fault else []
        if fault[:1].isdigit():
            start_response(fault, [("Content-Length", "0")])
            return iter([b""])
        said = list[tuple[str, list[tuple[str, str]]]]()
        answer = b"".join(self._app(environ, lambda status, headers, *_: said.append((status, headers))))
        if fault == "torn" and method != "HEAD":
            kept = [header for header in said[0][1] if header[0].lower() != "content-length"]
            start_response(said[0][0], [*kept, ("Content-Length", f"{max(len(answer), 1)}")])
            return self._torn(environ, answer[: len(answer) // 2])
        if fault in ("cut", "torn"):
            _hang_up(environ)
            return iter([])
        time.sleep(SLOW if fault == "slow" else 0)
        start_response(*said[0])
        return iter([answer])

    def _torn(self, environ: dict, answer: bytes) -> Iterator[bytes]:
        yield answer
        _hang_up(environ)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _hang_up(environ: dict) -> None:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()
    for name, value in {
        "AWS_ENDPOINT_URL": found.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    urlopen(f"{found.url}/moto-api/reset", data=b"").close()
    boto3.client("s3").create_bucket(Bucket="bucket")
    clients.client.cache_clear()
    yield found
    found.stop()
    clients.client.cache_clear()


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


@pytest.mark.parametrize("fault", ["cut", "torn", "slow", "503 Slow Down"])
def test_a_commit_whose_answer_was_lost_is_known_as_ones_own(
    server: Server, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(clients, "TIMEOUT", timedelta(seconds=SLOW / 2))
    marker = place("s3://bucket/marker.json")
    server.planned = iter([fault])
    assert create(marker, b"mine")
    assert server.injected == [f"{fault} PUT"]
    server.planned = iter([fault])
    assert not create(marker, b"another's")
    assert marker.read_bytes() == b"mine"


@pytest.mark.parametrize("fault", ["cut", "torn", "503 Slow Down"])
def test_whatever_is_asked_is_asked_again(server: Server, fault: str) -> None:
    tree = place("s3://bucket/tree")
    assert isinstance(tree, Remote)
    array, file = zarr.create_array(zarr_store(tree), shape=(4,), chunks=(4,), dtype="i4"), tree / "file"
    assert isinstance(tree, places.Remote)
    assert isinstance(file, places.Remote)
    asked: dict[str, Callable[[], object]] = {
        "replace": lambda: replace(file, b"one"),
        "read": file.read_bytes,
        "head": file.size,
        "list": tree.listing,
        "folder": lambda: [of.name for of in tree.iterdir()],
        "write": lambda: array.__setitem__(slice(0, 4), np.arange(4)),
        "chunk": lambda: np.asarray(array[:]).tolist(),
        "delete": file.unlink,
    }
    expected = {"read": b"one", "head": 3, "folder": ["file", "zarr.json"], "chunk": [0, 1, 2, 3]}
    for name, ask in asked.items():
        server.planned, server.injected = iter([fault]), []
        found = ask()
        assert len(server.injected) == 1, name
        assert found == expected.get(name, found), name
    assert not file.exists()


@pytest.mark.parametrize("name", ["run", "run403", "credential-NoSuchBucket"])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("403 Forbidden", "access denied: are the credentials in the environment right?"),
        ("401 Unauthorized", "access denied: are the credentials in the environment right?"),
        ("500 Internal Server Error", "the store fails, however often it is asked"),
    ],
)
def test_what_a_store_answers_is_told(
    server: Server, capsys: pytest.CaptureFixture[str], name: str, answer: str, message: str
) -> None:
    server.planned = repeat(answer)
    assert main(["status", f"s3://bucket/{name}"]) == 2
    assert capsys.readouterr().err.replace("\n", " ").strip() == f"s3://bucket/{name}/RUN.json: {message}"


@pytest.mark.parametrize("key", ["run", "latest/api/credentials"])
def test_missing_credentials_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"{server.url}")  # a machine without a role
    server.planned = repeat("404 Not Found")
    assert main(["status", f"s3://bucket/{key}"]) == 2
    assert "no credentials in the environment (AWS_ACCESS_KEY_ID …)" in capsys.readouterr().err


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
    assert sum(sizes(folder / "tree").values()) == 7
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


def test_a_run_that_has_ended_is_opened_with_few_questions(server, tmp_path, random_network):
    write_network(random_network(), tmp_path / "net.zarr")
    asked = dict[int, int]()
    for members in (2, 24):
        far = f"s3://bucket/{members}"
        (tmp_path / "few.yaml").write_text(
            SPEC.format(economy=tmp_path / "net.zarr").replace("members: 6", f"members: {members}")
        )
        assert main(["run", str(tmp_path / "few.yaml"), "--out", far, "--address", "local", "--quiet"]) == 0
        before = server.asked["GET"]
        open_run(far).close()
        asked[members] = server.asked["GET"] - before
    assert asked[24] == asked[2]


def forget_block_1(run: str, engine: str) -> None:
    """Leave a run as if it had been interrupted before it committed members 2 and 3."""
    if engine == "zarr":
        place(f"{run}/journal/1.json").unlink()
        return
    session = IcechunkEngine(place(run))._repository.writable_session("main")
    write_status(session.store, np.array([1, 1, 0, 0, 1, 1], np.int8))
    session.commit("forgotten")


@pytest.mark.parametrize(("engine", "faults"), [("zarr", 0.2), pytest.param("icechunk", 0.1, marks=pytest.mark.slow)])
def test_a_run_on_a_faulty_store_equals_a_local_one(
    server: Server,
    tmp_path: Path,
    random_network: Callable,
    capsys: pytest.CaptureFixture[str],
    engine: str,
    faults: float,
) -> None:
    network, far = random_network(firms=20, links=80), "s3://bucket/study"
    for at, name in ((tmp_path, "near"), (far, "far")):
        write_network(network, f"{at}/net.zarr")
        (tmp_path / f"{name}.yaml").write_text(SPEC.format(economy=f"{at}/net.zarr"))
    assert read_network(f"{far}/net.zarr").n_links == network.n_links
    server.faults = faults
    near = ["run", str(tmp_path / "near.yaml"), "--out", str(tmp_path / "run"), "--address", "local"]
    assert main(near) == 0
    keep = ["--address", "local", "--set", f"engine={engine}"]
    assert main(["run", str(tmp_path / "far.yaml"), "--out", f"{far}/run", *keep]) == 0
    assert {"503", "cut", "torn", "slow"} == {fault.partition(" ")[0] for fault in server.injected}
    assert {"cut PUT", "torn PUT"} & set(server.injected)
    forget_block_1(f"{far}/run", engine)
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
    clients.client.cache_clear()
    assert main([*run, "s3://bucket/run"]) == 2
    assert "s3://bucket/run: the store does not answer" in capsys.readouterr().err


@pytest.mark.ray
def test_workers_write_to_the_store_themselves(server: Server, tmp_path: Path, random_network: Callable) -> None:
    write_network(random_network(), "s3://bucket/net.zarr")
    (tmp_path / "far.yaml").write_text(SPEC.format(economy="s3://bucket/net.zarr"))
    assert main(["run", str(tmp_path / "far.yaml"), "--out", "s3://bucket/run"]) == 0
    with open_run("s3://bucket/run") as found:
        assert found.status.values.tolist() == [1] * 6
