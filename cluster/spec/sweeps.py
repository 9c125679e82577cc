"""The sweep of a spec: its members, and what differs between them."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator
from shockmesh.cluster.spec.distributions import Scalar
from shockmesh.cluster.spec.domains import Domain, domain_at
from shockmesh.cluster.spec.fields import Count, Drawn, Frozen, Levels, key


def _in_numbers(by_path: Any, info: Any) -> Any:
    """What a sweep says by path, in numbers where words stand for them."""
    if not isinstance(by_path, dict):
        return by_path
    return {path: _numbers(domain_at(path), said, info) if isinstance(path, str) else said
            for path, said in by_path.items()}  # fmt: skip


def _numbers(domain: Domain | None, said: Any, info: Any) -> Any:
    if isinstance(said, dict):
        return {name: _numbers(domain, of, info) for name, of in said.items()}
    if isinstance(said, list | tuple):
        return [_numbers(domain, of, info) for of in said]
    if domain is None or not isinstance(said, str | date):
        return said
    try:
        return domain.read(said, info)
    except ValueError:
        return said


class Sweep(Frozen):
    """Members, and what differs between them: at most one of `vary`, `grid` and `list`."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = key(
        0, "of all that is drawn: a longer sweep begins with the shorter one of its seed", 7
    )
    design: Literal["random", "latin_hypercube", "sobol", "saltelli"] = key(
        "random",
        "how the numbers of vary are spread: independent draws, evenly (latin_hypercube; sobol, 2^k members), or as "
        "`shockmesh indices` needs them (saltelli, (paths + 2) · 2^k members)",
        "sobol",
    )
    members: Count | None = key(
        None, "how many simulations; left out: as many as grid or list makes, or a catalogue has events, or 1", 64
    )
    vary: dict[str, Drawn] = key(
        {}, "path → distribution, drawn for each member", {"shocks.lockdown.loss": {"uniform": [0.3, 0.8]}}
    )
    grid: dict[str, Levels] = key(
        {}, "path → values; every combination is a member, the last path fastest", {"model.inventory_days": [5, 10, 20]}
    )
    entries: tuple[dict[str, Scalar], ...] = key(
        (),
        "path → value, one entry a member",
        [{"model.inventory_days": 5}, {"model.inventory_days": 10}],
        alias="list",
    )

    @model_validator(mode="before")
    @classmethod
    def _words(cls, data: Any, info: Any) -> Any:
        """Words in place of numbers, by what their path is; those that mean none are refused later, at their place."""
        if not isinstance(data, dict):
            return data
        ways = {way: _in_numbers(data[way], info) for way in ("vary", "grid") if isinstance(data.get(way), dict)}
        entries = data.get("list")
        if isinstance(entries, list | tuple):
            ways["list"] = [_in_numbers(entry, info) for entry in entries]
        return data | ways

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the sweep sets."""
        return tuple(dict.fromkeys([*self.vary, *self.grid, *(path for entry in self.entries for path in entry)]))
