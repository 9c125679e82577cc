"""Events of a catalogue: how its file is read, which member has which, and what each takes from whom."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.running.provenance import inputs
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.cautions import cautions
from shockmesh.cluster.spec.events import counted
from shockmesh.cluster.spec.load import Spec, SpecError
from shockmesh.io.inputs.events import Events, count_events, groups, read_events
from shockmesh.io.inputs.scenarios import ScenarioError
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.network import FirmNetwork
from toy import DAYS, MakeSpec

ROWS = """event,region,sector,loss,frequency
calm,ESP,A01,0.125,0.5
storm,GBR,I,0.75,0.0625
calm,FRA,G47,0.25,0.5
"""
COLUMNS = pd.MultiIndex.from_tuples([("ESP", "A01"), ("FRA", "G47"), ("GBR", "I")], names=["region", "sector"])
SHARES = pd.DataFrame([[0.125, 0.25, 0], [0, 0, 0.75]], pd.Index(["calm", "storm"], name="event_id"), COLUMNS)
LOSSES = {("calm", 0, 0): 0.125, ("calm", 1, 2): 0.25, ("storm", 2, 3): 0.75}  # event, region, sector


def losses(network: FirmNetwork, read: Events) -> dict[tuple[str, int, int], float]:
    """The losses above 0 of every event, by region and sector."""
    _, size = groups(network, read.place)
    table = read.table("loss", np.arange(len(read.names)), size).reshape(3, 4, -1)
    return {(str(read.names[e]), int(r), int(s)): table[r, s, e] for r, s, e in zip(*table.nonzero(), strict=True)}


def test_rows_are_read_from_text_and_parquet_and_from_shares_as_pandas_writes_them(toy: FirmNetwork, tmp_path: Path):
    (tmp_path / "long.csv").write_text(ROWS)
    pd.read_csv(tmp_path / "long.csv").to_parquet(tmp_path / "long.parquet")
    pd.read_csv(tmp_path / "long.csv").astype({"event": "category"}).to_parquet(tmp_path / "coded.parquet")
    SHARES.to_csv(tmp_path / "wide.csv")  # as `relative_impact.to_csv` of CLIMADA petals
    for name in ("long.csv", "long.parquet", "coded.parquet", "wide.csv"):
        read = read_events(str(tmp_path / name), toy)
        assert losses(toy, read) == LOSSES
        assert read.names.tolist() == ["calm", "storm"]
        assert count_events(str(tmp_path / name)) == 2
        if name != "wide.csv":
            assert read.frequency is not None
            np.testing.assert_array_equal(read.frequency, [0.5, 0.0625])


def test_an_event_without_a_loss_stays_an_event(toy: FirmNetwork, tmp_path: Path):
    (0 * SHARES).to_csv(tmp_path / "wide.csv")
    assert read_events(str(tmp_path / "wide.csv"), toy).names.tolist() == ["calm", "storm"]


BAD = {
    "no such region": ("event,region,loss\na,ESP,1\nb,UK,1\n", "region: row 3: UK: must be a region of the economy"),
    "no such firm": ("event,firm,loss\na,f99,1\n", "firm: row 2: f99: must be a firm of the economy"),
    "a loss above one": ("event,sector,loss\na,I,1.5\n", "loss: row 2: 1.5: must be a number ≥ 0 and ≤ 1"),
    "no number": ("event,sector,loss\na,I,\n", "loss: row 2: : must be a number ≥ 0 and ≤ 1"),
    "a duration of nothing": (
        "event,sector,loss,duration\na,I,1,0\n",
        "duration: row 2: 0: must be a number ≥ 0.001 and ≤ 1e+06",
    ),
    "a place twice": (
        "event,region,sector,loss\na,ESP,I,1\nb,ESP,I,1\na,ESP,I,0\n",
        "event: a in ESP, I: must be in one row for each region and sector",
    ),
    "two frequencies": (
        "event,region,loss,frequency\na,ESP,1,0.5\na,FRA,1,0.25\n",
        "frequency: a: 0.5 and 0.25: must be the same in all rows of an event",
    ),
    "no event": ("region,loss\nESP,1\n", "columns: region, loss: one must be event, or event_id"),
    "loss and damage": (
        "event,region,loss,damage\na,ESP,1,1\n",
        "columns: region, loss, damage beside the event: must be event; firm, or region, sector or both; loss or "
        "damage; and may be frequency, onset, duration, recovery_days",
    ),
    "no rows": ("event,region,loss\n", "rows: 0: must be at least one"),
    "a short row": ("event,region,loss\na,ESP\n", "cannot be read: CSV parse error: Expected 3 columns, got 2: a,ESP"),
    "many": (
        "event,region,loss\n" + "".join(f"{i},UK,1\n" for i in range(7)),
        "region: row 2: UK, row 3: UK, row 4: UK, row 5: UK, row 6: UK and 2 more: must be a region of the economy",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_names_row_value_and_rule(toy: FirmNetwork, tmp_path: Path, text: str, message: str):
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_events(str(tmp_path / "events.csv"), toy)
    assert str(caught.value) == f"{tmp_path / 'events.csv'}: {message}"


def spec_of(make: MakeSpec, folder: Path, rows: str = ROWS, shock: dict[str, Any] | None = None, **top: Any) -> Spec:
    (folder / "events.csv").write_text(rows)
    storms = {"name": "storms", "kind": "events", "file": "events.csv", **(shock or {})}
    return counted(make(**{"shocks": [storms], "record": {"output": ["firm"]}, **top}))


def test_each_event_is_a_member_that_does_what_the_same_loss_does(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    spec = spec_of(make, tmp_path, shock={"onset": 2, "recovery_days": 4})
    simulator = Simulator(spec, toy, block=2)
    found = simulator.simulate(range(2))["output"]
    for member, loss in enumerate(({"ESP": ("A01", 0.125), "FRA": ("G47", 0.25)}, {"GBR": ("I", 0.75)})):
        shocks = [
            {"name": region, "kind": "recovery", "where": {"region": region, "sector": sector}, "loss": share,
             "onset": 2, "recovery_days": 4}
            for region, (sector, share) in loss.items()
        ]  # fmt: skip
        alone = Simulator(make(shocks=shocks, record={"output": ["firm"]}), toy).simulate(range(1))["output"]
        np.testing.assert_allclose(found[member], alone[0], rtol=1e-12)
    assert (found[1] < 0.99 * toy.output).any()
    coords = simulator.template(2).member_coords
    assert coords["shocks.storms.event"].tolist() == ["calm", "storm"]
    np.testing.assert_array_equal(coords["shocks.storms.frequency"], [0.5, 0.0625])
    assert inputs(spec, toy)["shocks.0.file"]["path"] == str(tmp_path / "events.csv")


DATED = "event,firm,loss,onset,duration,recovery_days\na,f0,0.5,1,2,1\nb,f1,0.5,3,4,8\n"
COURSES: dict[str, tuple[str, dict[str, Any], list[float]]] = {  # rows, shock → loss of f0 in event a on days 0 … 5
    "stays": ("event,firm,loss\na,f0,0.5\n", {"onset": 2}, [0, 0, 0.5, 0.5, 0.5, 0.5]),
    "ends": ("event,firm,loss\na,f0,0.5\n", {"onset": 1, "duration": 3}, [0, 0.5, 0.5, 0.5, 0, 0]),
    "ends within a day": ("event,firm,loss,duration\na,f0,0.5,2.5\n", {"onset": 1}, [0, 0.5, 0.5, 0.25, 0, 0]),
    "recovers": (DATED, {}, [0, 0.5, 0.5, 0.5, 0.5 / np.e, 0.5 / np.e**2]),
    "recovers at once": (
        "event,firm,loss,recovery_days\na,f0,0.5,2\n",
        {"course": "linear"},
        [0.5, 0.25, 0, 0, 0, 0],
    ),
}


@pytest.mark.parametrize(("rows", "shock", "loss"), COURSES.values(), ids=COURSES)
def test_a_loss_lasts_and_recovers_as_said(
    toy: FirmNetwork, make: MakeSpec, tmp_path: Path, float64: None, rows: str, shock: dict[str, Any], loss: list[float]
):
    _, scenario = Simulator(spec_of(make, tmp_path, rows, shock), toy).inputs(range(1))
    days = [np.asarray(scenario.productivity[0].factor(jnp.float64(day))) for day in range(6)]
    np.testing.assert_allclose([1 - of[0, 0] for of in days], loss, atol=1e-12)
    assert all((of[1:] == 1).all() for of in days)


def test_a_damage_is_a_share_of_the_capital_that_is_there(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    there = 100 * toy.value_added[toy.region == 0].sum()
    rows = f"event,region,damage\na,ESP,{0.3 * there}\n"
    _, scenario = Simulator(spec_of(make, tmp_path, rows, {"capital_days": 100}), toy).inputs(range(1))
    shock = scenario.productivity[0]
    assert isinstance(shock, Recovery)
    loss = np.asarray(shock.loss)[:, 0]
    np.testing.assert_allclose(loss, np.where(toy.region == 0, 0.3, 0), rtol=1e-6)
    with pytest.raises(ScenarioError, match=r"damage: a in ESP: .* of .*: must be at most the capital there"):
        bind(spec_of(make, tmp_path, rows, {"capital_days": 29}), toy)


MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[float]]] = {
    "one for each": ({}, {}, ["calm", "storm"], [0.5, 0.0625]),
    "over and over": ({}, {"members": 4}, ["calm", "storm", "calm", "storm"], [0.25, 0.03125, 0.25, 0.03125]),
    "the first": ({}, {"members": 1}, ["calm"], [0.5]),
    "one that is named": ({"event": "storm"}, {"members": 2}, ["storm", "storm"], [0.03125, 0.03125]),
    "named by the sweep": ({}, {"grid": {"shocks.storms.event": ["storm"]}}, ["storm"], [0.0625]),
}


@pytest.mark.parametrize(("shock", "sweep", "events", "frequency"), MEMBERS.values(), ids=MEMBERS)
def test_members_have_events_and_share_their_frequency(
    toy: FirmNetwork, make: MakeSpec, tmp_path: Path, shock: dict[str, Any], sweep: dict[str, Any], events: list[str],
    frequency: list[float],
):  # fmt: skip
    members = bind(spec_of(make, tmp_path, shock=shock, sweep=sweep), toy).members
    assert members.values["shocks.storms.event"].tolist() == events
    np.testing.assert_array_equal(members.values["shocks.storms.frequency"], frequency)


def test_other_numbers_may_vary_beside_events(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    vary = {"shocks.storms.recovery_days": {"uniform": [5, 9]}, "model.inventory_days": {"uniform": [3, 9]}}
    spec = spec_of(make, tmp_path, sweep={"vary": vary})
    assert spec.members == 2
    assert Simulator(spec, toy).simulate(range(2))["output"].shape == (2, DAYS, 24)


MISFITS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such event": (
        ROWS,
        {"event": "strom"},
        "shocks.storms.event: strom: no such event in the file, did you mean «storm»?",
    ),
    "nothing alike": (ROWS, {"event": "xyz"}, "shocks.storms.event: xyz: no such event in the file; it has 2: calm"),
    "said twice": (DATED, {"onset": 3}, "shocks.storms.onset: 3.0: {path} says it, by event"),
}


@pytest.mark.parametrize(("rows", "shock", "message"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_the_file_is_named(
    toy: FirmNetwork, make: MakeSpec, tmp_path: Path, rows: str, shock: dict[str, Any], message: str
):
    with pytest.raises(SpecError) as caught:
        bind(spec_of(make, tmp_path, rows, shock), toy)
    assert message.format(path=tmp_path / "events.csv") in str(caught.value)


def test_two_catalogues_are_refused(make: MakeSpec, tmp_path: Path):
    two = [{"name": name, "kind": "events", "file": "events.csv"} for name in ("a", "b")]
    with pytest.raises(SpecError, match=r"shocks\.b\.kind: events: a spec has one catalogue"):
        make(shocks=two)


def test_places_without_firms_are_told(toy: FirmNetwork, make: MakeSpec, tmp_path: Path):
    spec = spec_of(make, tmp_path, ROWS + "storm,FRA,I,0.5,0.0625\n")
    told = [line for line in cautions(spec, bind(spec, toy), toy) if "no firm" in line]
    assert told == [
        f"shocks.storms: 1 of 4 rows of {tmp_path / 'events.csv'} are of places where the economy has no firm; nobody "
        "loses anything there"
    ]
