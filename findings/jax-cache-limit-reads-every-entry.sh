#!/usr/bin/env bash
# jax 0.12.0.1: a cache of compiled programs with a limit of size looks at every entry whenever it adds one.
# A good guess: `jax_compilation_cache_max_size` costs something once the limit is reached. Seen: far below the limit, a new program
# in a folder of 5,000 costs six times what it costs without a limit (208 beside 36 ms), since the size of each file and the
# time of its last use are read anew; a folder of n programs has cost n²/2 such reads.
# Who meets it: test suites and services of many small programs that bound their cache, above all on network file systems.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'jax==0.12.0.1' 'jaxlib==0.12.0.1' 'filelock==4.2.12'
cat > programs.py <<'PY'
import shutil
import sys
import time
from pathlib import Path

import jax
import numpy as np

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
jax.config.update("jax_compilation_cache_dir", str(folder))
jax.config.update("jax_compilation_cache_max_size", limit)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
one = np.zeros(3, np.float32)
jax.jit(lambda x: x + 0.5)(one)
entry, *_ = folder.glob("*lambda*-cache")
for name in range(5_000):
    for suffix in ("cache", "atime"):
        if (known := Path(str(entry).removesuffix("cache") + suffix)).exists():
            shutil.copy(known, folder / f"{name}-{suffix}")
start = time.perf_counter()
for number in range(20):
    jax.jit(lambda x, number=number: x + number)(one)
print(f"{(time.perf_counter() - start) / 20 * 1e3:.1f}")
PY
export JAX_PLATFORMS=cpu
without=$(venv/bin/python programs.py without -1)
with=$(venv/bin/python programs.py with 1000000000)
echo "jax $(venv/bin/python -c 'import jax; print(jax.__version__)'): a new program beside 5,000 takes $without ms without a limit, $with ms with one of 1 GB"
venv/bin/python -c "assert $with > 3 * $without, 'the behaviour has changed'"
