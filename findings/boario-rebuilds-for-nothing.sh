#!/usr/bin/env bash
# BoARIO 0.7.2 gives back destroyed capital at once where the industry hit buys nothing from a sector that is to rebuild it.
# A good guess: rebuilding is asked of the sectors named, or the event is refused. Seen: construction is to rebuild four fifths
# of 50 million; where the industry hit has no purchases of construction, 40 million are whole again on the first day of
# rebuilding, and 10 million are built in all. In most tables industries buy little construction for current use.
# Who meets it: whoever compares the losses of industries in a disaster: those without such purchases recover for nothing.
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

import numpy as np
import pandas as pd
import pymrio
from boario.event import EventKapitalRebuild
from boario.extended_models import ARIOPsiModel
from boario.simulation import Simulation

logging.disable(logging.CRITICAL)
print("boario", version("boario"))
sectors = ["construction", "goods", "services"]
industries = pd.MultiIndex.from_product([["A", "B"], sectors], names=["region", "sector"])
demands = pd.MultiIndex.from_product([["A", "B"], ["final demand"]], names=["region", "category"])
hit = industries[2:3]


def simulate(purchases):
    """What is built in all, and capital lost on the last day before rebuilding and the first day of it (millions)."""
    flows, final = pd.DataFrame(20.0, industries, industries), pd.DataFrame(100.0, industries, demands)
    flows.loc[(slice(None), "construction"), hit] = purchases
    model = ARIOPsiModel(pymrio.IOSystem(Z=flows, Y=final).calc_all(), monetary_factor=10**6)
    event = EventKapitalRebuild._from_series(
        pd.Series([50.0], index=hit), occurrence=5, duration=5, rebuild_tau=30, rebuilding_factor=1.0,
        rebuilding_sectors={"construction": 0.8, "goods": 0.2}, event_monetary_factor=10**6,
    )
    simulation = Simulation(model, n_temporal_units_to_sim=200)
    simulation.add_event(event)
    simulation.loop()
    lost = simulation.productive_capital_to_recover.sum(axis=1)
    return [round(float(value), 1) for value in (np.nansum(simulation.rebuild_prod), lost.iloc[10], lost.iloc[11])]


buys, buys_none = simulate(20.0), simulate(0.0)
print("built, lost on day 10, lost on day 11: if it buys construction", buys, "- if it buys none", buys_none)
assert buys == [49.8, 50.0, 49.0], "the behaviour has changed"
assert buys_none == [10.0, 50.0, 9.7], "the behaviour has changed"
PY
