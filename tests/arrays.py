"""Arrays as the kernels take them, derivatives against differences, firms in other places, and one in two halves."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from shockmesh.kernels.network import FirmNetwork, firm_network, with_candidates


def column(value: Any) -> jax.Array:
    """A number, or one for each firm (firm, 1)."""
    return jnp.atleast_1d(jnp.asarray(value, float))[:, None]


def random_way(like: Any, seed: int) -> Any:
    """A random change of every number but 0: whether a firm builds at all is not a matter of degree."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    random = [jax.random.normal(key, leaf.shape) * (leaf != 0) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, random)


def checked_slopes(value: Callable[[Any], jax.Array], at: Any, ways: int = 1) -> Any:
    """The gradient of a value, which along each of some random ways is the value's central difference."""
    both = jax.jit(jax.value_and_grad(value))
    _, gradient = both(at)
    for seed in range(ways):
        way = random_way(at, seed)
        (up, _), (down, _) = (both(jax.tree.map(lambda a, d, h=h: a + h * d, at, way)) for h in (1e-7, -1e-7))
        exact = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
        np.testing.assert_allclose(exact, (up - down) / 2e-7, rtol=2e-5)
    return gradient


def moved(network: FirmNetwork, to: np.ndarray, scale: float = 1.0) -> FirmNetwork:
    """Firm i of the network becomes firm to[i], and all flows so many times as large."""
    back, more = np.argsort(to), network.candidates
    links = firm_network(
        to[network.supplier], to[network.buyer], scale * network.amount, scale * network.final_demand[back],
        product=network.product, region=network.region[back], regions=network.regions,
        sector=network.sector[back], sectors=network.sectors,
    )  # fmt: skip
    return with_candidates(links, to[more.supplier], to[more.buyer], more.product)


def split_last(network: FirmNetwork) -> FirmNetwork:
    """Replace the last firm by two halves that buy and sell half as much each, with its candidates and candidacies."""
    last, new, more = network.n_firms - 1, network.n_firms, network.candidates
    touched, of_more = ((of.supplier == last) | (of.buyer == last) for of in (network, more))
    amount = np.where(touched, network.amount / 2, network.amount)

    def twin(ends: np.ndarray, touched: np.ndarray) -> np.ndarray:
        return np.concatenate([ends, np.where(ends[touched] == last, new, ends[touched])])

    final_demand = np.append(network.final_demand, network.final_demand[-1] / 2)
    final_demand[last] /= 2
    links = firm_network(
        twin(network.supplier, touched), twin(network.buyer, touched), np.concatenate([amount, amount[touched]]),
        final_demand, product=np.concatenate([network.product, network.product[touched]]),
        sector=np.append(network.sector, network.sector[-1]), sectors=network.sectors,
        region=np.append(network.region, network.region[-1]), regions=network.regions,
    )  # fmt: skip
    return with_candidates(
        links,
        twin(more.supplier, of_more),
        twin(more.buyer, of_more),
        np.concatenate([more.product, more.product[of_more]]),
    )
