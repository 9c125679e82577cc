"""Which column of a user's file is what: said by the user, or found by its name, in many languages (`words/`).

    LINKS.found(["Kunde", "Lieferant", "Betrag (EUR)"])   →   {"supplier": 1, "buyer": 0, "amount": 2}

Names are compared without case, accents, signs, and what stands in brackets. Our own names (`supplier`, `buyer`, …)
come first; a column that two names fit is left to the user.
"""

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORDS = Path(__file__).parent / "words" / "columns.csv"


class ColumnsError(ValueError):
    """Columns that are not there, or that two names fit. The message names the columns that are there, and the rule."""


@dataclass(frozen=True)
class Columns:
    """The columns that a kind of file has, by our names."""

    title: str  # what files and sheets of that kind are called
    needed: tuple[str, ...]
    others: tuple[str, ...]

    def found(self, names: Sequence[str], said: Mapping[str, str] | None = None) -> dict[str, int]:
        """Position of each column that the names of a header give, as far as they do.

        Args:
            said: our name → the file's, or its position from 1 on, as the user says it.

        Raises:
            ColumnsError: a column that was said is not there, or two names fit one column.
        """
        mine = (*self.needed, *self.others)
        asked = {name: _position(names, theirs) for name, theirs in (said or {}).items() if name in mine}
        taken = set(asked.values())
        rest = {name: [at for at in _fits(name, names) if at not in taken] for name in mine if name not in asked}
        for name, places in rest.items():
            if len(places) > 1:
                fitting = ", ".join(names[at] for at in places)
                first = names[places[0]] if names.count(names[places[0]]) == 1 else places[0] + 1
                raise ColumnsError(f"{name}: {fitting} may both be it; say which (--columns {name}={first})")
        found = asked | {name: places[0] for name, places in rest.items() if places}
        if "essential" not in asked and not {"supplier_sector", "buyer_sector"} <= found.keys():
            found.pop("essential", None)  # «type» means it in the lists of Diem et al. alone
        return found

    def named(self, names: Sequence[str], said: Mapping[str, str] | None = None) -> int:
        """How many of the needed columns the names of a line give, or seem to."""
        there, said = {plain(name) for name in names}, said or {}
        words = (_words()[name] if name not in said else {plain(said[name])} for name in self.needed)
        return sum(any(word in there and not word.isdigit() for word in of) for of in words)

    def lacking(self, found: Mapping[str, int]) -> list[str]:
        return [name for name in self.needed if name not in found]


LINKS = Columns(
    "links",
    ("supplier", "buyer", "amount"),
    ("product", "supplier_sector", "buyer_sector", "supplier_region", "buyer_region", "essential"),
)
FIRMS = Columns("firms", ("firm", "sector"), ("region", "final_demand", "output"))
CANDIDATES = Columns("candidates", ("supplier", "buyer"), ("product",))
ALL = {*LINKS.needed, *LINKS.others, *FIRMS.needed, *FIRMS.others}


def said_columns(text: str) -> dict[str, str]:
    """Columns as a user says them: «supplier=Lieferant,amount=Betrag (EUR)», or by positions, «supplier=1,buyer=2».

    Raises:
        ColumnsError: not of that form, or a name that is none of ours.

    >>> said_columns("supplier=Von, Nach,amount=3")
    {'supplier': 'Von, Nach', 'amount': '3'}
    """
    said: dict[str, str] = {}
    for part in re.split(rf",(?=\s*(?:{'|'.join(sorted(ALL))})\s*=)", text):
        name, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not (equals and theirs) or name not in ALL:
            raise ColumnsError(f"--columns {part}: must be NAME=COLUMN, NAME one of {', '.join(sorted(ALL))}")
        said[name] = theirs
    return said


def plain(name: str) -> str:
    """A column's name without case, accents, signs, and what stands in brackets.

    >>> plain("Betrag_(EUR)"), plain("Chiffre d'affaires"), plain("Árbevétel [eFt]")
    ('betrag', 'chiffre d affaires', 'arbevetel')
    """
    bare = re.sub(r"[(\[].*?[)\]]", " ", unicodedata.normalize("NFKD", name.casefold()))
    letters = "".join(mark for mark in bare if not unicodedata.combining(mark))
    return " ".join(re.findall(r"\w+", letters.replace("_", " ")))


@cache
def _words() -> dict[str, frozenset[str]]:
    """Our name → the words for it."""
    found: dict[str, set[str]] = {name: {plain(name)} for name in ALL}
    with WORDS.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["column"]].add(plain(row["word"]))
    return {name: frozenset(words) for name, words in found.items()}


def _fits(name: str, names: Sequence[str]) -> list[int]:
    """Positions of the names that mean a column: our own name alone, where it is there."""
    there = [plain(theirs) for theirs in names]
    own = [at for at, word in enumerate(there) if word == plain(name)]
    return own or [at for at, word in enumerate(there) if word in _words()[name]]


def _position(names: Sequence[str], theirs: str) -> int:
    found = [at for at, name in enumerate(names) if name == theirs] or [
        at for at, name in enumerate(names) if plain(name) == plain(theirs)
    ]
    if not found and theirs.isdigit() and 1 <= int(theirs) <= len(names):
        return int(theirs) - 1
    if len(found) != 1:
        raise ColumnsError(f"--columns: {theirs}: is there {len(found)} times; there are {', '.join(names)}")
    return found[0]
