"""Designs: where in the unit cube the members of a sweep that varies numbers lie, one axis for each path.

    random           independent draws, each by seed, member and path alone (`members.py`)
    latin_hypercube  a member in each of n slices of every axis (McKay, Beckman & Conover 1979, Technometrics 21)
    sobol            a scrambled Sobol' sequence, even in all axes together (Owen 1998, J. of Complexity 14)
    saltelli         for indices: matrices A and B, of a Sobol' sequence of twice the axes, and for each path A with
                     its column of B (Saltelli et al. 2010, Computer Physics Communications 181)

Points come from scipy.stats.qmc. But for `random`, those of one path hang on how many paths there are.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.rules import Broken, catalogue
from shockmesh.cluster.spec.shocks import FailuresShock, place_of

HALF = 2.0**-31  # half a cell of a Sobol' sequence, whose points may be 0


def points(design: str, seed: int, members: int, axes: int) -> Float[np.ndarray, "member axis"]:
    """The points of a design, each coordinate within (0, 1)."""
    from scipy.stats import qmc  # here, for it takes longer to import than a spec to check

    if design == "latin_hypercube":
        return qmc.LatinHypercube(axes, rng=seed).random(members).clip(2.0**-53, 1 - 2.0**-53)
    if design == "sobol":
        return qmc.Sobol(axes, rng=seed).random(members) + HALF
    both = qmc.Sobol(2 * axes, rng=seed).random(members // (axes + 2)) + HALF
    return np.concatenate(saltelli(both[:, :axes], both[:, axes:]))


def saltelli(
    a: Float[np.ndarray, "point axis"], b: Float[np.ndarray, "point axis"]
) -> list[Float[np.ndarray, "point axis"]]:
    """A, B, and for each axis A with that column of B."""
    here = np.eye(a.shape[1], dtype=bool)
    return [a, b, *(np.where(column, b, a) for column in here)]


def design_rules(spec: Spec) -> Iterator[Broken]:
    """A design is of numbers that vary, has as many members as it needs, and nothing else that members draw."""
    sweep, at = spec.sweep, ("sweep", "design")
    if sweep.design == "random":
        return
    if not sweep.vary or catalogue(spec) is not None:
        why = "members are events" if sweep.vary else "nothing varies"
        yield at, sweep.design, f"is of the numbers that sweep.vary names; {why}"
        return
    if sweep.members is None or sweep.design == "latin_hypercube":
        return
    parts = len(sweep.vary) + 2 if sweep.design == "saltelli" else 1
    least = parts * 2 ** max(0, int(np.floor(np.log2(max(1, sweep.members / parts)))))
    if sweep.members != least:
        told = f"{parts} · 2^k members for {len(sweep.vary)} paths" if parts > 1 else "2^k members"
        yield ("sweep", "members"), sweep.members, f"{sweep.design} has {told}: {least} or {2 * least}"
    if sweep.design == "saltelli":
        yield from _also_drawn(spec)


def _also_drawn(spec: Spec) -> Iterator[Broken]:
    """What each member draws beside its numbers, and indices would take for effects of all of them together."""
    rule = "is drawn anew in each member, which indices cannot tell from an effect of the numbers"
    for i, shock in enumerate(spec.shocks):
        if isinstance(shock, FailuresShock):
            yield ("shocks", i, "kind"), shock.kind, rule
        for place in shock.PLACES:
            where = place_of(shock, place)
            drawn = where.share is not None or f"shocks.{shock.name}.{place}.share" in spec.sweep.vary
            if drawn and where.redraw:
                yield ("shocks", i, place, "share"), where.share, f"{rule}: say redraw: false"
