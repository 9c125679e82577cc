"""Plain English names of sectors and places, and the groups that they belong to: what a spec may say in place of codes.

    meant("sector", "Manufacturing", ["A01", "C10-C12", "C13-C15"])   →   ["C10-C12", "C13-C15"]
    meant("region", "EU", ["AUT", "CHE", "DEU"])                      →   ["AUT", "DEU"]

`names/sectors.csv` has the codes of WIOD 2016 and 2013, the OECD's tables, NACE Rev. 2 in 64 industries (FIGARO), ISIC
Rev. 4, ADB, Eora26 and GLORIA, each with a name and the divisions of ISIC Rev. 4 that it covers: the way from one
classification to another, and to the groups (a section, such as C; Industry; Services). EXIOBASE's are those that
pymrio brings. Countries are those of ISO 3166 (pycountry) and of `names/places.csv`; groups of countries are in
`names/groups.csv`. Sources: `names/README.md`.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pycountry

NAMES = Path(__file__).with_suffix("")
GROUP = "group"  # in the place of a classification
EXIOBASE = (163, 200)  # industries and products of EXIOBASE 3: pymrio is imported for these alone

NOTHING: Mapping[str, str] = MappingProxyType({})

type Kind = Literal["region", "sector"]


class NamesError(ValueError):
    """A name or group that does not say which codes it means. The message names it and the codes."""


@dataclass(frozen=True)
class Named:
    """A code with its name and what it covers: divisions of ISIC Rev. 4, or a country's ISO code of three letters."""

    code: str
    name: str
    covers: frozenset[str]


def named(kind: Kind, codes: Sequence[str], own: Mapping[str, str] = NOTHING) -> dict[str, Named]:
    """The codes that are known, with their names. Sectors are known where one classification has all of them.

    Args:
        own: code → name, as an economy brings them; they count less, and belong to no group.
    """
    brought = {code: Named(code, own[code], frozenset()) for code in codes if code in own} if kind == "sector" else {}
    return brought | (_places(codes) if kind == "region" else _sectors(tuple(codes)))


def label(kind: Kind, code: str, codes: Sequence[str]) -> str:
    """A code with its name behind it, for people.

    >>> label("sector", "C29", ["C28", "C29"]), label("region", "DEU", ["DEU"]), label("region", "mine", ["mine"])
    ('C29 Motor vehicles', 'DEU Germany', 'mine')
    """
    found = named(kind, codes).get(code)
    return code if found is None or found.name == code else f"{code} {found.name}"


def meant(kind: Kind, word: str, codes: Sequence[str], own: Mapping[str, str] = NOTHING) -> list[str]:
    """The codes that a word means: a code itself, a name, a group, or a code of another classification; or nothing.

    Raises:
        NamesError: several codes have that name, or one is only partly in a group.
    """
    if word in codes:
        return [word]
    known = named(kind, codes, own)
    alike = [code for code, of in known.items() if of.name.casefold() == word.casefold()]
    if len(alike) > 1:
        raise NamesError(f"{word}: may be {' or '.join(alike)}; name the code")
    return alike or _in_group(kind, word, known) or (_translated(word, known) if kind == "sector" else [])


def groups_of(kind: Kind) -> dict[str, Named]:
    """Every group, by its code."""
    if kind == "sector":
        return {of.code: of for used, of in _table() if used == GROUP or ("isic" in used and len(of.code) == 1)}
    rows = _rows("groups.csv")
    return {row["group"]: Named(row["group"], row["name"], frozenset(row["members"].split())) for row in rows}


def group_of(kind: Kind, word: str) -> Named | None:
    """The group of that code or name."""
    alike = (of for of in groups_of(kind).values() if word.casefold() in (of.code.casefold(), of.name.casefold()))
    return next(alike, None)


def _in_group(kind: Kind, word: str, known: dict[str, Named]) -> list[str]:
    group = group_of(kind, word)
    if group is None:
        return []
    covers = group.covers
    partly = [of.code for of in known.values() if of.covers & covers and not of.covers <= covers]
    if partly:
        raise NamesError(f"{word}: {', '.join(partly[:5])} only partly belong to it; name the codes")
    return [of.code for of in known.values() if of.covers and of.covers <= covers]


def _translated(word: str, known: dict[str, Named]) -> list[str]:
    """The sectors that together are one of another classification, of which each code has one meaning."""
    meanings = {of.covers for used, of in _table() if of.code == word and used != GROUP}
    if len(meanings) != 1:
        return []
    (covers,) = meanings
    within = [of for of in known.values() if of.covers and of.covers <= covers]
    return [of.code for of in within] if frozenset[str]().union(*(of.covers for of in within)) == covers else []


@cache
def _sectors(codes: tuple[str, ...]) -> dict[str, Named]:
    tables: dict[str, dict[str, Named]] = {}
    for used, of in [*_table(), *(_exiobase() if len(codes) in EXIOBASE else [])]:
        for classification in used.split():
            tables.setdefault(classification, {})[of.code] = of
    tables.pop(GROUP)
    fitting = [table for table in tables.values() if all(code in table for code in codes)]
    return {code: fitting[0][code] for code in codes} if fitting else {}


@cache
def _table() -> list[tuple[str, Named]]:
    return [
        (row["used_by"], Named(row["code"], row["name"], _divisions(row["divisions"]))) for row in _rows("sectors.csv")
    ]


@cache
def _exiobase() -> list[tuple[str, Named]]:
    """Industries and products of EXIOBASE 3, by name and by code, whose numbers are those of NACE Rev. 1.1."""
    import pymrio

    rev2 = {int(row["nace1"]): _divisions(row["divisions"]) for row in _rows("nace1.csv")}
    found: list[tuple[str, Named]] = []
    for kind in ("exio3_ixi", "exio3_pxp"):
        brought: Any = pymrio.get_classification(kind)
        sectors = brought.sectors
        for name, code in zip(sectors["ExioName"], sectors["ExioCode"], strict=True):
            covers = rev2.get(int(str(code)[1:3]), frozenset[str]())
            found.append((kind, Named(str(name), str(name), covers)))
            found.append((f"{kind}_codes", Named(str(code), str(name), covers)))
    return found


def _places(codes: Sequence[str]) -> dict[str, Named]:
    special = {row["code"]: row for row in _rows("places.csv")}
    found: dict[str, Named] = {}
    for code in codes:
        country = pycountry.countries.get(alpha_3=code) or pycountry.countries.get(alpha_2=code)
        if code in special:
            row = special[code]
            found[code] = Named(code, row["name"], frozenset(row["iso3"].split()))
        elif country is not None:
            found[code] = Named(code, getattr(country, "common_name", country.name), frozenset([country.alpha_3]))
    return found


def _divisions(text: str) -> frozenset[str]:
    """«35-36 58» → the divisions 35, 36 and 58."""
    ranges = [part.partition("-") for part in text.split()]
    return frozenset(str(k) for low, _, high in ranges for k in range(int(low), int(high or low) + 1))


@cache
def _rows(name: str) -> list[dict[str, str]]:
    with (NAMES / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
