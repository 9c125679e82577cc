#!/usr/bin/env bash
# pymrio 0.7.0 does not read back the labels that it wrote, where they look like numbers or like nothing.
# A good guess: `load_all` gives what `save_all` was given. Seen: the rows of sectors 01 and 02 become 1 and 2, those of the
# region NA (Namibia) become missing, the columns stay as they were, so that a table's rows and columns no longer match.
# Who meets it: users of tables by divisions of NACE, ISIC or NAICS, or by countries' two-letter codes.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'pymrio==0.7.0' 'pandas==3.1.1'
venv/bin/python -W ignore - <<'PY'
from importlib.metadata import version
from tempfile import mkdtemp

import pandas as pd
import pymrio

print("pymrio", version("pymrio"))


def read_back(regions, sectors):
    industries = pd.MultiIndex.from_product([regions, sectors], names=["region", "sector"])
    demands = pd.MultiIndex.from_product([regions, ["households"]], names=["region", "category"])
    folder = mkdtemp(dir=".")
    flows, final = pd.DataFrame(2.0, industries, industries), pd.DataFrame(9.0, industries, demands)
    pymrio.IOSystem(Z=flows, Y=final).save_all(folder)
    return pymrio.load_all(folder).Z


digits, namibia = read_back(["R1", "R2"], ["01", "02"]), read_back(["NA", "ZA"], ["A", "B"])
print("sectors 01, 02: rows", digits.index.tolist(), "columns", digits.columns.tolist())
print("region NA: rows", namibia.index.tolist(), "columns", namibia.columns.tolist())
assert digits.index.get_level_values(1).unique().tolist() == [1, 2], "the behaviour has changed"
assert digits.columns.get_level_values(1).unique().tolist() == ["01", "02"], "the behaviour has changed"
assert namibia.index.get_level_values(0).isna().sum() == 2, "the behaviour has changed"
assert namibia.columns.get_level_values(0).unique().tolist() == ["NA", "ZA"], "the behaviour has changed"
PY
