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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from shockmesh.io.tables.store import Header, Reader, Rows, TableError
from shockmesh.io.tables.supply_use import shares_of

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


@dataclass(frozen=True)
class Uses:
    """Who uses what: products (or industries) sell to industries and to final demand, imports among it by name."""

    products: Sequence[str]
    flows: Float[np.ndarray, "product industry"]
    final: Float[np.ndarray, "product category"]
    categories: Sequence[str]

    @property
    def import_columns(self) -> list[int]:
        return [at for at, name in enumerate(self.categories) if IMPORTS.fullmatch(name.strip())]


def without_adjustments(of: Uses, name: str) -> tuple[Uses, list[str]]:
    """The same uses, with what is above zero in the columns of imports as a category of its own.

    Some offices book adjustments there, such as duties in the row of trade: they are sales of domestic products.
    """
    imports = of.final[:, of.import_columns]
    above = np.maximum(imports, 0).sum(1)
    final = of.final.copy()
    final[:, of.import_columns] = np.minimum(imports, 0)
    told = [f"{above.sum():.6g} above zero among imports is final demand of its own, {name}"] if above.any() else []
    return Uses(of.products, of.flows, np.column_stack([final, above]), [*of.categories, name]), told


def without_imports(where: str, of: Uses) -> tuple[Uses, list[str]]:
    """Domestic uses, by import proportionality, without the columns of imports; and what was done, in sentences.

    Raises:
        TableError: imports below zero, or above all uses of a product; it names `where` and the product.
    """
    found = of.import_columns
    exports = [at for at, name in enumerate(of.categories) if EXPORTS.fullmatch(name.strip()) and at not in found]
    others = [at for at in range(len(of.categories)) if at not in found]
    imports = -of.final[:, found].sum(1)
    output = of.flows.sum(1) + of.final.sum(1)
    share, passed_on = _shares(where, of.products, output, imports, of.final[:, exports].sum(1))
    kept = 1 - share[:, None] * np.ones(len(of.categories))
    kept[:, exports] = np.where(passed_on[:, None], kept[:, exports], 1)
    home = (1 - share)[:, None] * of.flows
    names = ", ".join(of.categories[at] for at in found)
    told = [
        f"{names}, {imports.sum():.6g}, are in flows and final demand, which became domestic by import "
        f"proportionality: inputs of {of.flows.sum():.6g} became {home.sum():.6g}, the rest is in value added"
    ]
    if passed_on.any():
        named = ", ".join(np.asarray(of.products)[passed_on][:5])
        told.append(
            f"{passed_on.sum()} are exported more than they are made, so that exports are in part imports: {named}"
        )
    return Uses(of.products, home, (of.final * kept)[:, others], [of.categories[at] for at in others]), told


def domestic(header: Header, read: Reader) -> tuple[Header, Reader]:
    """The same table with domestic flows, if a category of its final demand is imports.

    Raises:
        TableError: imports in a table of several regions, which has its flows by origin; or, once rows are read, a
            category that is below zero everywhere and does not say what it is, or more imports than uses.
    """
    found = [name for name in header.categories if IMPORTS.fullmatch(name.strip())]
    if len(header.regions) > 1:
        if found:
            raise TableError(
                f"{header.source}: category {found[0]}: imports, in a table of {len(header.regions)} regions"
            )
        return header, read
    if not found:
        return header, lambda year: _suspected(header, read(year))
    kept = [name for name in header.categories if name not in found]
    told = header.notes | {"value_added_includes": "imported inputs, by import proportionality; taxes"}
    return replace(header, categories=kept, notes=told), lambda year: _converted(header, year, read(year))


def _converted(header: Header, year: int, rows: Iterable[Rows | str]) -> Iterator[Rows | str]:
    for of in rows:
        if isinstance(of, str):
            yield of
            continue
        uses = Uses(header.sectors, of.flows[:, 0], of.final[:, 0], header.categories)
        home, told = without_imports(f"{header.source}, {year}", uses)
        yield replace(of, flows=home.flows[:, None], final=home.final[:, None])
        yield from (f"{year}: {said}" for said in told)


def _shares(
    where: str, products: Sequence[str], output: Float[np.ndarray, " product"], imports: Float[np.ndarray, " product"],
    exports: Float[np.ndarray, " product"],
) -> tuple[Float[np.ndarray, " product"], np.ndarray]:  # fmt: skip
    """The share of imports in the uses of each product, and whether exports are among these uses."""
    passed_on = (output - exports) < 0
    uses = output + imports - np.where(passed_on, 0, exports)
    share = shares_of(imports, uses)
    if (wrong := (share < -ROUNDED) | (share > 1 + ROUNDED) | ((uses == 0) & (imports != 0))).any():
        at = int(np.flatnonzero(wrong)[0])
        rule = f"imports {imports[at]:.6g} must be from 0 to its uses, {uses[at]:.6g}"
        raise TableError(f"{where}: {products[at]}: {rule}; domestic flows cannot be told")
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
