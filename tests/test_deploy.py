"""Files for other machines: what can be checked without them, by the rules that KubeRay's operator and Ray enforce."""

import re
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import fillout_defaults, validate_config
from shockmesh.cluster.cli import _parser

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


def commands() -> list[str]:
    """Every shockmesh command of the files, and of the README's section on jobs."""
    readme = (DEPLOY.parent / "README.md").read_text("utf-8")
    texts = "\n".join([*TEXTS.values(), readme]).replace("\\\n", " ")
    return sorted(set(re.findall(r"shockmesh (?:plan|run|submit|status|logs|resume) [^`\n#]*?--?[^`\n#]*", texts)))


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_of_ours(command: str) -> None:
    words = shlex.split(re.split(r", then|\. ", command)[0].strip().rstrip(".;,)"))
    assert _parser().parse_args(words[1:]).verb


def test_there_are_commands_and_no_credentials() -> None:
    assert len(commands()) >= 5
    for text in TEXTS.values():
        assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret_access_key\s*[:=]\s*\S", text, re.IGNORECASE)


def test_the_image_installs_what_is_locked() -> None:
    text = TEXTS["Containerfile"]
    assert "--constraint requirements.lock" in text
    assert f"shockmesh:{version('shockmesh')}" in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
