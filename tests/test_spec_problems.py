"""A spec says where it is wrong: file, line, field, value and rule, all problems at once."""

from pathlib import Path

import pytest
from shockmesh.kernels.model import PRESETS
from specs import GOOD, Write, problems

# what to replace in GOOD → by what → the one problem it makes
BAD = {
    "a number by two names": (
        "inventory_days: {default: 10",
        "main_inv_dur: 9, inventory_days: {default: 10",
        "2: model: {'preset': 'hamid2025', 'main_inv_dur': 9, 'inventory_days'…: gives the same number by two names: "
        "inventory_days and main_inv_dur",
    ),
    "a number of an event by two names": (
        "onset: 10",
        "onset: 10, occurrence: 10",
        "5: shocks.lockdown: {'name': 'lockdown', 'kind': 'recovery', 'where': {'region'…: gives the same number by "
        "two names: onset and occurrence",
    ),
    "BoARIO's convexe recovery": (
        "recovery_days: 40",
        "recovery_tau: 40, recovery_function: convexe",
        "5: shocks.lockdown: {'name': 'lockdown', 'kind': 'recovery', 'where': {'region'…: recovery_tau is the days "
        "of a linear or concave recovery; for BoARIO's convexe say course: exponential and recovery_days: "
        "-1 / (4 ln(1 - 1 / recovery_tau))",
    ),
    "an s-shaped recovery within two days": (
        "recovery_days: 40",
        "recovery_days: {default: 3, by_sector: {I: 2}}, course: s_shaped",
        "5: shocks.lockdown.recovery_days.by_sector.I: 2.0: must be > 2 and ≤ 1,000,000 with course: s_shaped",
    ),
    "unknown key": (
        "horizon:",
        "horizn: {days: 1}\nhorizon:",
        "3: horizn: {'days': 1}: unknown key, did you mean «horizon»?; there are economy, year, model, horizon, "
        "shocks, sweep, record, resources, observe, infer, allocate, precision, engine",
    ),
    "missing key": ("{days: 365}", "{}", "3: horizon.days: missing: required"),
    "days of zero": ("days: 365", "days: 0", "3: horizon.days: 0: must be greater than or equal to 1"),
    "days as a text": (
        "days: 365",
        "days: '365'",
        "3: horizon.days: 365: must be a number, or a time such as 3 weeks or 6 months",
    ),
    "no such preset": (
        "hamid2025",
        "hamid2024",
        f"2: model.preset: hamid2024: no such preset, did you mean «hamid2025»?; there are {', '.join(PRESETS)}",
    ),
    "no such production function": (
        "inventory_days: {default",
        "production: magic, inventory_days: {default",
        "2: model.production: magic: must be 'leontief', 'linear', 'ces', 'threshold', 'strongly_critical', "
        "'half_critical' or 'weakly_critical'",
    ),
    "elasticity of one": (
        "inventory_days: {default",
        "production: ces, elasticity: 1.0, inventory_days: {default",
        "2: model.elasticity: 1.0: must be ≥ 0.001 and < 1",
    ),
    "a number that nothing reads": (
        "inventory_days: {default",
        "elasticity: 0.5, inventory_days: {default",
        "2: model.elasticity: 0.5: is not read by production: leontief and capacity_rule: constant",
    ),
    "criticality that nothing reads": (
        "inventory_days: {default",
        "criticality: ihs.csv, inventory_days: {default",
        "2: model.criticality: {folder}/ihs.csv: is not read by production: leontief and capacity_rule: constant",
    ),
    "spending without labour": (
        "inventory_days: {default",
        "consumption: labour_income, inventory_days: {default",
        "2: model.consumption: labour_income: needs labour: capacity_rule: hiring",
    ),
    "a tariff where prices are fixed": (
        "kind: recovery, where: {region: GBR, sector: [I, G47]}, loss: 0.6, onset: 10, recovery_days: 40",
        "kind: tariff, from: {region: GBR}, rate: 0.25",
        "5: shocks.lockdown.kind: tariff: needs prices that move: model.prices, {} for all its defaults",
    ),
    "prices that are fixed, recorded": (
        "value_added: [region]",
        "price: [region]",
        "12: record.price: ['region']: needs prices that move: model.prices, {} for all its defaults",
    ),
    "suppliers that are fixed, recorded": (
        "value_added: [region]",
        "switched: [region]",
        "12: record.switched: ['region']: needs suppliers that change: model.suppliers, {} for all its defaults",
    ),
    "a turnover above one": (
        "inventory_days: {default",
        "suppliers: {turnover: {by_region: {GBR: 2}}}, inventory_days: {default",
        "2: model.suppliers.turnover.by_region.GBR: 2: must be ≥ 0 and ≤ 1",
    ),
    "the consumer prices of a sector": (
        "value_added: [region]",
        "consumer_price_index: [sector]",
        "12: record.consumer_price_index: ['sector']: is of regions: [region], or [] for their mean",
    ),
    "a tariff that takes all": (
        "kind: recovery, where: {region: GBR, sector: [I, G47]}, loss: 0.6, onset: 10, recovery_days: 40",
        "kind: tariff, rate: -1",
        "5: shocks.lockdown.rate: -1: must be ≥ -0.99 and ≤ 100",
    ),
    "a premium of a sector below zero": (
        "inventory_days: {default",
        "prices: {scarcity: {by_sector: {I: -1}}}, inventory_days: {default",
        "2: model.prices.scarcity.by_sector.I: -1: must be ≥ 0 and ≤ 100",
    ),
    "benefits above one": (
        "inventory_days: {default",
        "consumption: labour_income, capacity_rule: hiring, benefit_share: 1.5, inventory_days: {default",
        "2: model.benefit_share: 1.5: must be ≥ 0 and ≤ 1",
    ),
    "benefits that nobody reads": (
        "inventory_days: {default",
        "benefit_share: 0.5, inventory_days: {default",
        "2: model.benefit_share: 0.5: is not read by production: leontief and capacity_rule: constant",
    ),
    "a path that nothing reads": (
        "model.inventory_days:",
        "model.hiring_days:",
        "11: sweep.vary.model.hiring_days: model.hiring_days: is not read by the model's mechanisms",
    ),
    "inventory below a day": (
        "C10-C12: 5",
        "C10-C12: 0.5",
        "2: model.inventory_days.by_sector.C10-C12: 0.5: must be ≥ 1 and ≤ 1,000,000",
    ),
    "inventory of a product below a day": (
        "inventory_days: {default",
        "inventory_by_product: {A: 0}, inventory_days: {default",
        "2: model.inventory_by_product.A: 0: must be ≥ 1 and ≤ 1,000,000",
    ),
    "inventory of a product as a text": (
        "inventory_days: {default",
        "inventory_by_product: {A: lots}, inventory_days: {default",
        "2: model.inventory_by_product.A: lots: must be a number, or a time such as 3 weeks or 6 months",
    ),
    "loss above one": ("loss: 0.6", "loss: 1.6", "5: shocks.lockdown.loss: 1.6: must be ≥ 0 and ≤ 1"),
    "loss as a text": (
        "loss: 0.6",
        "loss: lots",
        "5: shocks.lockdown.loss: lots: must be a number, or per cent such as 30 %",
    ),
    "loss true": ("loss: 0.6", "loss: true", "5: shocks.lockdown.loss: True: must be a number"),
    "infinite recovery": (
        "recovery_days: 40",
        "recovery_days: .inf",
        "5: shocks.lockdown.recovery_days: inf: must be ≥ 0.001 and ≤ 1,000,000",
    ),
    "no such kind": (
        "kind: recovery",
        "kind: storm",
        "5: shocks.lockdown.kind: storm: no such kind; "
        "there are recovery, failures, damage, household_damage, cut, closure, table, events, tariff, cost",
    ),
    "linear recovery misspelt": (
        "kind: recovery",
        "kind: recovery, course: straight",
        "5: shocks.lockdown.course: straight: must be 'exponential', 'hyperbolic', 'linear' or 's_shaped'",
    ),
    "damage without builders": (
        "kind: recovery",
        "kind: damage",
        "5: shocks.lockdown.builders: missing: required",
    ),
    "nobody builds": (
        "kind: recovery",
        "kind: damage, builders: {}",
        "5: shocks.lockdown.builders: {}: must not be empty",
    ),
    "a cut by sector": (
        "sweep:\n  seed: 7\n  members: 200\n  vary:\n",
        "  - {name: route, kind: cut, origin: {region: CHN}}\n"
        "sweep:\n  members: 200\n  vary:\n    shocks.route.loss.by_sector.I: {uniform: [0, 1]}\n",
        "10: sweep.vary.shocks.route.loss.by_sector.I: shocks.route.loss.by_sector.I: "
        "a cut has one number for all firms",
    ),
    "homes by sector": (
        "sweep:\n  seed: 7\n  members: 200\n  vary:\n",
        "  - {name: homes, kind: household_damage, worth: 9.0, builders: {F: 1.0}}\n"
        "sweep:\n  members: 200\n  vary:\n    shocks.homes.worth.by_sector.I: {uniform: [0, 1]}\n",
        "10: sweep.vary.shocks.homes.worth.by_sector.I: shocks.homes.worth.by_sector.I: "
        "a household_damage has one number for all firms",
    ),
    "a detour of no time": (
        "sweep:\n  seed: 7\n",
        "  - {name: route, kind: cut, origin: {region: CHN}, detour_days: 0.5}\nsweep:\n  seed: 7\n",
        "6: shocks.route.detour_days: 0.5: must be ≥ 1 and ≤ 1,000,000",
    ),
    "detours drawn below a day": (
        "sweep:\n  seed: 7\n  members: 200\n  vary:\n",
        "  - {name: route, kind: cut, origin: {region: CHN}}\n"
        "sweep:\n  members: 200\n  vary:\n    shocks.route.detour_days: {uniform: [0, 9]}\n",
        "10: sweep.vary.shocks.route.detour_days: {'uniform': {'low': 0.0, 'high': 9.0}}: "
        "draws from 0 to 9; every value must be ≥ 1 and ≤ 1,000,000",
    ),
    "region as a number": (
        "region: GBR",
        "region: [7]",
        "5: shocks.lockdown.where.region[0]: 7: must be a text; put it in quotes",
    ),
    "share of zero": ("region: GBR", "share: 0", "5: shocks.lockdown.where.share: 0: must be > 0 and ≤ 1"),
    "no such distribution": (
        "uniform:",
        "unifrom:",
        "10: sweep.vary.shocks.lockdown.loss: {'unifrom': [0.2, 0.8]}: "
        "no distribution «unifrom», did you mean uniform?; "
        "there are uniform, loguniform, normal, truncated_normal, lognormal, triangular, beta, choice",
    ),
    "distribution the wrong way round": (
        "[0.2, 0.8]",
        "[0.8, 0.2]",
        "10: sweep.vary.shocks.lockdown.loss: {'uniform': [0.8, 0.2]}: uniform needs low < high",
    ),
    "distribution beyond the domain": (
        "[0.2, 0.8]",
        "[0.2, 1.8]",
        "10: sweep.vary.shocks.lockdown.loss: {'uniform': {'low': 0.2, 'high': 1.8}}: "
        "draws from 0.2 to 1.8; every value must be ≥ 0 and ≤ 1",
    ),
    "path of no shock": (
        "shocks.lockdown.loss:",
        "shocks.lockdwn.loss:",
        "10: sweep.vary.shocks.lockdwn.loss: shocks.lockdwn.loss: no such path, did you mean «shocks.lockdown.loss»?",
    ),
    "path that is fixed": (
        "shocks.lockdown.loss:",
        "horizon.days:",
        "10: sweep.vary.horizon.days: horizon.days: is fixed within a sweep",
    ),
    "one value twice": (
        "shocks.lockdown.loss:",
        "model.inventory_days.default:",
        "10: sweep.vary.model.inventory_days.default: {'uniform': {'low': 0.2, 'high': 0.8}}: "
        "draws from 0.2 to 0.8; every value must be ≥ 1 and ≤ 1,000,000",
    ),
    "seed beyond 32 bits": (
        "seed: 7",
        "seed: 4294967296",
        "7: sweep.seed: 4294967296: must be less than 4294967296",
    ),
    "no members": ("  members: 200\n", "", "6: sweep.members: missing: required with vary"),
    "two kinds of sweep": (
        "  vary:",
        "  grid: {model.capacity: [1, 2]}\n  vary:",
        "9: sweep.grid: vary and grid: a sweep has one of vary, grid and list",
    ),
    "no such variable": (
        "value_added",
        "profit",
        "12: record.profit: profit: no such variable; there are output, value_added, final_consumption, final_demand, "
        "demand, capacity, inventory, price, unit_cost, consumer_price_index, tariff_revenue, nominal_output, "
        "nominal_value_added, switched, waiting",
    ),
    "no such dim": (
        "[region, sector]",
        "[country]",
        "12: record.output[0]: country: must be 'region', 'sector' or 'firm'",
    ),
    "a second recording under another name": (
        "value_added: [region]",
        "output_by_firm: [region]",
        "12: record.output_by_firm: ['region']: a second recording is named by its dims, output_by_region",
    ),
    "firms and regions": (
        "[region, sector]",
        "[firm, region]",
        "12: record.output: ['firm', 'region']: firm stands alone: its region and sector are stored as firm_region and "
        "firm_sector",
    ),
    "no device": (
        "record:",
        "resources: {devices_per_gang: 0}\nrecord:",
        "12: resources.devices_per_gang: 0: must be greater than or equal to 1",
    ),
    "memory without a unit": (
        "record:",
        "resources: {memory: lots}\nrecord:",
        "12: resources.memory: lots: must be auto, or a size such as 8 GB or 512 MiB",
    ),
    "a control character": (
        "365",
        "365\a",
        "3: (document): character 0x7: not YAML: special characters are not allowed",
    ),
    "a file that is a loop of links": ("world.zarr", "loop", "1: economy: {folder}/loop: no such file or store"),
    "no levels": (
        "  vary:\n",
        "  grid: {model.capacity: []}\n  vary:\n",
        "9: sweep.grid.model.capacity: []: must be a list of values, at least one",
    ),
    "days as on the sun": (
        "onset: 10",
        "onset: 1.0e+30",
        "5: shocks.lockdown.onset: 1e+30: must be ≥ 0 and ≤ 1,000,000",
    ),
    "a capacity beyond single precision": (
        "inventory_days: {default",
        "capacity: 1.0e+39, inventory_days: {default",
        "2: model.capacity: 1e+39: must be ≥ 1 and ≤ 1,000,000",
    ),
    "a recovery in no time": (
        "recovery_days: 40",
        "recovery_days: 1.0e-300",
        "5: shocks.lockdown.recovery_days: 1e-300: must be ≥ 0.001 and ≤ 1,000,000",
    ),
    "a rate that leaps": (
        "record:",
        "infer: {parameters: {}, rate: 1e+30}\nrecord:",
        "12: infer.rate: 1e+30: must be ≥ 1e-06 and ≤ 10",
    ),
    "an endless temperature": (
        "record:",
        "infer: {parameters: {}, temperature: .inf}\nrecord:",
        "12: infer.temperature: inf: must be ≥ 1e-06 and ≤ 1,000,000",
    ),
    "noise that is all the same": (
        "record:",
        "infer: {parameters: {}, correlation: 1.0}\nrecord:",
        "12: infer.correlation: 1.0: must be ≥ -0.999 and ≤ 0.999",
    ),
    "a spread beyond any number": (
        "record:",
        "infer: {parameters: {model.capacity: {spread: {all: 1e+30}}}}\nrecord:",
        "12: infer.parameters.model.capacity.spread.all: 1e+30: must be ≥ 1e-06 and ≤ 10",
    ),
    "noise beyond any number": (
        "record:",
        "observe: [{file: s.csv, noise: 1e+30}]\nrecord:",
        "12: observe[0].noise: 1e+30: must be ≥ 1e-06 and ≤ 100",
    ),
    "key given twice": (
        "horizon:",
        "horizon: {days: 2}\nhorizon:",
        "4: horizon: horizon: given twice; first at {path}:3",
    ),
    "not YAML": ("{days: 365}", "{days: 365", "4: (document): not YAML: expected ',' or '}', but got ':'"),
    "not a mapping": (GOOD, "- 1\n", "1: (document): [1]: must be a mapping of keys to values"),
    "empty": (GOOD, "", "1: (document): None: must be a mapping of keys to values"),
}


@pytest.mark.parametrize(("old", "new", "expected"), BAD.values(), ids=BAD)
def test_a_bad_spec_names_line_field_value_and_rule(write: Write, old: str, new: str, expected: str):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    (path.parent / "loop").symlink_to("loop")
    expected = expected.replace("{path}", str(path)).replace("{folder}", str(path.parent))
    assert expected in [line.removeprefix("sweep.yaml:") for line in problems(path)]


def test_every_problem_is_reported_at_once(write: Write):
    path = write(GOOD.replace("365", "-1").replace("loss: 0.6", "loss: 2").replace("value_added", "profit"))
    assert [line.split(": ")[:2] for line in problems(path)] == [
        ["sweep.yaml:3", "horizon.days"],
        ["sweep.yaml:5", "shocks.lockdown.loss"],
        ["sweep.yaml:12", "record.profit"],
    ]


def test_files_that_are_not_there_are_named(write: Write, tmp_path: Path):
    path = write(GOOD.replace("world.zarr", "mars.zarr").replace("C10-C12: 5}", "C10-C12: 5}, file: n.csv"))
    assert problems(path) == [
        f"sweep.yaml:1: economy: {tmp_path}/mars.zarr: no such file or store",
        f"sweep.yaml:2: model.inventory_days.file: {tmp_path}/n.csv: no such file or store",
    ]


def test_a_spec_that_is_not_there(tmp_path: Path):
    assert problems(tmp_path / "none.yaml")[0].startswith("none.yaml: (document): ")
