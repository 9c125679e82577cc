#!/usr/bin/env bash
# cma 4.5.0 seeds NumPy's global random stream when a search is made, also if it is not given a seed.
# A good guess: a library draws from a generator of its own. Seen: the caller's seed is overwritten. With the option `seed` all
# that is drawn later is the same in every run, whatever the caller's seed; without it, it differs from run to run.
# Who meets it: whoever fits a model by CMA-ES and draws scenarios or noise in the same process.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'cma==4.5.0' 'numpy==2.5.5'
venv/bin/python -W ignore - <<'PY'
import cma
import numpy as np

print("cma", cma.__version__)


def drawn_after(caller, **options):
    np.random.seed(caller)
    cma.CMAEvolutionStrategy([0.0, 0.0], 0.5, {"verbose": -9, **options})
    return float(np.random.random())


np.random.seed(1)
own = float(np.random.random())
fixed = [drawn_after(caller, seed=7) for caller in (1, 2)]
free = [drawn_after(1), drawn_after(1)]
print(f"the caller's own draw: {own}; after a search with a seed, by two callers: {fixed}; without, twice: {free}")
assert fixed[0] == fixed[1] != own, "the behaviour has changed"
assert free[0] != free[1], "the behaviour has changed"
PY
