"""Where each value of a spec was written: YAML read safely, with the line of every key kept.

Read as YAML 1.2: `NO` is Norway and `01` a sector code, `1e-3` is a number, and a key given twice is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

type KeyPath = tuple[str | int, ...]

DEEPEST, MOST = 32, 200_000  # levels and values of a document, aliases followed
LONGEST_TEXT = 200  # characters of a value that a problem shows, of a path or a name at most


@dataclass(frozen=True)
class Problem:
    """One rule broken by one value."""

    where: str  # "sweep.yaml:12", or "--set shocks.lockdown.loss=2"
    field: str  # dotted path, shocks by name
    value: str  # the value as read, shortened
    rule: str  # what it has to be

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.value}: {self.rule}"


class SpecError(ValueError):
    """Everything that is wrong with a spec, one `Problem` each; the message has one line per problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["SpecError"], tuple[tuple[Problem, ...]]]:
        return SpecError, (self.problems,)


@dataclass(frozen=True)
class Source:
    """The data of a spec, and the place of each of its keys."""

    name: str  # what to call the whole document in a message
    data: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def problem(self, path: KeyPath, value: object, rule: str) -> Problem:
        """A problem at `path`, placed at the nearest key that was written."""
        return Problem(self.place(path), self.label(path), shown(value), rule)

    def place(self, path: KeyPath) -> str:
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.name

    def label(self, path: KeyPath) -> str:
        """The path as a user writes it: shocks by name where they have one."""
        text, value = "", self.data
        for key in path:
            value = _child(value, key)
            name: object = value.get("name") if isinstance(key, int) and isinstance(value, dict) else None
            text += f".{name}" if isinstance(name, str) and name else f".{key}" if isinstance(key, str) else f"[{key}]"
        return text.removeprefix(".") or "(document)"


def shown(value: object) -> str:
    """A value as text, cut if long; a text has quotes where blanks or control characters would not be seen."""
    plain = isinstance(value, str) and value != "" and value.isprintable() and value == value.strip()
    return _cut(str(value), LONGEST_TEXT) if plain else _cut(repr(value), 60)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def read_source(path: str | Path, overrides: Sequence[str] = ()) -> Source:
    """Read a YAML file and apply `key.path=value` overrides, whose values are YAML too.

    Raises:
        SpecError: the file cannot be read, is not YAML, gives a key twice, or an override names no place.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise SpecError([Problem(name, "(document)", "cannot be read", why)]) from error
    source = parse_source(name, text)
    for override in overrides:
        _apply(source, override)
    return source


def parse_source(name: str, text: str) -> Source:
    """Parse YAML text called `name` in messages. Raises SpecError as `read_source` does."""
    places: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    data = _parse(name, text, (), places, problems)
    if not problems and not isinstance(data, dict):
        problems.append(Problem(f"{name}:1", "(document)", shown(data), "must be a mapping of keys to values"))
    if problems:
        raise SpecError(problems)
    return Source(name, data, places)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2, a leading zero making a text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the parent class's own attribute


_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _parse(name: str, text: str, at: KeyPath, places: dict[KeyPath, str], problems: list[Problem]) -> Any:
    try:
        loader = _Loader(text)  # which looks for characters that YAML does not have
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return _build(loader, node, name, at, places, problems)
    except yaml.reader.ReaderError as error:
        place = f"{name}:{text.count(chr(10), 0, error.position) + 1}"
        problems.append(Problem(place, "(document)", f"character {error.character:#x}", f"not YAML: {error.reason}"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        rule = getattr(error, "problem", None) or str(error).splitlines()[0]
        problems.append(Problem(place, "(document)", "not YAML", rule))
    except RecursionError:
        problems.append(Problem(name, "(document)", "not YAML", f"is nested deeper than {DEEPEST} levels"))
    return None


def _check_size(node: yaml.Node) -> None:
    """Refuse a document of more than `MOST` values before any alias is followed: a few lines can say billions."""
    if _size(node, {}) > MOST:
        raise yaml.constructor.ConstructorError(None, None, f"more than {MOST:,} values: use a file", node.start_mark)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds, aliases followed. Each node is counted once; one that holds itself is too large."""
    if id(node) not in known:
        known[id(node)] = MOST + 1
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _scalar(loader: _Loader, node: yaml.Node) -> Any:
    try:
        return loader.construct_object(node)
    except ValueError as error:  # an integer of thousands of digits
        raise yaml.constructor.ConstructorError(None, None, str(error).partition(":")[0], node.start_mark) from error


def _build(
    loader: _Loader, node: yaml.Node, name: str, path: KeyPath, places: dict[KeyPath, str], problems: list[Problem]
) -> Any:
    places.setdefault(path, f"{name}:{node.start_mark.line + 1}")
    if len(path) > DEEPEST:
        raise yaml.constructor.ConstructorError(None, None, f"nested deeper than {DEEPEST} levels", node.start_mark)
    if not isinstance(node, yaml.ScalarNode) and node.tag not in ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
        raise yaml.constructor.ConstructorError(None, None, f"no such tag as {node.tag}", node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, name, (*path, i), places, problems) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(loader, node)
    own = {id(key) for key, _ in node.value}
    first: dict[str, str] = {}
    loader.flatten_mapping(node)
    data: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = _key(loader, key_node)
        place = f"{name}:{key_node.start_mark.line + 1}"
        if id(key_node) in own and first.setdefault(key, place) is not place:
            problems.append(Problem(place, key, key, f"given twice; first at {first[key]}"))
        places[(*path, key)] = place
        data[key] = _build(loader, value_node, name, (*path, key), places, problems)
    return data


def _key(loader: _Loader, node: yaml.Node) -> str:
    key = loader.construct_object(node)
    return key if isinstance(key, str) else str(node.value)


def _child(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None


def _apply(source: Source, override: str) -> None:
    """Write one `key.path=value` into the data of `source`."""
    dotted, equals, text = override.partition("=")
    place = _cut(f"--set {override}", 120)
    if not (equals and dotted):
        raise SpecError([Problem(place, "(override)", shown(override), "must be key.path=value")])
    path = locate(source.data, dotted)
    container = _container(source, path, place, dotted)
    for stale in [known for known in source.places if known[: len(path)] == path]:
        del source.places[stale]
    problems: list[Problem] = []
    source.places[path] = place
    container[path[-1]] = _parse(place, text, path, source.places, problems)
    for below in [known for known in source.places if known[: len(path)] == path]:
        source.places[below] = place
    if problems:
        raise SpecError(problems)


def _container(source: Source, path: KeyPath, place: str, dotted: str) -> Any:
    """What holds the last key of a path; mappings on the way are made where they are missing."""
    held: Any = source.data
    for depth, key in enumerate(path):
        found: Any = held
        if isinstance(found, list) and isinstance(key, str):
            raise SpecError([Problem(place, dotted, shown(key), "no entry of that name in the list")])
        if not isinstance(found, dict | list):
            raise SpecError([Problem(place, dotted, shown(held), f"«{path[depth - 1]}» has no keys below it")])
        if depth < len(path) - 1:
            source.places.setdefault(path[: depth + 1], place)
            held = held[key] if isinstance(found, list) else held.setdefault(key, {})
    return held


def locate(data: Any, dotted: str) -> KeyPath:
    """The keys that a dotted path means in `data`. List entries go by name; existing keys may have dots in them.

    >>> locate({"shocks": [{"name": "strike", "loss": 1.0}]}, "shocks.strike.loss")
    ('shocks', 0, 'loss')
    """
    path: list[str | int] = []
    rest = dotted.split(".")
    while rest:
        if path in (["sweep", "vary"], ["sweep", "grid"]):
            return (*path, ".".join(rest))
        key, used = _next_key(data, rest)
        path.append(key)
        data = _child(data, key)
        rest = rest[used:]
    return tuple(path)


def _next_key(data: Any, rest: list[str]) -> tuple[str | int, int]:
    if isinstance(data, list):
        names = [entry.get("name") if isinstance(entry, dict) else None for entry in data]
        if rest[0] in names:
            return names.index(rest[0]), 1
        return (int(rest[0]), 1) if rest[0].isdigit() and int(rest[0]) < len(data) else (rest[0], 1)
    if isinstance(data, dict):
        for used in range(len(rest), 0, -1):
            if ".".join(rest[:used]) in data:
                return ".".join(rest[:used]), used
    return rest[0], 1
