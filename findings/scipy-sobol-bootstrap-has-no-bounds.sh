#!/usr/bin/env bash
# scipy 1.18.1: the bootstrap of `sobol_indices` has no bounds for an input without any effect.
# A good guess: an input that a function does not read has a total index of 0, and its interval is 0 to 0, or narrow around it. Seen:
# the index is 0, and both bounds are NaN, for the bootstrap is BCa, whose acceleration divides 0 by 0 where no resample differs.
# Who meets it: whoever screens inputs by intervals. Those that matter least, which are to be dropped, compare as neither below nor
# above any limit.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'scipy==1.18.1' 'numpy==2.5.5'
venv/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from scipy.stats import sobol_indices, uniform

print("scipy", version("scipy"))
found = sobol_indices(func=lambda x: np.sin(x[0])[None], n=256, dists=[uniform(), uniform()], rng=0)
interval = found.bootstrap(n_resamples=100).total_order.confidence_interval
low, high = np.ravel(interval.low)[1], np.ravel(interval.high)[1]
print(f"the input that is not read: index {np.ravel(found.total_order)[1]:g}, from {low} to {high}")
assert np.ravel(found.total_order)[1] == 0 and np.isnan(low) and np.isnan(high), "the behaviour has changed"
PY
