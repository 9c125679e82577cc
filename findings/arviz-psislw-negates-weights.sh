#!/usr/bin/env bash
# arviz-stats 1.3.3: `psislw` takes the negative of log weights, which its text does not say.
# A good guess: a function that "computes log weights" for Pareto-smoothed importance sampling is given log weights. Seen: of draws
# half as wide as the target, k is -0.08 ("good") with the log weights and 1.00 ("do not trust it") with their negative,
# which is right: such weights have no variance.
# Who meets it: whoever judges a variational posterior by k. The worst ones, which are too sure, pass.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'arviz-stats==1.3.3' 'numpy==2.5.5'
venv/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from arviz_stats.base import array_stats

print("arviz-stats", version("arviz-stats"))
draws = np.random.default_rng(0).normal(0, 0.5, (4000, 10))
log_weights = (-0.5 * draws**2 + 0.5 * (draws / 0.5) ** 2).sum(axis=1)
given, negated = (float(array_stats.psislw(sign * log_weights)[1]) for sign in (1, -1))
print(f"k of the log weights {given:.2f}, of their negative {negated:.2f}")
assert given < 0.5 < 0.7 < negated, "the behaviour has changed"
PY
