"""What comes before a run: every check that may refuse it, and its plan. `validate` and `plan` end here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from jaxtyping import Int
from numpy import ndarray
from shockmesh.cluster.calibrating.calibration import bind_calibration
from shockmesh.cluster.planning.plan import Plan, Sizes, make_plan, shards_of, sizes_of
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.cautions import cautions, needs_told, suppliers_told
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.source import SpecError
from shockmesh.cluster.trust.reach import acts_on, far_reaching
from shockmesh.io.networks.industries import remarks_on_industries
from shockmesh.io.reports.remarks import remarks
from shockmesh.kernels.network import FirmNetwork


@dataclass(frozen=True)
class Prepared:
    """A spec that may run."""

    spec: Spec
    network: FirmNetwork
    shard_of: Int[ndarray, " firm"] | None  # the device of each firm; None where a worker is one device
    sizes: Sizes
    plan: Plan
    cautions: tuple[str, ...]  # what its author may not expect, as sentences


def prepare(spec_path: str | Path, overrides: Sequence[str] = ()) -> Prepared:
    """Read a spec, its network and all its files, and plan its run.

    Raises:
        SpecError, ScenarioError, SeriesError, NetworkStoreError: what the spec says or names breaks a rule.
        PlanError: it does not fit the machine.
    """
    economy = on_economy(load_spec(spec_path, overrides))
    spec, network = economy.spec, economy.network
    if spec.engine == "icechunk" and find_spec("icechunk") is None:
        raise SpecError([spec.problem("engine", spec.engine, "is not installed; pip install 'shockmesh[icechunk]'")])
    bound = bind(spec, network)
    of_fit = () if spec.infer is None else bind_calibration(spec, network).cautions
    shard_of = shards_of(spec, network)
    sizes = sizes_of(spec, network, shard_of, bound)
    of_spec = (
        *remarks(spec.model_dump(mode="json")),
        *remarks_on_industries(network),
        *economy.remarks,
        *cautions(spec, bound, network),
        *far_reaching(spec, bound, network),
        *acts_on(spec, bound, network),
    )
    told = (*of_spec, *of_fit, needs_told(spec, bound, network), *suppliers_told(spec, network))
    return Prepared(spec, network, shard_of, sizes, make_plan(spec, sizes), told)
