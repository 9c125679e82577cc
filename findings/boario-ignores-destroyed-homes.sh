#!/usr/bin/env bash
# BoARIO 0.7.2 takes damage to households (`households_impact`) of an event that recovers, and does nothing with it.
# A good guess: what households lose adds to demand or to the loss, or is refused. Seen: with all that households spend in half
# a year destroyed, output, final demand and what of it is unmet are the same to the last bit; of an event that is rebuilt,
# the same argument costs output.
# Who meets it: studies of floods and quakes, where homes are most of the damage.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'boario==0.7.2' 'pymrio==0.7.0' 'pandas==3.1.1' 'numpy==2.5.5' 'progressbar2==4.6.0' 'rich==15.0.0' 'scipy==1.18.1'
venv/bin/python -W ignore - <<'PY'
import logging
from importlib.metadata import version

import pandas as pd
import pymrio
from boario.event import EventKapitalRebuild, EventKapitalRecover
from boario.extended_models import ARIOPsiModel
from boario.simulation import Simulation

logging.disable(logging.CRITICAL)
print("boario", version("boario"))
industries = pd.MultiIndex.from_product([["A", "B"], ["construction", "goods"]], names=["region", "sector"])
demands = pd.MultiIndex.from_product([["A", "B"], ["final demand"]], names=["region", "category"])
flows, final = pd.DataFrame(20.0, industries, industries), pd.DataFrame(100.0, industries, demands)


def simulate(kind, homes, **how):
    model = ARIOPsiModel(pymrio.IOSystem(Z=flows, Y=final).calc_all(), monetary_factor=10**6)
    common = {"occurrence": 5, "duration": 5, "event_monetary_factor": 10**6, **how}
    if homes:
        common["households_impact"] = final.sum().iloc[:1] / 2
    simulation = Simulation(model, n_temporal_units_to_sim=90)
    simulation.add_event(kind._from_series(pd.Series([50.0], index=industries[1:2]), **common))
    simulation.loop()
    return simulation.production_realised, simulation.final_demand, simulation.final_demand_unmet


def output(found):
    return float(found[0].to_numpy().sum())


recover = [simulate(EventKapitalRecover, homes, recovery_tau=40) for homes in (False, True)]
rebuilding = {"rebuild_tau": 40, "rebuilding_sectors": {"construction": 1.0}, "rebuilding_factor": 1.0}
rebuild = [simulate(EventKapitalRebuild, homes, **rebuilding) for homes in (False, True)]
print("output of 90 days without and with homes destroyed, recovering:", [output(found) for found in recover])
print("output of 90 days without and with homes destroyed, rebuilt:", [output(found) for found in rebuild])
assert all(without.equals(with_homes) for without, with_homes in zip(*recover)), "the behaviour has changed"
assert output(rebuild[0]) != output(rebuild[1]), "the behaviour has changed"
PY
