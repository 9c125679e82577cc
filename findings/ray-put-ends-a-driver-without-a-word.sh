#!/usr/bin/env bash
# Ray 2.60.0: once the raylet on its machine has died, `ray.put` ends the driver at once, with code 1, without an exception.
# A good guess: a call that cannot reach the object store raises one of `ray.exceptions`, which a long-running driver can catch, to
# save what it has. Seen: neither `except BaseException` nor `finally` nor `atexit` runs; nothing is printed by the call itself.
# Who meets it: whoever calls `ray.put` or gets large values in a loop (training, calibration) on a machine that runs out of memory,
# where the raylet is the first to be killed. A check that the raylet's socket still accepts connections costs 20 microseconds.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'ray==2.60.0'
cat > driver.py <<'PY'
import atexit
import logging
import sys

import ray
from ray._private.worker import global_worker

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=sys.argv[1])
ray.put(1)
global_worker.node.kill_raylet(check_alive=False)
atexit.register(print, "atexit ran", flush=True)
try:
    ray.put(2)
    print("put", flush=True)
except BaseException as error:
    print("raised", type(error).__name__, flush=True)
finally:
    print("finally ran", flush=True)
PY
code=0
RAY_USAGE_STATS_ENABLED=0 venv/bin/python driver.py "$work/ray" >told 2>error || code=$?
said=$(grep -E '^(atexit ran|put|raised|finally ran)' told || echo nothing)
echo "Ray $(venv/bin/python -c 'import ray; print(ray.__version__)'): exit code $code; said: $said"
test "$code" = 1 && test "$said" = nothing || { echo "the behaviour has changed"; exit 1; }
