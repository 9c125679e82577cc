"""A spec as Python and as YAML, each of which gives the same spec again.

>>> from shockmesh.cluster.spec.load import parse_spec
>>> spec = parse_spec({"economy": "w.zarr", "horizon": {"days": 9}, "model": {"preset": "pichler2022"}})
>>> print(as_python(spec))
from shockmesh.cluster import api as sm
<BLANKLINE>
spec = sm.spec(
    economy='w.zarr',
    model=sm.Model(preset='pichler2022', criticality='surveyed'),
    horizon=sm.Horizon(days=9),
)
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import yaml
from pydantic import BaseModel
from shockmesh.cluster.python import objects
from shockmesh.cluster.spec.distributions import Distribution
from shockmesh.cluster.spec.models import Spec

HEAD = "from shockmesh.cluster import api as sm"
WIDE = 100  # characters of a line, as far as calls can be broken
NAMES = {  # model of a spec → its name in Python
    base.__name__.partition("[")[0]: name
    for name, of in vars(objects).items()
    if isinstance(of, type) and issubclass(of, objects.Part) and of is not objects.Part
    for base in (of.__mro__[2],)
}


def as_yaml(spec: Spec) -> str:
    """A spec as YAML: what differs from the defaults, names as codes and files absolute where it was resolved so."""
    return yaml.safe_dump(objects.plain(spec), sort_keys=False, allow_unicode=True, width=WIDE)


def as_python(spec: Spec) -> str:
    """A spec as a Python program that makes the same."""
    lines = [f"    {name}={_code(value, 1)},\n" for name, value in _said(spec)]
    return f"{HEAD}\n\nspec = sm.spec(\n{''.join(lines)})"


def _said(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Keys and values beyond the defaults; a shock says its kind by its class."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if (field.is_required() or value != field.default) and name != "kind":
            yield name, value


def _code(value: Any, depth: int) -> str:
    """A value as Python, broken into lines where it is long."""
    if isinstance(value, BaseModel):
        name = NAMES[re.sub(r"\[.*", "", type(value).__name__)]
        return _call(f"sm.{name}(", [f"{key}={_code(of, depth + 1)}" for key, of in _said(value)], ")", depth)
    if isinstance(value, Distribution):
        return _code(value.as_dict(), depth)
    if isinstance(value, Mapping):
        return _call("{", [f"{key!r}: {_code(of, depth + 1)}" for key, of in value.items()], "}", depth)
    if isinstance(value, tuple | list):
        return _call("[", [_code(of, depth + 1) for of in value], "]", depth)
    if isinstance(value, date):
        return repr(value.isoformat())
    return repr("inf" if value == float("inf") else value)


def _call(opening: str, parts: list[str], closing: str, depth: int) -> str:
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) + 4 * depth <= WIDE and "\n" not in line:
        return line
    inside = "".join(f"{'    ' * (depth + 1)}{part},\n" for part in parts)
    return f"{opening}\n{inside}{'    ' * depth}{closing}"
