"""Files for other machines: what can be checked without them, by the rules and schemas that others enforce."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from operators import RESOURCES
from pydantic import ValidationError
from ray.autoscaler._private.util import fillout_defaults, validate_config
from shockmesh.cluster.cli import make_parser
from shockmesh.cluster.running.run import run
from shockmesh.io.networks.store import write_network
from shockmesh.io.stores.journal import marker_path

DEPLOY = Path(__file__).parent.parent / "deploy"
TEXTS = {file.name: file.read_text("utf-8") for file in DEPLOY.iterdir() if file.is_file()}
MANIFESTS = ("rayjob.yaml", "raycluster.yaml")


def manifest(name: str) -> dict[str, Any]:
    return next(yaml.safe_load_all(TEXTS[name]))


def cluster(name: str) -> dict[str, Any]:
    spec = manifest(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def pods(name: str) -> list[dict[str, Any]]:
    groups = [cluster(name)["headGroupSpec"], *cluster(name)["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def locked(package: str) -> str:
    lock = (DEPLOY.parent / "requirements.lock").read_text()
    return re.findall(rf"^{package}==(\S+)$", lock, re.MULTILINE)[0]


@pytest.mark.parametrize("name", MANIFESTS)
def test_names_and_versions(name: str) -> None:
    found = manifest(name)
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", found["metadata"]["name"])
    assert cluster(name)["rayVersion"] == locked("ray")
    assert {of["image"] for pod in pods(name) for of in pod["containers"]} == {f"shockmesh:{version('shockmesh')}-cuda"}
    assert cluster(name)["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_worker_groups(name: str) -> None:
    head, *workers = pods(name)
    assert cluster(name)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert {"name": "JAX_PLATFORMS", "value": "cpu"} in head["containers"][0]["env"]
    groups = cluster(name)["workerGroupSpecs"]
    assert len({group["groupName"] for group in groups}) == len(groups)
    for group, pod in zip(groups, workers, strict=True):
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        (container,) = pod["containers"]
        assert int(container["resources"]["limits"]["nvidia.com/gpu"]) >= 1
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert pod["terminationGracePeriodSeconds"] >= 60
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert {"JAX_COMPILATION_CACHE_DIR"} <= {variable["name"] for variable in container["env"]}
    gang, spot = groups
    assert gang["minReplicas"] == gang["maxReplicas"]
    assert spot["minReplicas"] == 0


def core_objects() -> list[dict[str, Any]]:
    """What the files hold of Kubernetes' own kinds: volume claims, and the pods of the clusters as templates."""
    of_pods = [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": group["template"]}
        for name in MANIFESTS
        for group in (cluster(name)["headGroupSpec"], *cluster(name)["workerGroupSpecs"])
    ]
    documents = [found for name in MANIFESTS for found in yaml.safe_load_all(TEXTS[name])]
    return of_pods + [found for found in documents if found["apiVersion"] == "v1"]


def test_pods_and_claims_are_valid_to_kubernetes() -> None:
    objects = core_objects()
    assert [found["kind"] for found in objects] == ["PodTemplate"] * 6 + ["PersistentVolumeClaim"]
    for found in objects:
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    objects[0]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="'volumeMount' was unexpected"):
        kubernetes_validate.validate(objects[0], kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", [*MANIFESTS, "podmonitor.yaml"])
def test_resources_are_valid_to_their_operators(name: str) -> None:
    found = manifest(name)
    RESOURCES[found["kind"]].model_validate(found)


@pytest.mark.parametrize(
    ("name", "path", "value", "rule"),
    [
        ("rayjob.yaml", ("spec", "submissionmode"), "HTTPMode", "Extra inputs are not permitted"),
        (
            "rayjob.yaml",
            ("spec", "rayClusterSpec", "autoscalerOptions", "version"),
            "v3",
            "Input should be 'v1' or 'v2'",
        ),
        ("raycluster.yaml", ("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0, "valid string"),
        ("raycluster.yaml", ("spec", "workerGroupSpecs", 0, "minReplicas"), None, "valid integer"),
        ("podmonitor.yaml", ("spec", "podMetricsEndpoints", 0, "interval"), "10 s", "match pattern"),
    ],
)
def test_what_an_operator_would_refuse_is_found(name: str, path: tuple[Any, ...], value: Any, rule: str) -> None:
    found = part = manifest(name)
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(ValidationError, match=rule):
        RESOURCES[found["kind"]].model_validate(found)


def test_a_job_ends_with_its_cluster_and_a_retry_goes_on() -> None:
    spec = manifest("rayjob.yaml")["spec"]
    assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
    assert not spec.keys() & {"clusterSelector", "submitterPodTemplate", "deletionStrategy"}
    assert spec["shutdownAfterJobFinishes"]
    assert spec["backoffLimit"] > 0
    assert "--continue" in spec["entrypoint"]
    assert {pod["restartPolicy"] for pod in pods("rayjob.yaml")} == {"Never"}


def test_the_launcher_file_is_valid_to_ray() -> None:
    config = yaml.safe_load(TEXTS["launcher.yaml"])
    validate_config(fillout_defaults(config))
    assert config["docker"]["image"] == f"shockmesh:{version('shockmesh')}-cuda"
    assert all(config["max_workers"] >= of.get("max_workers", 0) for of in config["available_node_types"].values())
    (head,) = [line for line in config["head_start_ray_commands"] if "--head" in line]
    assert "RAY_AUTH_MODE=token" in head
    assert "--dashboard-host=127.0.0.1" in head


def test_the_slurm_script_is_bash() -> None:
    subprocess.run(["bash", "-n", DEPLOY / "slurm.sh"], check=True)
    assert "RAY_AUTH_MODE=token" in TEXTS["slurm.sh"]
    assert "--exclusive" in TEXTS["slurm.sh"]  # symmetric-run ends every Ray process of its nodes


SPEC = """
economy: net.zarr
horizon: {days: 6}
shocks: [{name: storm, kind: recovery, loss: 0.5, recovery_days: 6}]
sweep: {seed: 2, members: 4, vary: {shocks.storm.loss: {uniform: [0.2, 0.9]}}}
resources: {members_per_block: 2, gangs: 1}
"""
SLURM = {  # what the script asks of Slurm, where the allocation is this machine
    "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "scontrol": "hostname",
}


@pytest.mark.ray
def test_the_slurm_script_goes_on_with_a_sweep(tmp_path: Path, short_folder: Path, random_network: Callable) -> None:
    """With Ray's own symmetric-run, which at its end stops every Ray process that it sees: those of a namespace."""
    namespace = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    write_network(random_network(), tmp_path / "net.zarr")
    (tmp_path / "storm.yaml").write_text(SPEC)
    assert run(tmp_path / "storm.yaml", tmp_path / "run", address="local", quiet=True).complete
    marker_path(tmp_path / "run", 1).unlink()  # as if the job had been ended before
    (tmp_path / "bin").mkdir()
    for name, text in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    job = os.getpid()  # of which the script makes the port
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(short_folder),
        "RAY_TMPDIR": str(short_folder), "SLURM_JOB_ID": f"{job}", "SLURM_JOB_NODELIST": "here", "SLURM_NNODES": "1",
        "JAX_PLATFORMS": "cpu", "RAY_worker_niceness": "0",
    }  # fmt: skip
    script = [*namespace, "bash", DEPLOY / "slurm.sh", tmp_path / "storm.yaml", tmp_path / "run"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 members" in done.stdout
    assert "2 members in" in done.stdout
    assert not [*short_folder.rglob("*.token")]


def commands() -> list[str]:
    """Every shockmesh command of the files, of the README and of the site that has options."""
    pages = [DEPLOY.parent / "README.md", *(DEPLOY.parent / "docs").rglob("*.md")]
    texts = "\n".join([*TEXTS.values(), *(page.read_text("utf-8") for page in pages)]).replace("\\\n", " ")
    return sorted(set(re.findall(r"shockmesh (?:plan|run|submit|status|logs|resume) [^`\n#]*?--?[^`\n#]*", texts)))


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_of_ours(command: str) -> None:
    words = shlex.split(re.split(r", then|\. ", command)[0].strip().rstrip(".;,)"))
    assert make_parser().parse_args(words[1:]).verb


def test_there_are_commands_and_no_credentials() -> None:
    assert len(commands()) >= 5
    for text in TEXTS.values():
        assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret_access_key\s*[:=]\s*\S", text, re.IGNORECASE)


def test_the_image_installs_what_is_locked() -> None:
    text = TEXTS["Containerfile"]
    assert "--constraint requirements.lock" in text
    assert f"shockmesh:{version('shockmesh')}" in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
