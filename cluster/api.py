"""shockmesh in Python: an economy, shocks, a spec, and what can be asked of it.

    from shockmesh.cluster import api as sm

    world = sm.economy("world2014-20k.zarr")
    cars = sm.Recovery(name="cars", where=sm.Where(region="DEU", sector="C29"), loss=0.5, onset=10, recovery_days=30)
    spec = sm.spec(world, horizon=180, shocks=[cars], model=sm.Model(preset="pichler2022"))
    print(sm.losses(sm.run(spec)))

The nouns and keys are those of a spec; `as_python` prints any spec as such a program, `as_yaml` as YAML. Names are
loaded when they are first used, so that the import itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shockmesh.cluster.python.code import as_python, as_yaml
    from shockmesh.cluster.python.economy import Economy, economy
    from shockmesh.cluster.python.objects import (
        Allocate,
        Closure,
        Cost,
        Cut,
        Damage,
        Delay,
        Events,
        Failures,
        Horizon,
        HouseholdDamage,
        Infer,
        Model,
        Observe,
        PerFirm,
        Prices,
        Recovery,
        Resources,
        Route,
        Spreads,
        Suppliers,
        Sweep,
        Table,
        Tariff,
        Unknown,
        Where,
    )
    from shockmesh.cluster.python.study import (
        StudyError,
        calibrate,
        compare,
        esri,
        headline,
        load,
        losses,
        prices,
        report,
        robustness,
        run,
        sensitivity,
        spec,
    )
    from shockmesh.cluster.spec.models import Spec
    from shockmesh.cluster.spec.source import SpecError

_PLACES = {
    "python.code": ("as_python", "as_yaml"),
    "python.economy": ("Economy", "economy"),
    "python.objects": (
        "Allocate", "Closure", "Cost", "Cut", "Damage", "Delay", "Events", "Failures", "Horizon",
        "HouseholdDamage", "Infer", "Model", "Observe", "PerFirm", "Prices", "Recovery", "Resources", "Route",
        "Spreads", "Suppliers", "Sweep", "Table", "Tariff", "Unknown", "Where",
    ),
    "python.study": (
        "StudyError", "calibrate", "compare", "esri", "headline", "load", "losses", "prices", "report", "robustness",
        "run", "sensitivity", "spec",
    ),
    "spec.models": ("Spec",),
    "spec.source": ("SpecError",),
}  # fmt: skip
_HOME = {name: f"shockmesh.cluster.{module}" for module, names in _PLACES.items() for name in names}

__all__ = [
    "Allocate", "Closure", "Cost", "Cut", "Damage", "Delay", "Economy", "Events", "Failures", "Horizon",
    "HouseholdDamage", "Infer", "Model", "Observe", "PerFirm", "Prices", "Recovery", "Resources", "Route",
    "Spec", "SpecError", "Spreads", "StudyError", "Suppliers", "Sweep", "Table", "Tariff", "Unknown", "Where",
    "as_python", "as_yaml", "calibrate", "compare", "economy", "esri", "headline", "load", "losses", "prices",
    "report", "robustness", "run", "sensitivity", "spec",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
