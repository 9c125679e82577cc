"""Where a result comes from: the spec, the seed, the inputs' contents, the versions. Kept in RUN.json and in the store.

The fingerprint is a hash of all that determines the numbers; a run is resumed only with the same one.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shockmesh.cluster.planning.plan import Plan
from shockmesh.cluster.spec.fields import SURVEYS
from shockmesh.cluster.spec.models import Spec
from shockmesh.io.inputs.survey import SURVEY
from shockmesh.io.networks.store import candidates_hash, content_hash
from shockmesh.io.results import MANIFEST, read_manifest
from shockmesh.io.stores.places import Place, place
from shockmesh.kernels.native import library
from shockmesh.kernels.native.build import sources_hash
from shockmesh.kernels.network import FirmNetwork

CITED = ("title", "source", "license", "references", "year")  # what a store says of where it is from
FIELDS = {"spec": dict, "plan": dict, "inputs": dict, "versions": dict, "created": str, "fingerprint": str}
FILES = ("file", "groups", "criticality")  # keys of a spec that name one
NATIVE = "native kernels"
PACKAGES = ("shockmesh", "jax", "jaxlib", "numpy", "ray", "xarray", "zarr")


class ManifestError(ValueError):
    """A RUN.json that is not as it was written. The message names the file and the field."""


def manifest(spec: Spec, plan: Plan, network: FirmNetwork) -> dict[str, Any]:
    """What RUN.json says of a run."""
    said = {
        "spec": spec.model_dump(mode="json"),
        "seed": spec.sweep.seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": sys.version.partition(" ")[0]}
        | native(spec),
        "git_commit": git_commit(),
        "inputs": inputs(spec, network),
        "data": cited(network),
        "plan": plan.as_dict(),
    }
    return said | {"fingerprint": fingerprint(said)}


def native(spec: Spec) -> dict[str, str]:
    """What the native kernels of a run were built from, if it has any."""
    if spec.resources.kernel != "native":
        return {}
    return {NATIVE: library.missing() or sources_hash()}


def cited(network: FirmNetwork) -> dict[str, Any]:
    """Where the numbers of an economy are from, as its store says; of one that was drawn from a table, the table."""
    told = network.attrs.get("generator", {}).get("table", {}) | network.attrs
    return {name: told[name] for name in CITED if name in told}


def manifest_of(path: str | Place) -> dict[str, Any]:
    """RUN.json, with all that `manifest` says, as this version of the code knows it.

    Raises:
        ResultsError: no run there.
        ManifestError: a field is missing, or not what it has to be.
    """
    said, file = read_manifest(path), place(path) / MANIFEST
    wrong = [name for name, kind in FIELDS.items() if not isinstance(said.get(name), kind)]
    if wrong:
        raise ManifestError(f"{file}: {', '.join(wrong)}: missing, or not as it was written; restore the file")
    try:
        Plan(**said["plan"])
        fingerprint(said)
    except (KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{file}: plan, inputs, versions: not as this version writes them ({error})") from error
    return said


def inputs(spec: Spec, network: FirmNetwork) -> dict[str, dict[str, str]]:
    """Every input of a spec: path and SHA-256 of its contents."""
    economy = {"economy": {"path": spec.economy, "sha256": content_hash(network)}}
    if spec.model.switches.switching:
        economy["candidates"] = {"path": spec.economy, "sha256": candidates_hash(network)}
    files = {
        name: {"path": path, "sha256": hash_path(Path(path))} for name, path in _files(spec.model_dump(mode="json"), ())
    }
    return economy | files


def input_files(spec: Spec) -> list[str]:
    """The path of every input of a spec."""
    return [spec.economy, *(path for _, path in _files(spec.model_dump(mode="json"), ()))]


def fingerprint(said: dict[str, Any]) -> str:
    """SHA-256 of what determines the numbers: the spec but for its resources and paths, the inputs, the code."""
    return _digest(determinants(said))


def determinants(said: dict[str, Any]) -> dict[str, Any]:
    """What determines the numbers of a run, by name."""
    spec = _without_files({key: value for key, value in said["spec"].items() if key not in ("economy", "resources")})
    contents = {f"input {name}": of["sha256"] for name, of in said["inputs"].items()}
    code = {f"version of {name}": said["versions"][name] for name in ("shockmesh", "jax", "jaxlib", "numpy")}
    code |= {f"version of {NATIVE}": said["versions"][NATIVE]} if NATIVE in said["versions"] else {}
    block = {"members per block": said["plan"]["members_per_block"], "devices per gang": said["plan"]["devices"]}
    return {"spec": _digest(spec), "git commit": said["git_commit"]} | contents | code | block


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The names of the determinants that differ."""
    old, new = determinants(before), determinants(now)
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def git_commit() -> str | None:
    """The commit of the code that runs, where it runs from a clone."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def hash_path(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder by their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(str(file.relative_to(path)).encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _files(node: Any, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every file of a resolved spec, by dotted path."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        if key in FILES and isinstance(value, str):
            yield ".".join((*at, str(key))), str(SURVEY) if key == "criticality" and value in SURVEYS else value
        else:
            yield from _files(value, (*at, str(key)))


def _without_files(node: Any) -> Any:
    """A resolved spec without the paths of its files, whose contents count instead."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if not (key in FILES and isinstance(value, str))}
        return {key: _without_files(value) for key, value in kept.items()}
    return [_without_files(value) for value in node] if isinstance(node, list) else node


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
