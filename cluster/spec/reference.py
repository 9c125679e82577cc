"""What each key of a spec means, read off its schema: for `shockmesh explain` and for the pages of the reference."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import Any

import yaml
from shockmesh.cluster.spec.domains import Domain
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.cluster.spec.schema import SAME_AS, Node, spec_schema
from shockmesh.kernels.model import DEFAULTS, PRESETS

KIND = "what kind of shock it is"  # of keys that may be one word only, and have no description
NUMBERS = "by_firm"  # stands for any number that may differ between firms, in paths of the reference
PER_FIRM = "PerFirm"
SHOWN = 3  # places of a key
KINDS = {
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}


class UnknownKeyError(ValueError):
    """No key of a spec has that name. The message says which are alike."""


@dataclass(frozen=True)
class Key:
    """One key of a spec."""

    path: str  # model.capacity, shocks.recovery.loss: a kind stands for shocks of that kind
    meaning: str
    kind: str  # what it may be: a number, one of these words, a mapping …
    unit: str | None
    default: str | None  # None: there is none, or it is said in the meaning
    bounds: str | None
    example: str | None
    required: bool
    other_name: str | None  # BoARIO's
    part: str  # the model that it belongs to: Model, Where, RecoveryShock, …

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def lines(self) -> Iterator[tuple[str, str]]:
        """What there is to say, as heading and text."""
        must = " (required)" if self.required else ""
        yield "is", self.kind + must
        told = {"unit": self.unit, "bounds": self.bounds, "default": self.default, "example": self.example}
        told["BoARIO's name"] = self.other_name
        yield from ((heading, text) for heading, text in told.items() if text)


@cache
def keys() -> tuple[Key, ...]:
    """Every key of a spec, in the order of the models; those of a number by firm, which many have, come last."""
    found = tuple(_below(spec_schema(), ""))
    numbers = {key.name: replace(key, path=f"{NUMBERS}.{key.name}", bounds=None) for key in found if _by_firm(key)}
    return (*{key.path: key for key in found if not _by_firm(key)}.values(), *numbers.values())


def _by_firm(key: Key) -> bool:
    return key.part == PER_FIRM


def find(asked: str) -> list[Key]:
    """The keys that a user means: by path, its end, BoARIO's name, a shock's name for its kind, or what they may be.

    >>> [key.path for asked in ("psi_param", "shocks.lockdown.repair_days") for key in find(asked)]
    ['model.inventory_threshold', 'shocks.failures.repair_days']

    Raises:
        UnknownKeyError: there is none.
    """
    words = asked.strip().removesuffix(".").split(".")
    exact = [key for key in keys() if key.path == ".".join(words)]
    ending = [key for key in keys() if _ends(key, words)]
    of_shocks = [key for key in keys() if _of_a_shock(key, words)]
    if found := exact or ending or of_shocks or [key for key in keys() if asked in _choices(key)]:
        return found
    names = [*(key.path for key in keys()), *(key.name for key in keys())]
    first = f"; there are {', '.join(key.path for key in keys() if '.' not in key.path)}"
    raise UnknownKeyError(f"no key «{asked}»" + (suggestion(asked, names) or first))


def unknown_key(location: tuple[int | str, ...]) -> str:
    """What to say of a key that is none where it stands: those alike, where else there is one, and all there are.

    >>> unknown_key(("horizon", "day"))
    'unknown key, did you mean «days»?; there are days, start'
    """
    name, known = str(location[-1]), allowed(location[:-1])
    alike = suggestion(name, known)
    elsewhere = [key.path for key in keys() if key.name == name or key.other_name == name][:SHOWN]
    if not alike and not elsewhere and (other := get_close_matches(name, [key.name for key in keys()], 1, 0.8)):
        elsewhere = [key.path for key in keys() if key.name == other[0]][:SHOWN]
    there = f"; elsewhere there is {', '.join(elsewhere)}" if elsewhere else ""
    return f"unknown key{alike}{there}; there are {', '.join(known)}"


def allowed(location: tuple[int | str, ...]) -> list[str]:
    """The keys that a spec may have at a place, as pydantic names it: keys, positions in lists, and kinds of shocks."""
    nodes = [spec_schema()]
    for step in location:
        nodes = list(_within(nodes, step)) or nodes  # a tag of pydantic's own: one of the same alternatives
    return [name for node in nodes for name, of in node.get("properties", {}).items() if SAME_AS not in of]


def _within(nodes: list[Node], step: int | str) -> Iterator[Node]:
    """What a step leads to, each of its alternatives."""
    for node in nodes:
        properties: Node = node.get("properties", {})
        if step in properties:
            yield from _leaves(properties[step])
        elif properties.get("kind", {}).get("const") == step:
            yield node
        elif isinstance(step, int) and isinstance(node.get("items"), dict):
            yield from _leaves(node["items"])
        elif isinstance(step, str) and isinstance(node.get("additionalProperties"), dict):
            yield from _leaves(node["additionalProperties"])


def below(key: Key) -> list[Key]:
    """The keys within a key, one level down; of shocks, the kinds' own keys."""
    return [of for of in keys() if of.path.rpartition(".")[0] == key.path]


def _ends(key: Key, words: list[str]) -> bool:
    parts = key.path.split(".")
    return parts[-len(words) :] == words or [*parts[:-1], key.other_name][-len(words) :] == words


def _choices(key: Key) -> list[str]:
    """The words that a key may be."""
    return re.findall(r"[\w-]+", key.kind.partition("one of ")[2])


def _of_a_shock(key: Key, words: list[str]) -> bool:
    """`shocks.lockdown.loss` is the loss of a shock of any kind."""
    parts = key.path.split(".")
    return words[0] == parts[0] == "shocks" and len(words) > 2 and parts[2:] == words[2:]


def _below(node: Node, path: str) -> Iterator[Key]:
    """The keys of a part of the schema, and of all parts within it."""
    same = {of[SAME_AS]: name for name, of in node["properties"].items() if SAME_AS in of}
    for name, of in node["properties"].items():
        if SAME_AS in of:
            continue
        where = f"{path}.{name}".removeprefix(".")
        needed = name in node.get("required", []) or {"required": [name]} in _either(node)
        yield _key(where, of, needed, same.get(name), node.get("title", ""))
        for part in _parts(of):
            kind = part["properties"].get("kind", {}).get("const")
            if kind is not None:
                yield _key(f"{where}.{kind}", part, False, None, of.get("title", ""))
            yield from _below(part, where if kind is None else f"{where}.{kind}")


def _either(node: Node) -> list[Node]:
    return [of for group in node.get("allOf", []) for of in group["anyOf"]]


def _parts(node: Node) -> Iterator[Node]:
    """The mappings with keys of their own that a key may hold, be it in lists, by name, or as one of several."""
    if "properties" in node and "title" in node:
        yield node
    for within in (*node.get("anyOf", []), *node.get("oneOf", []), node.get("items"), node.get("additionalProperties")):
        if isinstance(within, dict):
            yield from _parts(within)


def _key(path: str, node: Node, required: bool, other_name: str | None, part: str) -> Key:
    said = node.get("description", KIND if "const" in node else "")
    told = re.fullmatch(r"(.*?)(?: \[([^]]*)\])?", " ".join(said.split()))
    assert told is not None
    leaves = [leaf for leaf in _leaves(node) if leaf.get("type") != "null"]
    example = node.get("const", next(iter(node.get("examples", [])), None))
    return Key(
        path, told[1], _kind(leaves), told[2], _default(path, node, leaves), _bounds(leaves),
        None if example is None else f"{path.rpartition('.')[2]}: {flow(example)}", required, other_name, part,
    )  # fmt: skip


def _leaves(node: Node) -> Iterator[Node]:
    """A node's alternatives."""
    if "anyOf" in node or "oneOf" in node:
        for one in (*node.get("anyOf", []), *node.get("oneOf", [])):
            yield from _leaves(one)
    else:
        yield node


def _kind(leaves: list[Node]) -> str:
    names = [
        "{default, by_region, by_sector, file}" if leaf.get("title") == PER_FIRM
        else f"one of {', '.join(map(str, leaf['enum']))}" if "enum" in leaf
        else leaf["const"] if "const" in leaf
        else leaf["title"] if leaf.get("type") == "string" and "title" in leaf
        else KINDS.get(leaf.get("type", ""), "text")
        for leaf in leaves
    ]  # fmt: skip
    return " or ".join(dict.fromkeys(names))


def _bounds(leaves: list[Node]) -> str | None:
    """The bounds of the numbers that a key may be, or that it maps names to."""
    within = [leaf.get("additionalProperties") for leaf in leaves if "properties" not in leaf]
    numbers = [*leaves, *(leaf for of in within if isinstance(of, dict) for leaf in _leaves(of))]
    for leaf in numbers:
        low, high = (leaf.get(f"{end}imum", leaf.get(f"exclusive{end.title()}imum")) for end in ("min", "max"))
        if low is not None:
            ends = "exclusiveMinimum" in leaf, "exclusiveMaximum" in leaf
            return Domain(low, float("inf") if high is None else high, *ends).rule.removeprefix("must be ")
    return None


def _default(path: str, node: Node, leaves: list[Node]) -> str | None:
    name = path.rpartition(".")[2]
    if path == f"model.{name}" and any("enum" in leaf for leaf in leaves) and name != "preset":  # a switch
        return f"of the preset: {_by_preset({key: getattr(of.switches, name) for key, of in PRESETS.items()})}"
    given = {key: of.defaults[name] for key, of in PRESETS.items() if name in of.defaults}
    if path.startswith("model.") and given:
        elsewhere = f"; of others {DEFAULTS[name]:.4g}" if name in DEFAULTS else ""
        return f"of the preset: {_by_preset(given)}{elsewhere}"
    if path.startswith("model.") and name in DEFAULTS:
        return f"{DEFAULTS[name]:.4g}"
    value = node.get("default", [])
    return f"{value:g}" if isinstance(value, float) else None if value == [] else flow(value)


def _by_preset(given: dict[str, Any]) -> str:
    """`9 (hamid2025, literal), 90 (hallegatte2014)`."""
    groups: dict[str, list[str]] = {}
    for preset, value in given.items():
        groups.setdefault(value if isinstance(value, str) else f"{value:g}", []).append(preset)
    return ", ".join(f"{value} ({', '.join(of)})" for value, of in groups.items())


def flow(value: Any) -> str:
    """A value as a spec writes it, on one line.

    >>> flow({"region": "GBR", "sector": ["I", "G47"]})
    '{region: GBR, sector: [I, G47]}'
    """
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
