"""Imports in a national table of total flows, where they are a negative column of final demand, become domestic flows.

In such a table (competitive imports) a cell holds what is used, wherever it was made; the imports of each product are
taken off in one column. Firms drawn from it would make what the country imports. Here every user of a product is taken
to import the same share of it (import proportionality; Miller, Blair, 2009, Input-Output Analysis, 2nd ed., §4.2):

    m = imports / (output + imports − exports),  domestic = (1 − m) · use,  exports as they are

so that rows sum to output again. Where a product is exported more than it is made, imports are also passed on, and

    m = imports / (output + imports)             of all uses, exports among them

What is imported stays in the value added of its buyers. Both amounts are said.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from shockmesh.io.tables.store import Header, Reader, Rows, TableError

IMPORTS = re.compile(
    r"(\(?less\)?\W*)?(total |sum of )?(imports?|impo|imp|im|tim|f050|p7|p\.7|importations?|importaciones"
    r"|importaç(ão|ões)|import(i|e)n?|einfuhren?|importe)\b.*|\(less\).*",
    re.IGNORECASE,
)
EXPORTS = re.compile(
    r"(total )?(exports?|expo?|ex|f040|p6|p\.6|exportations?|exportaciones|exportaç(ão|ões)|ausfuhr(en)?)\b.*",
    re.IGNORECASE,
)
ROUNDED = 0.005  # of a share: tables are printed rounded
SLIGHT = 0.01  # of output: a category below zero that is smaller may be a correction


def domestic(header: Header, read: Reader) -> tuple[Header, Reader]:
    """The same table with domestic flows, if a category of its final demand is imports.

    Raises:
        TableError: imports in a table of several regions, which has its flows by origin; or, once rows are read, a
            category that is below zero everywhere and does not say what it is, or more imports than uses.
    """
    found = [at for at, name in enumerate(header.categories) if IMPORTS.fullmatch(name.strip())]
    if len(header.regions) > 1:
        if found:
            name = header.categories[found[0]]
            raise TableError(f"{header.source}: category {name}: imports, in a table of {len(header.regions)} regions")
        return header, read
    if not found:
        return header, lambda year: _suspected(header, read(year))
    kept = [name for at, name in enumerate(header.categories) if at not in found]
    told = header.notes | {"value_added_includes": "imported inputs, by import proportionality; taxes"}
    return replace(header, categories=kept, notes=told), lambda year: _converted(header, year, read(year), found)


def _converted(header: Header, year: int, rows: Iterable[Rows | str], found: list[int]) -> Iterator[Rows | str]:
    exports = [at for at, name in enumerate(header.categories) if EXPORTS.fullmatch(name.strip()) and at not in found]
    others = [at for at in range(len(header.categories)) if at not in found]
    for of in rows:
        if isinstance(of, str):
            yield of
            continue
        flows, final = of.flows[:, 0], of.final[:, 0]
        imports = -final[:, found].sum(1)
        share, passed_on = _shares(header, year, flows.sum(1) + final.sum(1), imports, final[:, exports].sum(1))
        kept = 1 - share[:, None] * np.ones(len(header.categories))
        kept[:, exports] = np.where(passed_on[:, None], kept[:, exports], 1)
        home = (1 - share)[:, None] * flows
        yield replace(of, flows=home[:, None], final=(final * kept)[:, others][:, None])
        names = ", ".join(header.categories[at] for at in found)
        yield (
            f"{year}: {names}, {imports.sum():.6g}, are in flows and final demand, which became domestic by import "
            f"proportionality: inputs of {flows.sum():.6g} became {home.sum():.6g}, the rest is in value added"
        )
        if passed_on.any():
            named = ", ".join(np.asarray(header.sectors)[passed_on][:5])
            said = f"{passed_on.sum()} sectors export more than they make, so that exports are in part imports"
            yield f"{year}: {said}: {named}"


def _shares(
    header: Header, year: int, output: Float[np.ndarray, " sector"], imports: Float[np.ndarray, " sector"],
    exports: Float[np.ndarray, " sector"],
) -> tuple[Float[np.ndarray, " sector"], np.ndarray]:  # fmt: skip
    """The share of imports in the uses of each product, and whether exports are among these uses."""
    passed_on = (output - exports) < 0
    uses = output + imports - np.where(passed_on, 0, exports)
    share = np.divide(imports, uses, out=np.zeros_like(uses), where=uses != 0)
    if (wrong := (share < -ROUNDED) | (share > 1 + ROUNDED) | ((uses == 0) & (imports != 0))).any():
        at = int(np.flatnonzero(wrong)[0])
        rule = f"imports {imports[at]:.6g} must be from 0 to its uses, {uses[at]:.6g}"
        raise TableError(f"{header.source}, {year}: sector {header.sectors[at]}: {rule}; domestic flows cannot be told")
    return np.clip(share, 0, 1), passed_on


def _suspected(header: Header, rows: Iterable[Rows | str]) -> Iterator[Rows | str]:
    """The same rows, unless a large category is nowhere above zero."""
    for of in rows:
        if isinstance(of, Rows):
            final, size = of.final[:, 0], of.flows.sum() + of.final.sum()
            for at, column in enumerate(final.T):
                if column.max(initial=0) <= 0 and -column.sum() > SLIGHT * abs(size):
                    said = f"category {header.categories[at]}: below zero in every sector, {column.sum():.6g} in all"
                    rule = "if these are imports, name them so, and flows become domestic; else give domestic flows"
                    raise TableError(f"{header.source}: {said}; {rule}")
        yield of
