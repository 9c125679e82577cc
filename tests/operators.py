"""What the operators of KubeRay and Prometheus accept: their fields, types and choices; of a PodMonitor the usual ones.

Transcribed from the resource definitions that they publish (both Apache-2.0): RayCluster and RayJob, ray.io/v1, of
KubeRay at feeaf72fa (19 August 2026); PodMonitor, monitoring.coreos.com/v1, of prometheus-operator at 6adcebc50
(8 August 2026). What is Kubernetes' own is `Kubernetes` here; pods have a schema of their own to be valid to.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Kubernetes = dict[str, Any]
Labels = dict[str, str]
Duration = Annotated[str, StringConstraints(pattern=r"^(\d+(ms|[ywdhms]))+$|^0$")]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class AuthOptions(Closed):
    enable_k8s_token_auth: bool | None = Field(None, alias="enableK8sTokenAuth")
    mode: Literal["disabled", "token"] | None = None
    secret_name: str | None = None


class AutoscalerOptions(Closed):
    args: list[str] = []
    command: list[str] = []
    env: list[Kubernetes] = []
    env_from: list[Kubernetes] = []
    idle_timeout_seconds: int | None = None
    image: str | None = None
    image_pull_policy: str | None = None
    resources: Kubernetes = {}
    security_context: Kubernetes = {}
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] | None = None
    version: Literal["v1", "v2"] | None = None
    volume_mounts: list[Kubernetes] = []


class Group(Closed):
    labels: Labels = {}
    ray_start_params: Labels = {}
    resources: Labels = {}
    template: Kubernetes


class HeadGroup(Group):
    enable_ingress: bool | None = None
    head_service: Kubernetes = {}
    ingress_options: Kubernetes = {}
    service_type: str | None = None


class WorkerGroup(Group):
    group_name: str
    idle_timeout_seconds: int | None = None
    max_replicas: int
    min_replicas: int
    num_of_hosts: int | None = None
    priority: int | None = None
    replicas: int | None = None
    scale_strategy: Kubernetes = {}
    suspend: bool | None = None


class RayClusterSpec(Closed):
    auth_options: AuthOptions | None = None
    autoscaler_options: AutoscalerOptions | None = None
    enable_in_tree_autoscaling: bool | None = None
    gcs_fault_tolerance_options: Kubernetes = {}
    head_group_spec: HeadGroup
    head_service_annotations: Labels = {}
    history_server_options: Kubernetes = {}
    managed_by: str | None = None
    network_policy: Kubernetes = {}
    ray_version: str | None = None
    suspend: bool | None = None
    tls_options: Kubernetes = {}
    upgrade_strategy: Kubernetes = {}
    worker_group_specs: list[WorkerGroup] = []


class RayJobSpec(Closed):
    active_deadline_seconds: int | None = None
    backoff_limit: int | None = None
    cluster_selector: Labels = {}
    deletion_strategy: Kubernetes = {}
    entrypoint: str | None = None
    entrypoint_num_cpus: float | None = None
    entrypoint_num_gpus: float | None = None
    entrypoint_resources: str | None = None
    job_id: str | None = None
    managed_by: str | None = None
    metadata: Kubernetes = {}
    pre_running_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    ray_cluster_spec: RayClusterSpec | None = None
    runtime_env_yaml: str | None = Field(None, alias="runtimeEnvYAML")
    shutdown_after_job_finishes: bool | None = None
    submission_mode: str | None = None
    submitter_config: Kubernetes = {}
    submitter_pod_template: Kubernetes = {}
    suspend: bool | None = None
    ttl_seconds_after_finished: int | None = None


class PodMetricsEndpoint(Closed):
    """Without authorization, TLS and relabelling."""

    filter_running: bool | None = None
    follow_redirects: bool | None = None
    honor_labels: bool | None = None
    honor_timestamps: bool | None = None
    interval: Duration | None = None
    params: dict[str, list[str]] = {}
    path: str | None = None
    port: str | None = None
    port_number: int | None = None
    scheme: Literal["http", "https", "HTTP", "HTTPS"] | None = None
    scrape_timeout: Duration | None = None


class Selector(Closed):
    match_expressions: list[Kubernetes] = []
    match_labels: Labels = {}


class PodMonitorSpec(Closed):
    job_label: str | None = None
    namespace_selector: Kubernetes = {}
    pod_metrics_endpoints: list[PodMetricsEndpoint] = []
    pod_target_labels: list[str] = []
    sample_limit: int | None = None
    selector: Selector


class Resource(Closed):
    metadata: Kubernetes


class RayCluster(Resource):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    spec: RayClusterSpec


class RayJob(Resource):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    spec: RayJobSpec


class PodMonitor(Resource):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    spec: PodMonitorSpec


RESOURCES: dict[str, type[Resource]] = {kind.__name__: kind for kind in (RayCluster, RayJob, PodMonitor)}
