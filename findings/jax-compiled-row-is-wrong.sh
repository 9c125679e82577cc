#!/usr/bin/env bash
# jax and jaxlib 0.10.2 compile a sum of squares over many rows to a wrong number on CPUs, without a word.
# A good guess: `jit` changes speed and rounding. Seen: with 32,769 rows in single precision one row is 0.8 % off.
# Who meets it: whoever compiles the same small product for each of many firms. 0.10.1 and 0.11 are right.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'jax==0.10.2' 'jaxlib==0.10.2'
venv/bin/python -W ignore - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__, "on", jax.devices()[0].platform)
inputs = jnp.eye(3)


def spread(firms):
    """The sum of squares of what each firm uses."""
    return jax.vmap(lambda firm: jnp.sum((inputs @ firm) ** 2))(firms)


rows = 32_769
firms = jnp.stack((jnp.arange(1.0, rows + 1), jnp.ones(rows), jnp.ones(rows)), axis=1)
plain, compiled = np.asarray(spread(firms)), np.asarray(jax.jit(spread)(firms))
wrong = np.flatnonzero(abs(compiled / plain - 1) > 1e-3)
print(f"rows that differ: {wrong.tolist()}; plain {plain[wrong]}, compiled {compiled[wrong]}")
assert jax.__version__ == "0.10.2"
assert wrong.tolist() == [rows - 1], "the behaviour has changed"
PY
