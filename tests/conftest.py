"""Fixtures that several test files share: precisions, random networks, calibrations, what is compiled."""

import multiprocessing as mp
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import hypothesis
import jax
import numpy as np
import pytest
from calibrations import economy, with_data
from shockmesh.inference.problem import Problem, member_keys, prior_draws
from shockmesh.kernels.devices import segments
from shockmesh.kernels.network import FirmNetwork, firm_network
from specs import Write
from toy import MakeSpec, spec_maker, toy_network

jax.config.update("jax_num_cpu_devices", 8)  # simulated devices for the sharding tests; all else runs on the first
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


def pytest_configure(config: pytest.Config) -> None:
    """Programs that earlier runs compiled are kept, unless they have become many."""
    compiled = config.cache.mkdir("compiled")
    if not hasattr(config, "workerinput") and sum(file.stat().st_size for file in compiled.iterdir()) > 2**29:
        rmtree(compiled)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """From Z to A: the last files are among the longest, and no process should be left alone with one."""
    items.sort(key=lambda item: item.path.name, reverse=True)


@pytest.fixture(scope="session", autouse=True)
def compile_once(pytestconfig: pytest.Config) -> Iterator[None]:
    """Tests, the processes that they start or that share them, and later runs share what they compile."""
    settings = {
        "jax_compilation_cache_dir": str(pytestconfig.cache.mkdir("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # other tests use this machine, and Ray's workers would starve
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        yield


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Drop what was compiled once it is much: programs map memory, and Linux ends a process of 65,530 maps."""
    yield
    if len(Path("/proc/self/maps").read_bytes().splitlines()) > 20_000:
        jax.clear_caches()


@pytest.fixture(scope="module")
def quickly() -> Iterator[None]:
    """Programs without LLVM's optimiser: for laws of ours that hold to a tolerance, whatever it makes of them."""
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """A short path: Ray puts sockets far below it, whose names may have 107 bytes."""
    with TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as short:
        yield Path(short)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """New processes that have imported everything and started nothing."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "runpy", "shockmesh.cluster.cli", "shockmesh.cluster.running.run"])
    return context


@pytest.fixture(params=["float64", "float32"])
def precision(request: pytest.FixtureRequest) -> Iterator[np.dtype]:
    """Run a test in both precisions; float64 is switched on for the test alone."""
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups are laid out for a device that scatters in any order."""
    monkeypatch.setattr(segments, "scatters_in_order", lambda: False)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward pass runs days again, as it does for large networks."""
    monkeypatch.setattr("shockmesh.kernels.rollout.LITTLE", 0)


@pytest.fixture(scope="session")
def random_network() -> Callable[..., FirmNetwork]:
    """A random network whose firms all add value, as large as asked, by seed; with `own` some supply themselves."""

    def make(firms: int = 30, links: int = 120, sectors: int = 4, seed: int = 0, *, own: bool = False) -> FirmNetwork:
        rng = np.random.default_rng(seed)
        pairs = np.unique(rng.integers(0, firms, (links, 2)), axis=0)
        pairs = pairs if own else pairs[pairs[:, 0] != pairs[:, 1]]
        amount = rng.uniform(0.1, 1, len(pairs))
        sales = np.bincount(pairs[:, 0], amount, firms)
        inputs = np.bincount(pairs[:, 1], amount, firms)
        final_demand = np.maximum(inputs * rng.uniform(1.2, 2, firms) - sales, 0.1)
        names = [f"S{k}" for k in range(sectors)]
        return firm_network(
            pairs[:, 0], pairs[:, 1], amount, final_demand, sector=rng.integers(0, sectors, firms), sectors=names
        )

    return make


@pytest.fixture(scope="session")
def toy() -> FirmNetwork:
    return toy_network()


@pytest.fixture
def make(tmp_path: Path) -> MakeSpec:
    """Makes specs of the toy economy."""
    return spec_maker(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a spec beside a folder that passes for its economy."""
    (tmp_path / "world.zarr").mkdir()

    def file(text: str) -> Path:
        path = tmp_path / "sweep.yaml"
        path.write_text(text, "utf-8")
        return path

    return file


@pytest.fixture(scope="session")
def of_24_firms(random_network: Callable[..., FirmNetwork]) -> Problem:
    with jax.enable_x64(True):
        unknown = economy(random_network(firms=24, links=90, sectors=3, seed=2))
        return with_data(unknown, prior_draws(unknown, member_keys(1, [0])))


@pytest.fixture
def small(of_24_firms: Problem, float64: None) -> Problem:
    """A calibration with data, in double precision."""
    return of_24_firms
