"""BoARIO's names in a spec. Where both mean the same number in the same unit, either name may stand, but not both."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import AliasChoices, AliasGenerator, BeforeValidator, ConfigDict, model_validator
from shockmesh.cluster.spec.fields import Frozen

BOARIO = {  # our name of a number of a model or an event → BoARIO's, which a spec may use as well
    "inventory_days": "main_inv_dur",
    "inventory_by_product": "inventory_dict",
    "adjustment_days": "inventory_restoration_tau",
    "inventory_threshold": "psi_param",
    "capacity": "alpha_max",
    "base_capacity": "alpha_base",
    "overproduction_days": "alpha_tau",
    "order_split": "order_type",
    "onset": "occurrence",
    "rebuild_days": "rebuild_tau",
    "builders": "rebuilding_sectors",
    "cost": "rebuilding_factor",
    "course": "recovery_function",
    "recovery_days": "recovery_tau",
}
ORDER_TYPES = {"alt": "capacity", "noalt": "baseline"}  # BoARIO's order_type → order_split
COURSES = {"concave": "s_shaped"}  # its recovery_function → course
CONVEXE = "for BoARIO's convexe say course: exponential and recovery_days: -1 / (4 ln(1 - 1 / recovery_tau))"


def either_name(theirs: Mapping[str, str]) -> BeforeValidator:
    """A validator that takes BoARIO's name of a choice for ours."""
    return BeforeValidator(partial(ours, theirs))


def ours(theirs: Mapping[str, str], name: Any) -> Any:
    """Our name of a choice that BoARIO calls otherwise."""
    return theirs.get(str(name), name)


def _both_names(name: str) -> AliasChoices | str:
    return AliasChoices(name, BOARIO[name]) if name in BOARIO else name


class Renamed(Frozen):
    """A part of a spec whose numbers may go by BoARIO's names."""

    model_config = ConfigDict(alias_generator=AliasGenerator(validation_alias=_both_names))

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, data: Any) -> Any:
        keys = set(data) if isinstance(data, dict) else set()
        twice = [f"{ours} and {theirs}" for ours, theirs in BOARIO.items() if {ours, theirs} <= keys]
        if twice:
            raise ValueError(f"gives the same number by two names: {', '.join(twice)}")
        return data
