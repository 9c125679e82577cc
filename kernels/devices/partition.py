"""Which shard each firm lives on, and what that costs: a shard owns its firms and the links that they buy by."""

from dataclasses import dataclass

import numpy as np
import pymetis
from jaxtyping import Int
from shockmesh.kernels.network import FirmNetwork


def partition(network: FirmNetwork, shards: int, tries: int = 4) -> Int[np.ndarray, " firm"]:
    """Cut the network into shards of nearly equal work (links bought) with few links between them.

    METIS (Karypis & Kumar 1998, SIAM J. Sci. Comput. 20:359) on the undirected graph of links; a firm weighs its links
    bought plus one. Every link counts alike: what is exchanged is one number a firm and shard, however large the flow.
    Shards may differ by a tenth in work. Where one firm has more than a shard's share of it, METIS may leave shards
    empty: each takes half of what the heaviest has. Of several tries, and whole regions where there are enough, the one
    whose largest shard has least to do: links and exchanged rows count alike, since a GPU moves a link's 16 numbers
    through its memory in about the time that a row takes twice over NVLink.

    Raises:
        ValueError: fewer firms than shards.
    """
    if not 1 <= shards <= network.n_firms:
        raise ValueError(f"shards = {shards}: must be 1 … {network.n_firms}, the number of firms")
    if shards == 1:
        return np.zeros(network.n_firms, np.int32)
    work = np.bincount(network.buyer, minlength=network.n_firms) + 1
    found = [_metis(network, shards, work, seed) for seed in range(1, tries + 1)]  # 0 and 1 are the same to METIS
    cuts = [_filled(shard_of, shards, work) for shard_of in found]
    by_region = partition_by_region(network, shards)
    if len(np.unique(by_region)) == shards:
        cuts.append(by_region)
    return min(cuts, key=lambda shard_of: cut_of(network, shard_of).work)


def _metis(network: FirmNetwork, shards: int, work: Int[np.ndarray, " firm"], seed: int) -> Int[np.ndarray, " firm"]:
    ends = np.concatenate([network.supplier, network.buyer]).astype(np.int64)
    others = np.concatenate([network.buyer, network.supplier])
    apart = ends != others  # METIS knows no links to oneself
    pairs, counts = np.unique((ends * network.n_firms + others)[apart], return_counts=True)
    start = np.searchsorted(pairs // network.n_firms, np.arange(network.n_firms + 1))
    _, shard_of = pymetis.part_graph(
        shards,
        adjacency=pymetis.CSRAdjacency(start, pairs % network.n_firms),
        vweights=work,
        eweights=counts,
        recursive=False,
        options=pymetis.Options(ufactor=100, seed=seed),
    )
    return np.asarray(shard_of, np.int32)


def _filled(
    shard_of: Int[np.ndarray, " firm"], shards: int, work: Int[np.ndarray, " firm"]
) -> Int[np.ndarray, " firm"]:
    """Give each empty shard the smaller firms of the heaviest one with several, up to half of its work."""
    filled = shard_of.copy()
    for empty in np.flatnonzero(np.bincount(shard_of, minlength=shards) == 0):
        several = np.bincount(filled, minlength=shards) > 1
        heaviest = np.argmax(np.bincount(filled, work, shards) * several)
        firms = np.flatnonzero(filled == heaviest)
        firms = firms[np.argsort(-work[firms], kind="stable")]
        kept = np.cumsum(work[firms])
        filled[firms[1:][kept[:-1] >= kept[-1] / 2]] = empty
    return filled


def partition_by_region(network: FirmNetwork, shards: int) -> Int[np.ndarray, " firm"]:
    """Whole regions to shards, the largest first to the lightest shard; a region weighs the links that it buys."""
    weight = np.bincount(network.region[network.buyer], minlength=len(network.regions))
    load, shard_of = np.zeros(shards), np.zeros(len(network.regions), np.int32)
    for region in np.argsort(-weight, kind="stable"):
        shard_of[region] = np.argmin(load)
        load[shard_of[region]] += weight[region]
    return shard_of[network.region]


@dataclass(frozen=True)
class Cut:
    """What a partition costs."""

    firms: int  # of the largest shard
    links: tuple[int, ...]  # links of each shard
    ghosts: tuple[int, ...]  # firms of other shards that each shard sees
    exchanged: int  # rows that one all-to-all moves between shards, padding included
    gathered: int  # rows that an all-gather of the firms would move, padding included

    @property
    def imbalance(self) -> float:
        """Largest shard's links over the mean."""
        return max(self.links) * len(self.links) / max(1, sum(self.links))

    @property
    def work(self) -> int:
        """Links of the largest shard and the rows that it exchanges."""
        return max(self.links) + self.exchanged // len(self.links)

    @property
    def volume(self) -> float:
        """Exchanged rows as a share of an all-gather."""
        return self.exchanged / self.gathered if self.gathered else 0.0


def cut_of(network: FirmNetwork, shard_of: Int[np.ndarray, " firm"]) -> Cut:
    """Measure a partition."""
    shards = int(shard_of.max()) + 1
    seen = ghosts_of(network, shard_of)
    pairs = np.bincount(shard_of[seen[:, 0]] * shards + seen[:, 1], minlength=shards * shards)
    firms = int(np.bincount(shard_of).max())
    return Cut(
        firms=firms,
        links=tuple(np.bincount(shard_of[network.buyer], minlength=shards).tolist()),
        ghosts=tuple(np.bincount(seen[:, 1], minlength=shards).tolist()),
        exchanged=int(pairs.max(initial=0)) * shards * (shards - 1),
        gathered=firms * shards * (shards - 1),
    )


def ghosts_of(network: FirmNetwork, shard_of: Int[np.ndarray, " firm"]) -> Int[np.ndarray, "ghost 2"]:
    """Every (firm, shard) where a shard buys from a firm that it does not own, by owner, shard and firm."""
    remote = shard_of[network.supplier] != shard_of[network.buyer]
    firm, shard = network.supplier[remote].astype(np.int64), shard_of[network.buyer[remote]]
    shards = int(shard_of.max()) + 1
    pairs = np.unique(firm * shards + shard)
    firm, shard = pairs // shards, pairs % shards
    order = np.lexsort((firm, shard, shard_of[firm]))
    return np.stack([firm[order], shard[order]], axis=1)
