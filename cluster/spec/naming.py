"""Names and groups in a spec, in place of codes: `{region: EU, sector: Manufacturing}` becomes the economy's own codes.

A code counts before a name, a name before a group; what is none of these stays as it is, and is told when the spec is
bound. A spec that was resolved has codes only, but for what a sweep moves as one (`…by_sector.Manufacturing`), and
stays the same when it is resolved again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel
from shockmesh.cluster.spec.events import counted
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import first_of
from shockmesh.cluster.spec.selection import Directory, Selection
from shockmesh.cluster.spec.shocks import Where
from shockmesh.cluster.spec.source import KeyPath, Problem, SpecError
from shockmesh.io.inputs.names import Kind, NamesError, group_of
from shockmesh.io.networks.industries import load_economy
from shockmesh.kernels.network import FirmNetwork

KINDS: dict[str, Kind] = {  # fields that name regions or sectors, in a list or as keys
    "region": "region",
    "by_region": "region",
    "sector": "sector",
    "by_sector": "sector",
    "inventory_by_product": "sector",
    "builders": "sector",
    "energy": "sector",
}
SHOWN = 10  # firms


@dataclass(frozen=True)
class OnEconomy:
    """A spec whose names are those of its economy."""

    spec: Spec
    network: FirmNetwork
    remarks: tuple[str, ...]  # which codes each group stands for


@dataclass
class _Found:
    """What is gathered on the way."""

    spec: Spec
    directory: Directory
    problems: list[Problem] = field(default_factory=list[Problem])
    remarks: dict[str, None] = field(default_factory=dict[str, None])

    def meant(self, kind: Kind, word: str, path: KeyPath) -> list[str]:
        try:
            found = self.directory.meant(kind, word)
        except NamesError as error:
            self.problems.append(self.spec.problem(path, word, str(error)))
            return [word]
        if len(found) > 1:
            self.remarks[f"{word}: {_members(kind, word, found)}"] = None
        return found or [word]


def on_economy(spec: Spec) -> OnEconomy:
    """Read the economy of a spec, give what the spec names its codes, and the sweep as many members as it has events.

    Raises:
        SpecError: a name of several codes, a group that a sector only partly belongs to, or a code that two groups give
            different numbers.
        NetworkStoreError, TableError, GenerateError: nothing sound is there.
        ScenarioError: a catalogue of events cannot be read.
    """
    spec = counted(spec)
    network = load_economy(spec.economy, spec.year)
    found = _Found(spec, Directory(network))
    resolved: Spec = _resolved(found, spec, ())
    if found.problems:
        raise SpecError(found.problems)
    return OnEconomy(resolved, network, tuple(found.remarks))


def _members(kind: Kind, word: str, found: list[str]) -> str:
    """Which codes a group stands for, in words; and how many of its countries the economy does not have apart."""
    shown = first_of(found[:30], len(found))
    group = group_of(kind, word)
    absent = len(group.covers) - len(found) if group and kind == "region" else 0
    return f"stands for {shown}" + (f"; {absent} of its countries are no regions of the economy" if absent > 0 else "")


def _resolved(found: _Found, value: Any, path: KeyPath) -> Any:
    """A part of a spec with codes in place of names."""
    if isinstance(value, Where) and value.largest is not None:
        return _ranked(found, value.model_copy(update=_parts(found, value, path)), path)
    if isinstance(value, BaseModel):
        changed = _parts(found, value, path)
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, tuple) and any(isinstance(one, BaseModel) for one in value):
        parts_ = tuple(_resolved(found, one, (*path, i)) for i, one in enumerate(value))
        return parts_ if any(a is not b for a, b in zip(parts_, value, strict=True)) else value
    return value


def _parts(found: _Found, value: BaseModel, path: KeyPath) -> dict[str, Any]:
    """The fields of a model that change."""
    fields = type(value).model_fields
    parts = {name: _part(found, name, getattr(value, name), (*path, of.alias or name)) for name, of in fields.items()}
    return {name: part for name, part in parts.items() if part is not getattr(value, name)}


def _ranked(found: _Found, where: Where, path: KeyPath) -> Where:
    """The largest firms of a place are told, unless a sweep moves it; by ESRI, which takes a while, they are fixed."""
    place = found.spec._source.label(path)
    if any(swept.startswith(f"{place}.") for swept in found.spec.sweep.paths) or found.problems:
        return where
    firms = np.flatnonzero(Selection(place, where, 0, found.directory).matching())
    ids = [str(found.directory.network.firm[firm]) for firm in firms]
    if len(ids) < (where.largest or 0):
        return where  # refused when it is bound
    shown = first_of(ids[:SHOWN], len(ids))
    found.remarks[f"{place}: the {len(ids)} largest by {where.top_by}: {shown}"] = None
    if where.top_by != "esri":
        return where
    return Where(firm=tuple(ids), share=where.share, redraw=where.redraw)


def _part(found: _Found, name: str, value: Any, path: KeyPath) -> Any:
    kind = KINDS.get(name)
    resolve = partial(_keys if isinstance(value, dict) else _list, found, kind)
    if kind is None or not isinstance(value, dict | tuple) or not value:
        return _resolved(found, value, path)
    changed = resolve(value, path)
    return value if changed == value else changed


def _list(found: _Found, kind: Kind, words: tuple[str, ...], path: KeyPath) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for word in words for code in found.meant(kind, word, path)))


def _keys(found: _Found, kind: Kind, numbers: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """Numbers by code. What is said of a code itself counts before what a name or a group says of it.

    A word that a sweep names stays: its number is drawn once, for all its codes.
    """
    place = f"{found.spec._source.label(path)}."
    swept = [of.removeprefix(place) for of in found.spec.sweep.paths if of.startswith(place)]
    kept = {*swept, *found.directory.codes(kind)}
    own = {word: number for word, number in numbers.items() if word in kept}
    others: dict[str, Any] = {}
    for word, code in _of_words(found, kind, [word for word in numbers if word not in own], path):
        if path[-1] == "builders" and code in others | own:
            found.problems.append(found.spec.problem(path, word, f"{code} is named twice"))
        elif others.setdefault(code, numbers[word]) != numbers[word]:
            found.problems.append(found.spec.problem(path, word, f"{code} has another number already; name the code"))
    return others | own


def _of_words(found: _Found, kind: Kind, words: list[str], path: KeyPath) -> Iterator[tuple[str, str]]:
    for word in words:
        codes = found.meant(kind, word, (*path, word))
        if path[-1] == "builders" and len(codes) > 1:
            rule = f"stands for {', '.join(codes[:5])}: give each its own share"
            found.problems.append(found.spec.problem((*path, word), word, rule))
        yield from ((word, code) for code in codes)
