"""Which firms a shock hits, in each member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from shockmesh.cluster.spec.members import member_key, root_key
from shockmesh.cluster.spec.rules import WHERE_NAMES
from shockmesh.cluster.spec.shocks import Measure, Where
from shockmesh.cluster.spec.values import Drawn
from shockmesh.io.inputs.names import Kind, groups_of, meant
from shockmesh.io.inputs.names import named as named_codes
from shockmesh.kernels.esri import esri
from shockmesh.kernels.network import FirmNetwork

SHOWN = 5  # firms
KINDS: dict[str, Kind] = {"region": "region", "sector": "sector"}  # of names that may be words; firms have ids alone
BATCH = 32  # failures at a time, where firms are ranked by ESRI


def named(network: FirmNetwork, firms: Int[np.ndarray, " some"]) -> str:
    """The ids of the first of some firms, for a message."""
    return ", ".join([*map(str, network.firm[firms[:SHOWN]]), *(["…"] if len(firms) > SHOWN else [])])


def own_names(network: FirmNetwork) -> Mapping[str, str]:
    """The names of sectors that an economy brings with it."""
    return network.attrs.get("sector_names", {})


@dataclass(frozen=True)
class Directory:
    """The names of a network: of its regions, sectors and firms."""

    network: FirmNetwork

    def codes(self, key: str) -> dict[str, int]:
        """Name → code, of `region`, `sector` or `firm`."""
        if key == "firm":
            return self._firms
        return {name: i for i, name in enumerate(self.network.regions if key == "region" else self.network.sectors)}

    def find(self, key: str, name: str) -> list[int]:
        """The codes that a name means: its own, or those of a plain name or a group; none if it is not known.

        Raises:
            NamesError: as `meant`.
        """
        codes = self.codes(key)
        if name in codes:
            return [codes[name]]
        return [codes[code] for code in self.meant(KINDS[key], name)] if key in KINDS else []

    def meant(self, kind: Kind, word: str) -> list[str]:
        """The regions or sectors that a word means, by code, as `find`.

        Raises:
            NamesError: it may mean several, or is a group that a sector only partly belongs to.
        """
        return meant(kind, word, [*self.codes(kind)], own_names(self.network))

    def words(self, key: str) -> list[str]:
        """What else than a code may name regions or sectors: their plain names, and groups of them."""
        if key not in KINDS:
            return []
        plain = named_codes(KINDS[key], [*self.codes(key)], own_names(self.network))
        groups = groups_of(KINDS[key]) if plain else {}
        return [*(of.name for of in plain.values()), *groups, *(of.name for of in groups.values())]

    def labels(self, key: str) -> Int[np.ndarray, " firm"]:
        """The code of each firm."""
        if key == "firm":
            return np.arange(self.network.n_firms)
        return self.network.region if key == "region" else self.network.sector

    def size(self, by: Measure) -> Float[np.ndarray, " firm"]:
        """How large each firm is by a measure."""
        network = self.network
        if by == "esri":
            return self._esri
        return np.bincount(network.supplier, minlength=network.n_firms) if by == "customers" else getattr(network, by)

    @cached_property
    def _esri(self) -> Float[np.ndarray, " firm"]:
        network = self.network
        if not network.n_links:
            return np.zeros(network.n_firms)
        return np.asarray(esri(network, "all", batch=min(BATCH, network.n_firms)), np.float64)

    @cached_property
    def _firms(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.network.firm.astype(str).tolist())}


@dataclass(frozen=True)
class Selection:
    """The firms that a shock hits."""

    path: str  # shocks.NAME.where
    where: Where
    seed: int
    directory: Directory

    def matching(self, **names: Any) -> Bool[np.ndarray, " firm"]:
        """Firms in the regions, sectors and firm ids of the spec, or of `names` where a sweep sets them."""
        chosen = np.ones(self.directory.network.n_firms, bool)
        for key in WHERE_NAMES:
            wanted = (names[key],) if key in names else getattr(self.where, key)
            if wanted:
                is_wanted = np.zeros(len(self.directory.codes(key)), bool)
                is_wanted[[code for name in wanted for code in self.directory.find(key, str(name))]] = True
                chosen &= is_wanted[self.directory.labels(key)]
        return chosen if self.where.largest is None else self._largest(chosen, self.where.largest)

    def _largest(self, chosen: Bool[np.ndarray, " firm"], most: int) -> Bool[np.ndarray, " firm"]:
        """The largest of some firms; of equally large ones those that come first in the network."""
        firms = np.flatnonzero(chosen)
        first = np.argsort(-self.directory.size(self.where.top_by)[firms], kind="stable")[:most]
        largest = np.zeros_like(chosen)
        largest[firms[first]] = True
        return largest

    def bought_at(self, drawn: Drawn) -> Float[np.ndarray, "region #member"]:
        """How far each region's consumers buy here, (region, member|1): all of them where its firms are named by region
        alone, a share of them where that is drawn, none where sectors or firms are named."""
        n, path = len(self.directory.codes("region")), f"{self.path}.region"
        some = self.where.largest is not None
        if some or any(getattr(self.where, key) or f"{self.path}.{key}" in drawn for key in ("sector", "firm")):
            return np.zeros((n, 1))
        share = drawn.get(f"{self.path}.share", 1.0 if self.where.share is None else self.where.share)
        of_members = [(name,) for name in drawn[path].tolist()] if path in drawn else [self.where.region]
        here = np.array([self._regions(names) for names in of_members])
        return here.T * np.atleast_2d(share)

    def _regions(self, names: Sequence[str]) -> Bool[np.ndarray, " region"]:
        """The regions of some names; all of none."""
        here = np.full(len(self.directory.codes("region")), not names)
        here[[code for name in names for code in self.directory.find("region", str(name))]] = True
        return here

    def at(self, drawn: Drawn, members: Int[np.ndarray, " member"]) -> Bool[np.ndarray, "firm #member"]:
        """Which firms are hit in each member, (firm, member|1)."""
        names = {key: drawn[f"{self.path}.{key}"] for key in WHERE_NAMES if f"{self.path}.{key}" in drawn}
        share = drawn.get(f"{self.path}.share", self.where.share)
        if not names and not isinstance(share, np.ndarray) and (share is None or not self.where.redraw):
            members = members[:1]
        shares = [None] * len(members) if share is None else np.broadcast_to(share, len(members)).tolist()
        combinations = [tuple(values[i] for values in names.values()) for i in range(len(members))]
        matching = {given: self.matching(**dict(zip(names, given, strict=True))) for given in set(combinations)}
        columns = zip(members.tolist(), shares, combinations, strict=True)
        return np.stack([self._drawn(member, part, matching[given]) for member, part, given in columns], axis=1)

    def _drawn(
        self, member: int, share: float | None, matching: Bool[np.ndarray, " firm"]
    ) -> Bool[np.ndarray, " firm"]:
        """The share of the matching firms that is drawn: at least one firm."""
        if share is None:
            return matching
        firms = np.flatnonzero(matching)
        first = np.argsort(self._luck(member)[firms], kind="stable")[: max(1, round(share * len(firms)))]
        drawn = np.zeros_like(matching)
        drawn[firms[first]] = True
        return drawn

    def _luck(self, member: int) -> np.ndarray:
        """A random number per firm. Those with the lowest are drawn, so a larger share contains a smaller one."""
        path = f"{self.path}.share"
        once = jax.random.fold_in(root_key(self.seed), crc32(path.encode()))
        key = member_key(self.seed, member, path) if self.where.redraw else once
        return np.asarray(jax.random.bits(key, (self.directory.network.n_firms,), jnp.uint32))
