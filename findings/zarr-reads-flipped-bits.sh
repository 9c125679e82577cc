#!/usr/bin/env bash
# zarr 3.4.2 has no check sum by default: one flipped bit of a file is read as other numbers, without an error.
# A good guess: a compressed chunk that is damaged does not decompress. Seen: of 100 single flips, each is read without an error,
# and one changes thousands of numbers. With `ZstdCodec(checksum=True)` every flip is an error.
# Who meets it: whoever keeps results of long sweeps on scratch disks, or copies them between machines.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'zarr==3.4.2' 'numcodecs==0.17.1' 'numpy==2.5.5'
venv/bin/python -W ignore - <<'PY'
from pathlib import Path

import numpy as np
import zarr

print("zarr", zarr.__version__)
rng = np.random.default_rng(0)
paths = (1 + rng.normal(0, 0.01, (4, 20_000)).cumsum(axis=1)).astype("f4")


def changed(name, **how):
    """Of each flip: how many numbers are read otherwise, None where reading is refused."""
    array = zarr.create_array(f"{name}.zarr", shape=paths.shape, chunks=(1, 20_000), dtype="f4", **how)
    array[:] = paths
    chunk = Path(f"{name}.zarr/c/1/0")
    whole, found = chunk.read_bytes(), []
    for _ in range(100):
        torn = bytearray(whole)
        torn[rng.integers(len(torn))] ^= 1 << rng.integers(8)
        chunk.write_bytes(torn)
        try:
            found.append(int((zarr.open_array(f"{name}.zarr", mode="r")[:] != paths).sum()))
        except (RuntimeError, ValueError):
            found.append(None)
    return found


plain, checked = changed("plain"), changed("checked", compressors=zarr.codecs.ZstdCodec(checksum=True))
silent = [numbers for numbers in plain if numbers]
print(f"by default: {len(silent)} of 100 flips read as other numbers, {max(silent)} of them at most")
print(f"with a check sum: {checked.count(None)} of 100 flips refused")
assert len(silent) > 90 and max(silent) > 1000, "the behaviour has changed"
assert checked.count(None) == 100, "the behaviour has changed"
PY
