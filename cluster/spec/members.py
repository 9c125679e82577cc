"""The members of a sweep: which value each path takes in each.

With the design random, the key of a member and a path is fold_in(fold_in(key(seed), member), crc32(path)): a value
depends on neither the other members nor the other paths, so a longer sweep begins with the shorter one. Other designs:
`designs.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from shockmesh.cluster.spec.designs import points
from shockmesh.cluster.spec.domains import Domain, base_of
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import first_of
from shockmesh.cluster.spec.rules import targets
from shockmesh.cluster.spec.source import Problem, SpecError

SHOWN = 5


@dataclass(frozen=True)
class Members:
    """How many members there are, and the value of each swept path in each."""

    n: int
    values: Mapping[str, np.ndarray]  # path → numbers or names [member]

    def take(self, members: Int[np.ndarray, " some"]) -> dict[str, np.ndarray]:
        """The values of some members only."""
        return {path: values[members] for path, values in self.values.items()}


def draw_members(spec: Spec) -> Members:
    """Draw, or enumerate, every member of the sweep.

    Raises:
        SpecError: a member draws a value outside its domain, or a recovery that starts before the shock.
    """
    sweep, n = spec.sweep, spec.members
    if sweep.vary and sweep.design != "random":
        at = points(sweep.design, sweep.seed, n, len(sweep.vary)).T
        values = {path: drawn.quantile(u) for (path, drawn), u in zip(sweep.vary.items(), at, strict=True)}
    elif sweep.vary:
        values = {path: drawn.quantile(uniforms(sweep.seed, n, path)) for path, drawn in sweep.vary.items()}
    elif sweep.grid:
        combinations = list(product(*sweep.grid.values()))
        values = {path: np.array([row[i] for row in combinations]) for i, path in enumerate(sweep.grid)}
    else:
        values = {path: np.array([entry[path] for entry in sweep.entries]) for path in sweep.paths}
    members = Members(n, values)
    problems = [*_outside(spec, members), *_recovering_early(spec, members)]
    if problems:
        raise SpecError(problems)
    return members


def root_key(seed: int) -> jax.Array:
    """The key that all randomness of a run comes from, whatever the defaults of this process."""
    return jax.random.key(seed, impl="threefry2x32")


def member_key(seed: int, member: int | jax.Array, path: str) -> jax.Array:
    """The random key of one path in one member."""
    return _key(root_key(seed), member, crc32(path.encode()))


def _key(root: jax.Array, member: int | jax.Array, path: int | jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(root, member), path)


def uniforms(seed: int, n: int, path: str) -> Float[np.ndarray, " member"]:
    """One number in (0, 1) for each of members 0 … n − 1, with 52 random bits."""
    return _uniform(_bits(root_key(seed), np.uint32(crc32(path.encode())), np.arange(n, dtype=np.uint32)))


@jax.jit
def _bits(root: jax.Array, path: jax.Array, members: jax.Array) -> jax.Array:
    """Two words of 32 bits of each member, by `member_key`: one program for all paths."""
    return jax.vmap(lambda member: jax.random.bits(_key(root, member, path), (2,), jnp.uint32))(members)


def arrivals(
    seed: int, members: Int[np.ndarray, " member"], path: str, firms: int, count: int
) -> Iterator[Float[np.ndarray, "firm member"]]:
    """The first `count` arrivals of a Poisson process of rate 1 for each firm and member, one after the other.

    The key of the k-th is fold_in of a member's key and k, so a longer series begins with the shorter one.
    """

    def bits(member: jax.Array, k: int) -> jax.Array:
        return jax.random.bits(jax.random.fold_in(member_key(seed, member, path), k), (firms, 2), jnp.uint32)

    time = np.zeros((firms, len(members)))
    for k in range(count):
        time = time - np.log(_uniform(jax.vmap(bits, (0, None), 1)(jnp.asarray(members, jnp.uint32), k)))
        yield time


def _uniform(bits: jax.Array) -> Float[np.ndarray, "..."]:
    """Numbers in (0, 1) of 52 of the 64 bits along the last axis."""
    high, low = np.moveaxis(np.asarray(bits).astype(np.uint64), -1, 0)
    return (((high << np.uint64(20)) | (low >> np.uint64(12))).astype(np.float64) + 0.5) / 2**52


def _outside(spec: Spec, members: Members) -> list[Problem]:
    known = targets(spec)
    domains = {path: known[base_of(path)] for path in members.values}
    return [
        _named(spec, path, members.values[path], ~domain.admits(members.values[path]), domain.rule)
        for path, domain in domains.items()
        if isinstance(domain, Domain) and not domain.admits(members.values[path]).all()
    ]


def _recovering_early(spec: Spec, members: Members) -> list[Problem]:
    """Recoveries that start before the onset, where both are one number for all firms."""
    starts = [
        (shock, name) for shock in spec.shocks for name in ("recovery_start", "rebuild_start") if name in shock.NUMBERS
    ]
    problems: list[Problem] = []
    for shock, name in starts:
        path = f"shocks.{shock.name}.{name}"
        start = members.values.get(path, getattr(shock, name))
        onset = members.values.get(f"shocks.{shock.name}.onset", getattr(shock, "onset", None))
        if isinstance(start, np.ndarray | float) and isinstance(onset, np.ndarray | float):
            early = np.broadcast_to(np.asarray(start < onset), (members.n,))
            if early.any():
                values = np.broadcast_to(start, (members.n,))
                problems.append(_named(spec, path, values, early, "must not be before the onset"))
    return problems


def _named(spec: Spec, path: str, values: np.ndarray, bad: np.ndarray, rule: str) -> Problem:
    shown = first_of([f"member {i}: {values[i]:.6g}" for i in np.flatnonzero(bad)[:SHOWN]], int(bad.sum()))
    where = next((f"sweep.{way}.{path}" for way in ("vary", "grid") if path in getattr(spec.sweep, way)), path)
    return spec.problem(where, shown, rule)
