#!/usr/bin/env bash
# jax 0.12.0.1 keeps the lower 32 bits of a seed and says nothing, unless double precision is on.
# A good guess: different seeds give different draws, or an error. Seen: seeds 7, 2^32 + 7 and 2^40 + 7 give the same draws,
# and in double precision three other ones: a switch of precision changes what is drawn.
# Who meets it: whoever makes a member's seed from a hash or a date; two members of an ensemble are then one.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'jax==0.12.0.1' 'jaxlib==0.12.0.1'
venv/bin/python -W ignore - <<'PY'
import jax

print("jax", jax.__version__)
seeds = [7, 2**32 + 7, 2**40 + 7]


def draws(double):
    with jax.enable_x64(double):
        return [float(jax.random.normal(jax.random.key(seed), dtype="float32")) for seed in seeds]


single, double = draws(False), draws(True)
print("single precision:", single)
print("double precision:", double)
assert len(set(single)) == 1, "the behaviour has changed"
assert len(set(double)) == 3 and double[0] == single[0], "the behaviour has changed"
PY
