"""Pydantic's errors as problems of a source: one line each, placed, in the words of this package."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from shockmesh.cluster.spec.source import KeyPath, Problem, Source

type Location = tuple[int | str, ...]

_RULES = {
    "missing": "required",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "string_type": "must be a text; put it in quotes",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "union_tag_not_found": "needs a kind: recovery, failures, damage, household_damage, cut, closure, table, events, "
    "tariff or cost",
}


def first_of(shown: Sequence[str], count: int) -> str:
    """The first of `count` names, and how many more there are.

    >>> first_of(["a", "b"], 5), first_of(["a", "b"], 2)
    ('a, b and 3 more', 'a, b')
    """
    return ", ".join(shown) + (f" and {count - len(shown)} more" if count > len(shown) else "")


def pydantic_problems(error: ValidationError, source: Source, unknown: Callable[[Location], str]) -> list[Problem]:
    """One problem for each field that pydantic refuses; `unknown` is the rule that an unknown key breaks."""
    problems: dict[KeyPath, Problem] = {}
    for found in error.errors(include_url=False):
        path, value = _path(source.data, found["loc"], absent=found["type"] == "missing"), found["input"]
        if found["type"] == "missing":
            value = "missing"
        elif found["type"] == "union_tag_invalid":
            path, value = (*path, "kind"), value["kind"]
        problems.setdefault(path, source.problem(path, value, _rule(found, unknown)))
    return list(problems.values())


def _rule(found: Any, unknown: Callable[[Location], str]) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(found["loc"])
    if kind == "union_tag_invalid":
        kinds = context["expected_tags"].replace(chr(39), "")
        return f"no such kind{suggestion(context['tag'], kinds.split(', '))}; there are {kinds}"
    if kind in ("literal_error", "enum") and isinstance(found["input"], str):
        words = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {context['expected']}{suggestion(found['input'], words)}"
    if kind == "value_error":
        return str(context["error"])
    told = str(found["msg"]).replace("Input should be", "must be").replace("String should", "must")
    return _RULES.get(kind, told)


def suggestion(name: str, known: Sequence[str], most: int = 1) -> str:
    """`, did you mean «…»?` where something known looks alike, else nothing."""
    close = get_close_matches(name, list(dict.fromkeys(known)), most, 0.6)
    return f", did you mean {' or '.join(f'«{match}»' for match in close)}?" if close else ""


def _path(data: Any, location: tuple[int | str, ...], *, absent: bool) -> KeyPath:
    """The keys of `location` that are in the data, or whose last is absent; pydantic adds tags of unions."""
    path: list[int | str] = []
    for depth, key in enumerate(location):
        if isinstance(data, dict) and (key in data or (absent and depth == len(location) - 1)):
            data = data.get(key)
            path.append(key)
        elif isinstance(data, list) and isinstance(key, int):
            data = data[key]
            path.append(key)
    return tuple(path)
