"""What a planned run would take on GPUs that are not here: whether it fits them, and for how long, by the roofline.

Each forecast is for one worker, a device or a gang of `devices_per_gang` of its kind, that does the whole run. With n
workers it takes an nth of the time. Times are floors (see `kernels/devices/roofline.py`), without start, compilation
and transfers.
"""

from dataclasses import dataclass

from shockmesh.cluster.planning.amounts import human_bytes
from shockmesh.cluster.planning.plan import Plan, Sizes, block_seconds, device_bytes, rounds
from shockmesh.cluster.spec.models import Spec
from shockmesh.kernels.devices.roofline import DEVICES, Device

SHARE = 0.75  # of a GPU's memory that JAX takes unless told otherwise


@dataclass(frozen=True)
class Forecast:
    """A run on one worker of a kind. Times are 0 where not even one member fits."""

    device: str
    member_bytes: int  # that one member needs on a device, the network included
    most_members: int  # that fit at once
    members: int  # at once, as planned or as many as fit
    block_seconds: float  # of those: a rollout, a gradient of a guide's step, or all gradients of an ensemble's
    seconds: float  # of the whole run


def forecasts(spec: Spec, sizes: Sizes, plan: Plan) -> list[Forecast]:
    """A forecast for each device that the roofline knows."""
    return [_forecast(spec, sizes, plan, device) for device in DEVICES]


def _forecast(spec: Spec, sizes: Sizes, plan: Plan, device: Device) -> Forecast:
    one, none = device_bytes(spec, sizes, 1), device_bytes(spec, sizes, 0)
    most = max(0, int(SHARE * device.memory - none) // (one - none))
    members = min(plan.members_per_block, most)
    if not members:
        return Forecast(device.name, one, 0, 0, 0.0, 0.0)
    of_block = block_seconds(spec, sizes, members, device)
    return Forecast(device.name, one, most, members, of_block, of_block * rounds(spec, -(-plan.members // members), 1))


def told_of(foreseen: list[Forecast], plan: Plan) -> dict[str, str]:
    """Forecasts as a person reads them."""
    prefix = "on one" if plan.devices == 1 else f"on {plan.devices} ×"
    return {f"{prefix} {one.device}": _told(one) for one in foreseen}


def _told(one: Forecast) -> str:
    if not one.members:
        return f"does not fit: one member needs {human_bytes(one.member_bytes)} on a device"
    block = f"{one.block_seconds:.2g} s for {one.members} members"
    return f"at least {one.seconds:.2g} s, {block}; {one.most_members:,} fit at once"
