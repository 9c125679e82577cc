"""shockmesh in Python: specs as programs and back, an economy from frames, and every verb with objects in and out."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bad_specs import BASE, SPECS
from hypothesis import given
from hypothesis import strategies as st
from shockmesh.cluster import api as sm
from shockmesh.cluster.cli import main
from shockmesh.cluster.python.code import NAMES
from shockmesh.cluster.seeing.progress import Pace, Progress
from shockmesh.cluster.spec.fields import Frozen
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.source import parse_source, read_source
from shockmesh.cluster.verbs.printing import DONE
from shockmesh.io.examples import EXAMPLES
from shockmesh.io.results import open_run
from shockmesh.kernels.network import FirmNetwork

ANY: Any = sm  # type checkers do not know that one name stands for a list of them


def same(one: Spec, other: Spec) -> bool:
    return one.model_dump(mode="json") == other.model_dump(mode="json")


def from_python(text: str) -> Spec:
    names: dict[str, Any] = {}
    exec(text, names)
    return names["spec"]


FILES = {f"{path.parent.name}/{path.name}": path for path in sorted(EXAMPLES.glob("*/*.yaml"))}


@pytest.mark.parametrize("name", FILES)
def test_examples_print_as_python_and_as_yaml_and_back(name: str):
    spec = parse_spec(read_source(FILES[name]).data, folder=FILES[name].parent)
    assert same(from_python(sm.as_python(spec)), spec)
    assert same(parse_spec(parse_source("spec", sm.as_yaml(spec)).data), spec)


@pytest.mark.parametrize("name", SPECS)
def test_specs_of_every_kind_print_as_python_and_back(name: str):
    """Those that bad ones are made of, which have every shock and every part."""
    spec = parse_spec(BASE | SPECS[name], folder=Path.cwd())
    assert same(from_python(sm.as_python(spec)), spec)
    assert same(parse_spec(parse_source("spec", sm.as_yaml(spec)).data), spec)


NUMBER = st.floats(0.01, 0.99)
NAME = st.text("abc", min_size=1, max_size=4)
PER_FIRM = st.one_of(
    NUMBER, st.fixed_dictionaries({"default": NUMBER, "by_sector": st.dictionaries(NAME, NUMBER, max_size=2)})
)
SHOCK = st.fixed_dictionaries(
    {"name": st.just("a"), "kind": st.just("recovery"), "loss": PER_FIRM},
    optional={
        "onset": st.floats(0, 8), "recovery_days": PER_FIRM, "course": st.sampled_from(["linear", "hyperbolic"]),
        "where": st.fixed_dictionaries({}, optional={"region": st.lists(NAME, min_size=1), "share": NUMBER}),
    },
)  # fmt: skip
MODEL = st.fixed_dictionaries(
    {}, optional={"preset": st.sampled_from(["hamid2025", "pichler2022"]), "inventory_days": st.floats(1, 90),
                  "prices": st.just({}), "inventory_by_product": st.just({"C": "inf"})}
)  # fmt: skip


@given(st.lists(SHOCK, max_size=1), MODEL, st.floats(0.1, 0.4))
def test_any_spec_is_a_program(shocks: list[Any], model: Any, low: float):
    data: dict[str, Any] = {
        "economy": "w.zarr",
        "horizon": {"days": 9, "start": "2020-03-01"},
        "model": model,
        "shocks": shocks,
    }
    if shocks:
        data["sweep"] = {"members": 2, "vary": {"shocks.a.loss": {"uniform": [low, 0.5]}}}
    spec = parse_spec(data, folder=Path.cwd())
    assert same(from_python(sm.as_python(spec)), spec)
    assert same(parse_spec(parse_source("spec", sm.as_yaml(spec)).data), spec)


def test_the_import_loads_nothing_heavy():
    code = (
        "import sys, time\nbegan = time.perf_counter()\nfrom shockmesh.cluster import api as sm\n"
        "print(sorted({'jax', 'ray', 'xarray', 'zarr', 'pandas', 'pydantic', 'numpy'} & set(sys.modules)))\n"
        "assert len(dir(sm)) > 30\nprint(time.perf_counter() - began < 0.3)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["[]", "True"]


def test_every_public_name_is_there_typed_and_documented():
    assert sorted(sm.__all__) == sorted(sm._HOME)
    for name in sm.__all__:
        of = getattr(sm, name)
        assert (inspect.getdoc(of) or "").strip(), name
        if inspect.isfunction(of):
            given = inspect.signature(of)
            untyped = [word for word, one in given.parameters.items() if one.annotation is inspect.Parameter.empty]
            assert (untyped, given.return_annotation is inspect.Signature.empty) == ([], False), name
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = sm.nonesuch  # pyright: ignore[reportAttributeAccessIssue]


def parts(of: Any) -> Iterator[str]:
    """The models of a type and of all that it holds, by name."""
    if isinstance(of, type) and issubclass(of, Frozen):
        yield of.__name__.partition("[")[0]
        yield from (name for field in of.model_fields.values() for name in parts(field.annotation))
    for inner in (*get_args(of), *filter(None, [getattr(of, "__value__", None)])):
        yield from parts(inner)


def test_every_part_of_a_spec_has_a_name_in_python():
    assert {*parts(Spec)} - {"Spec"} == {*NAMES}
    assert {*NAMES.values()} == set(sm._PLACES["python.objects"])


REFUSED: dict[str, tuple[Any, str]] = {
    "a bound": (lambda: ANY.Recovery(name="a", loss=2), "Recovery: loss: 2: must be ≥ 0 and ≤ 1"),
    "an unknown key": (
        lambda: ANY.Recovery(name="a", loss=0.1, los=3),
        "Recovery: los: 3: unknown key, did you mean «loss»?; there are ",
    ),
    "what is required": (lambda: ANY.Failures(name="a"), "Failures: days_between_failures: missing: required"),
    "a rule across keys": (
        lambda: sm.spec("w.zarr", horizon=9, model=sm.Model(elasticity=0.2)), "model.elasticity: 0.2: is not read by",
    ),
    "a tariff without prices": (
        lambda: sm.spec("w.zarr", horizon=9, shocks=[sm.Tariff(name="t", rate=0.1)]),
        "t.kind: tariff: needs prices that",
    ),
    "a horizon": (lambda: sm.spec("w.zarr", horizon=0), "spec: horizon.days: 0: "),
    "two sources": (lambda: sm.economy("a", links="b"), "takes a source, or links and firms"),
    "no source": (lambda: sm.economy(), "takes a source, or links and firms"),
    "no economy": (lambda: sm.economy("nowhere.zarr"), "nowhere.zarr"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_call_is_refused_in_a_sentence(call: Any, says: str):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert says in str(caught.value)


LINKS = pd.DataFrame({"supplier": ["mine", "mill"], "buyer": ["mill", "shop"], "amount": [10.0, 14.0]})
FIRMS = pd.DataFrame({"firm": ["mine", "mill", "shop"], "sector": ["A", "B", "C"], "final_demand": [0.0, 0.0, 20.0]})


@pytest.fixture(scope="module")
def chain() -> Any:
    return sm.economy(links=LINKS, firms=FIRMS, per="day")


def strike(**more: Any) -> Any:
    return ANY.Recovery(**({"name": "strike", "where": ANY.Where(sector="A"), "loss": 1.0, "onset": 2} | more))


def test_an_economy_from_frames(chain: Any):
    assert chain.links["amount"].tolist() == [10, 14]
    assert chain.firms.set_index("firm").loc["mill", ["output", "value_added"]].tolist() == [14, 4]
    assert (chain.unit, chain.regions, chain.sectors) == ("million USD / day", ("all",), ("A", "B", "C"))
    for shown in (str(chain), chain._repr_html_(), repr(dict(chain.__rich_repr__()))):
        assert "44 million USD / day" in shown


def test_an_economy_from_a_network_in_memory(toy: FirmNetwork, tmp_path: Path):
    made = sm.economy(toy, store=tmp_path / "toy.zarr")
    assert (made.path, made.network.n_links) == (str(tmp_path / "toy.zarr"), toy.n_links)


def test_a_run_in_memory_is_a_run_in_a_folder_is_the_command_lines(chain: Any, tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    spec = sm.spec(chain, horizon=12, shocks=[strike(recovery_days=3)], record={"output": ["sector"]})
    found, kept = sm.run(spec), sm.run(spec, "run")
    Path("spec.yaml").write_text(sm.as_yaml(spec))
    assert main(["run", "spec.yaml", "--address", "local", "-o", "by-hand", "-q"]) == DONE
    for other in (kept, open_run("by-hand")):
        np.testing.assert_array_equal(found.output, other.output)
    assert found.output.dims == ("member", "time", "sector")
    assert found.output.attrs["units"] == "million USD / day"
    found.drop_vars("status").to_netcdf("run.nc")

    by_sector = sm.losses(found, "sector").sel(sector="A").item()
    assert by_sector == pytest.approx(1 - float((kept.output / kept.output_baseline).sel(sector="A").mean()))
    assert sm.headline(found)["loss"] == sm.headline("run")["loss"]
    assert json.loads(found.attrs["manifest"])["notes"]
    for where in (sm.report(found, "memory.html"), sm.report("run")):
        assert "of the capacity to produce" in where.read_text("utf-8")
    with pytest.raises(ValueError, match="report: path: missing"):
        sm.report(found)


def test_runs_are_compared(chain: Any):
    sweep = {"members": 3, "vary": {"shocks.strike.loss": {"uniform": [0.3, 0.9]}}}
    runs = {
        name: sm.run(sm.spec(chain, horizon=12, shocks=[strike()], sweep=sweep, model={"capacity": capacity}))
        for name, capacity in {"spare": 1.5, "none": 1.0}.items()
    }
    found = sm.compare(runs)
    assert found.members == "pairs"
    assert (found["difference"].sel(run="none") > 0).all()


def test_rankings_and_prices_are_frames(chain: Any):
    spec = sm.spec(chain, horizon=12, shocks=[strike()], model={"capacity": 1.0})
    assert sm.esri(chain)["firm"].tolist()[0] == "mine"
    assert "importance" in sm.sensitivity(spec)
    dearer = sm.spec(chain, horizon=12, model={"prices": {}}, shocks=[sm.Cost(name="wages", rate=0.1)])
    assert sm.prices(dearer).price == pytest.approx(np.full(3, 1.1), rel=1e-3)


def test_a_study_of_robustness(chain: Any):
    found = sm.robustness(sm.spec(chain, horizon=12, shocks=[strike()]), presets=["hamid2025"], days=[2, 9])
    assert str(found).startswith("How sure? Under 6 models (3 rules for inputs, 2 levels of stock) the loss is ")
    assert found.levels["production"] == ("leontief", "half_critical", "weakly_critical")
    assert found.by_level["inventory_days"]["2 days"]["worst"] > found.by_level["inventory_days"]["9 days"]["worst"]


def test_a_calibration_gives_a_posterior(chain: Any, tmp_path: Path):
    seen = pd.DataFrame({"day": np.arange(6), "A": 1.0, "B": [1, 1, 1, 0.9, 0.8, 0.8], "C": 1.0})
    seen.to_csv(tmp_path / "seen.csv", index=False)
    spec = sm.spec(
        chain, horizon=6, shocks=[strike(loss=0.5)], observe=[sm.Observe(file=str(tmp_path / "seen.csv"))],
        infer={"parameters": {"shocks.strike.loss": {"spread": {"all": 0.5}}}, "steps": 2, "draws": 4},
    )  # fmt: skip
    with pytest.raises(ValueError, match="run: a calibration; call calibrate"):
        sm.run(spec)
    found = sm.calibrate(spec)
    assert isinstance(found, xr.DataTree)
    assert "posterior" in found.children
    with pytest.raises(ValueError, match="calibrate: a spec without infer"):
        sm.calibrate(sm.spec(chain, horizon=6))


class Shown:
    """What a notebook would show."""

    def __init__(self) -> None:
        self.html: list[str] = []

    def HTML(self, text: str) -> str:
        return text

    def display(self, html: str, display_id: bool) -> "Shown":
        self.html.append(html)
        return self

    def update(self, html: str) -> None:
        self.html.append(html)


def test_a_notebook_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch):
    shown = Shown()
    for name in ("ipykernel", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, shown)  # pyright: ignore[reportArgumentType]
    with Progress() as progress:
        progress.show(Pace(3, 8, 100, 2.0))
    assert shown.html[0].startswith('<progress value="3" max="8"></progress> 3 of 8 members (38 %)')
    assert shown.html[1:] == [""]
    with Progress(quiet=True) as progress:
        progress.show(Pace(3, 8, 100, 2.0))
    assert len(shown.html) == 2


def test_validate_prints_a_program(chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    spec = sm.spec(chain, horizon=12, shocks=[strike()])
    Path("s.yaml").write_text(sm.as_yaml(spec))
    assert main(["validate", "s.yaml", "--python"]) == DONE
    assert same(from_python(capsys.readouterr().out), spec)
