"""The GTAP Data Base (basedata.har, gsdfdat.har): what users in a region buy at home and abroad, and trade.

    VDFB [product, industry, region]   bought at home            VDPB, VDGB, VDIB [product, region]   … for final use
    VMFB [product, industry, region]   bought abroad             VMPB, VMGB, VMIB
    VXSB [product, from, to]           exports                   VST, VTWR      freight that is offered, and used
    MAKB [product, industry, region]   made, if it is there

all at basic prices; before version 11, VDFM, VIFM, VXMD … at market prices, with investment as an industry CGDS.

Who buys from where is not in it. As all tables made of it do, every buyer in a region is taken to buy a product from
its origins in the proportions of the region's imports of it (Peters, Andrew, Lennox, 2011, Economic Systems Research
23:131). An import counts what its maker got, VXSB: freight is bought from all regions that offer it, by those
who buy what it carries; export taxes and duties are part of the buyers' value added. So rows sum to output exactly.
Products are sold by those who make them (`supply_use.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.header_arrays import HeaderArray, names_in, read_arrays
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.years import by_year
from shockmesh.io.tables.store import Header, Rows, TableError
from shockmesh.io.tables.supply_use import MODEL, shares_of


@dataclass(frozen=True)
class Names:
    """What arrays are called in a version."""

    industries: tuple[str, str]  # what they buy at home and abroad
    final: dict[str, tuple[str, str]]  # the same, by category of final demand
    exports: str

    @property
    def all(self) -> list[str]:
        return [*self.industries, *(name for pair in self.final.values() for name in pair), self.exports, *FREIGHT]


FREIGHT = ("VST", "VTWR")
MADE, RELEASE = "MAKB", "DREL"
LATE = Names(
    ("VDFB", "VMFB"),
    {"households": ("VDPB", "VMPB"), "government": ("VDGB", "VMGB"), "investment": ("VDIB", "VMIB")}, "VXSB",
)  # fmt: skip
EARLY = Names(("VDFM", "VIFM"), {"households": ("VDPM", "VIPM"), "government": ("VDGM", "VIGM")}, "VXMD")


@dataclass(frozen=True)
class Base:
    """A data base. Users are industries, then categories of final demand."""

    regions: tuple[str, ...]
    products: tuple[str, ...]
    industries: tuple[str, ...]
    categories: tuple[str, ...]
    home: Float[np.ndarray, "product user region"]
    abroad: Float[np.ndarray, "product user region"]
    exports: Float[np.ndarray, "product origin region"]
    margins: tuple[str, ...]
    offered: Float[np.ndarray, "margin region"]
    carried: Float[np.ndarray, "margin user region"]  # freight of what users buy abroad
    made: Float[np.ndarray, "product industry region"] | None

    @property
    def imports(self) -> Float[np.ndarray, "product region"]:
        return self.abroad.sum(1)


def fits(source: Source) -> list[File]:
    """Header array files that have what industries buy at home."""
    wanted = {names.industries[0] for names in (LATE, EARLY)}
    return [file for file in source.matching(r".*\.har") if wanted & set(names_in(file))]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open a data base, or one a year; the rows of one region are made at a time.

    Raises:
        TableError, SourceError: no such file, arrays that are missing or do not fit, or a file that is damaged.
    """
    files = fits(source)
    if not files:
        there = {file.name: names_in(file) for file in source.matching(r".*\.har")}
        told = "; ".join(f"{name} has {', '.join(names[:8])} …" for name, names in [*there.items()][:3])
        raise TableError(f"{source}: no .har file with VDFB or VDFM, what industries buy at home; {told or 'no .har'}")
    return by_year(source, files, said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    names = LATE if LATE.industries[0] in names_in(file) else EARLY
    found = read_arrays(file, {*names.all, MADE, RELEASE})
    if missing := [name for name in names.all if name not in found]:
        raise TableError(f"{file}: arrays: missing {', '.join(missing)}; a GTAP data base has {', '.join(names.all)}")
    base = _base(file, names, found)
    header = header_of(
        about, file, Labels(base.regions, base.industries, base.categories), remarks=(_account(base), *_model(base))
    )
    if RELEASE in found:
        header = replace(header, source=f"{header.source}, {found[RELEASE].labels[0][0]}")
    return header, lambda year: _rows(base)


def _base(file: File, names: Names, found: dict[str, HeaderArray]) -> Base:
    products, users, regions = found[names.industries[0]].labels
    home, abroad = (
        np.concatenate(
            [
                _cells(file, found, names.industries[side], (products, users, regions)),
                *(_cells(file, found, pair[side], (products, regions))[:, None] for pair in names.final.values()),
            ],
            axis=1,
        )
        for side in (0, 1)
    )
    exports = _cells(file, found, names.exports, (products, regions, regions))
    margins = found["VST"].labels[0]
    freight = _cells(file, found, "VTWR", (margins, products, regions, regions)).sum(2)
    users_share = shares_of(abroad, abroad.sum(1, keepdims=True))
    industries = users if names is LATE else users[: len(products)]
    made = _cells(file, found, MADE, (products, industries, regions)) if MADE in found else None
    if (made is None and len(industries) != len(products)) or (names is EARLY and industries != products):
        raise TableError(f"{file}: arrays: missing {MADE}: what the {len(industries)} industries make of the products")
    return Base(
        regions, products, industries, (*users[len(industries) :], *names.final), home, abroad, exports, margins,
        _cells(file, found, "VST", (margins, regions)), np.einsum("mpr,pur->mur", freight, users_share), made,
    )  # fmt: skip


def _cells(
    file: File, found: dict[str, HeaderArray], name: str, labels: tuple[tuple[str, ...], ...]
) -> Float[np.ndarray, "..."]:
    """An array, whose labels must be these."""
    if found[name].labels != labels:
        raise TableError(f"{file}: {name}: its labels are not those of the other arrays")
    return found[name].values


def _account(base: Base) -> str:
    """What of the imports is no flow between industries."""
    paid, got, freight = base.imports.sum(), base.exports.sum(), base.carried.sum()
    return (
        f"imports of {paid:.6g} at the prices of their buyers' regions: {got:.6g} are sales of those who made them, "
        f"{freight:.6g} freight, and {paid - got - freight:.6g} export taxes and duties, left to value added"
    )


def _model(base: Base) -> list[str]:
    told = ["every buyer in a region buys a product from its origins in proportion to the region's imports of it"]
    return told if base.made is None else [*told, MODEL]


def _rows(base: Base) -> Iterator[Of]:
    per_import = shares_of(base.exports, base.imports[:, None])
    carried = shares_of(base.carried, base.carried.sum((1, 2), keepdims=True))
    at = [base.products.index(margin) for margin in base.margins]
    for r, region in enumerate(base.regions):
        sold = np.einsum("pur,pr->pru", base.abroad, per_import[:, r])
        sold[:, r] += base.home[:, :, r]
        sold[at] += np.einsum("m,mur->mru", base.offered[:, r], carried)
        output = None
        if base.made is not None:
            made = base.made[:, :, r]
            sold = np.einsum("pi,pru->iru", shares_of(made, made.sum(1, keepdims=True)), sold)
            output = made.sum(0)
        yield Rows(region, sold[:, :, : len(base.industries)], sold[:, :, len(base.industries) :], output)
