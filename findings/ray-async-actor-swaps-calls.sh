#!/usr/bin/env bash
# Ray 2.60.0 runs the calls of one caller on an actor in another order as soon as one method of the actor is `async`.
# A good guess: calls to one actor from one caller run as they were submitted, as they do where all methods are plain.
# Seen: a call whose argument is still being computed is overtaken.
# Who meets it: whoever sends steps or blocks to workers and adds one `async` method, say to ask for progress.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'ray==2.60.0'
venv/bin/python -W ignore - <<'PY'
import time

import ray

print("ray", ray.__version__)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


class Plain:
    def __init__(self):
        self.taken = []

    def take(self, block):
        self.taken.append(block)
        return self.taken


class Asynchronous(Plain):
    async def progress(self):
        return len(self.taken)


@ray.remote
def computed():
    time.sleep(2)
    return "first"


def order(kind):
    actor = ray.remote(num_cpus=0)(kind).remote()
    calls = [actor.take.remote(computed.remote()), actor.take.remote("second")]
    return max(ray.get(calls), key=len)


plain, asynchronous = order(Plain), order(Asynchronous)
print("plain methods:", plain, "- one method is async:", asynchronous)
ray.shutdown()
assert plain == ["first", "second"], "the behaviour has changed"
assert asynchronous == ["second", "first"], "the behaviour has changed"
PY
