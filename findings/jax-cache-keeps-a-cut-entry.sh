#!/usr/bin/env bash
# jax 0.12.0.1: an entry of the persistent compilation cache that was cut short is never replaced.
# A good guess: a process that cannot read an entry compiles the program and writes the entry anew. Seen: it warns, compiles, and
# leaves the short entry as it is, since a file of that name exists; so does every process after it, for ever.
# Who meets it: clusters and spot nodes. Entries are written in place, so a process that is killed at that moment leaves half of
# one; from then on the program is compiled at every start, on every node that shares the folder. Only deleting the file helps.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'jax==0.12.0.1' 'jaxlib==0.12.0.1'
cat > program.py <<'PY'
import warnings

import jax
import jax.numpy as jnp

jax.config.update("jax_compilation_cache_dir", "cache")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    jax.jit(lambda x: jnp.sin(x) + 1)(jnp.zeros(3)).block_until_ready()
print(sum("compilation cache" in str(one.message) for one in said))
PY
export JAX_PLATFORMS=cpu
warned=$(venv/bin/python program.py)
test "$warned" = 0
cut=$(ls -S cache/*lambda*-cache | head -n 1)
whole=$(stat -c %s "$cut")
truncate -s $((whole / 2)) "$cut"
echo "jax $(venv/bin/python -c 'import jax; print(jax.__version__)'): an entry of $whole bytes, cut to $(stat -c %s "$cut")"
for process in 1 2 3; do
  echo "process $process after it: $(venv/bin/python program.py) warning, the entry has $(stat -c %s "$cut") bytes"
  test "$(stat -c %s "$cut")" = $((whole / 2)) && test "$(venv/bin/python program.py)" -ge 1 || { echo "the behaviour has changed"; exit 1; }
done
