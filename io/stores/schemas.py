"""What a store says it is: `shockmesh_schema` is its kind and the version of its layout, such as `table/1`.

`io/DESIGN.md` says when a version rises, and for how long old ones are read.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from shockmesh.io.stores.places import Place

KEY = "shockmesh_schema"


def schema_of(file: Place) -> str:
    """The schema in the metadata of a group, its zarr.json; empty if there is none."""
    try:
        return str(json.loads(file.read_text("utf-8"))["attributes"][KEY]) if file.is_file() else ""
    except (ValueError, KeyError, TypeError):
        return ""


def mismatch(attrs: Mapping[Any, Any], schema: str) -> str | None:
    """Why a store with these attributes is not read as `schema`, the newest that is; None where it is."""
    kind, _, newest = schema.partition("/")
    told = attrs.get(KEY)
    if told == schema:
        return None
    later = re.fullmatch(rf"{kind}/([1-9]\d*)", str(told))
    if later and int(later[1]) > int(newest):
        return f"{KEY}: {told!r}: written by a later shockmesh; this one reads {schema!r}: install a later one"
    return f"{KEY}: {told!r}: must be {schema!r}"
