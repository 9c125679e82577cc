"""From a value as written to one array for a batch: (firm|1, member|1), only as large as it varies."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.spec.domains import Domain
from shockmesh.cluster.spec.fields import PerFirm
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import Shock, domain_of
from shockmesh.io.inputs.names import Kind, meant
from shockmesh.io.inputs.scenarios import ScenarioError, read_numbers
from shockmesh.kernels.network import FirmNetwork

type Drawn = Mapping[str, np.ndarray]  # path → value of each member of a batch


@dataclass(frozen=True)
class Layer:
    """One number, or one per firm, for some firms."""

    path: str  # the path by which a sweep may replace the number; "" if none
    firms: np.ndarray | None  # indices or mask; None: every firm
    value: float | np.ndarray | None  # one number, or a column (firm, 1)

    def at(self, drawn: Drawn) -> np.ndarray | None:
        """Values (firm|1, member|1), or None if there is none."""
        value = drawn.get(self.path, drawn.get(f"{self.path}.default", self.value))
        return None if value is None else np.atleast_2d(value)


@dataclass(frozen=True)
class Field:
    """A number for each firm and member: layers, of which a later one overrides an earlier one."""

    layers: tuple[Layer, ...]
    n_firms: int

    def at(self, drawn: Drawn) -> Float[np.ndarray, "#firm #member"]:
        """Values (firm|1, member|1) of a batch; NaN where no layer says one."""
        given = [(layer.firms, values) for layer in self.layers if (values := layer.at(drawn)) is not None]
        if len(given) == 1 and given[0][0] is None:
            return given[0][1].astype(np.float64)
        members = max((values.shape[1] for _, values in given), default=1)
        array = np.full((self.n_firms, members), np.nan)
        for firms, values in given:
            array[slice(None) if firms is None else firms] = values
        return array

    def least(self, drawn: Drawn) -> float:
        """The least number of any layer."""
        return min(float(np.min(values)) for layer in self.layers if (values := layer.at(drawn)) is not None)


def make_field(
    value: float | PerFirm | None,
    path: str,
    fallback: float | None,
    domain: Domain,
    spec: Spec,
    network: FirmNetwork,
) -> Field:
    """The field of a value at `path` of a spec, or of `fallback` where the spec has none.

    Raises:
        ScenarioError: a file of the value breaks a rule.
    """
    per_firm = value if isinstance(value, PerFirm) else PerFirm[float](default=value)
    default = fallback if per_firm.default is None else per_firm.default
    swept, file = spec.sweep.paths, per_firm.file
    return Field(
        (
            Layer(path, None, default),
            *_group_layers(f"{path}.by_region", "region", per_firm.by_region, swept, network),
            *_group_layers(f"{path}.by_sector", "sector", per_firm.by_sector, swept, network),
            *([] if file is None else [_file_layer(file, domain, spec.horizon.start, network)]),
        ),
        network.n_firms,
    )


def shock_fields(spec: Spec, shock: Shock, network: FirmNetwork) -> dict[str, Field]:
    """The numbers of a shock that the spec or its sweep says. Raises ScenarioError: a file of one breaks a rule."""
    paths = {name: f"shocks.{shock.name}.{name}" for name in shock.NUMBERS}
    return {
        name: make_field(getattr(shock, name), path, None, domain_of(shock, name), spec, network)
        for name, path in paths.items()
        if getattr(shock, name) is not None or any(given.startswith(path) for given in spec.sweep.paths)
    }


def group_names(path: str, given: Mapping[str, float], swept: tuple[str, ...]) -> list[str]:
    """The groups that a value names at `path`, those of the spec first, then those that only the sweep names."""
    return list(
        dict.fromkeys([*given, *(name.removeprefix(f"{path}.") for name in swept if name.startswith(f"{path}."))])
    )


def _group_layers(
    path: str, kind: Kind, given: Mapping[str, float], swept: tuple[str, ...], network: FirmNetwork
) -> list[Layer]:
    """Numbers of groups and plain names, which a sweep moves as one, then those of codes, which count before."""
    names, code = (network.regions, network.region) if kind == "region" else (network.sectors, network.sector)
    words = sorted(group_names(path, given, swept), key=lambda word: word in names)
    own = network.attrs.get("sector_names", {})
    codes = ([names.index(name) for name in meant(kind, word, names, own)] for word in words)
    return [
        Layer(f"{path}.{word}", np.flatnonzero(np.isin(code, of)), given.get(word))
        for word, of in zip(words, codes, strict=True)
    ]


def _file_layer(path: str, domain: Domain, start: date | None, network: FirmNetwork) -> Layer:
    firms, values = read_numbers(path, network, domain.written, start)
    bad = np.flatnonzero(~domain.admits(values))
    if len(bad):
        named = ", ".join(f"firm {network.firm[firms[i]]}: {values[i]:g}" for i in bad[:5])
        raise ScenarioError(f"{path}: value: {named}: {domain.rule}")
    return Layer("", firms, values[:, None])
