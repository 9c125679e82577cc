"""A header, from what is known of a kind of table and what its file says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shockmesh.io.inputs.files import File
from shockmesh.io.sources import About
from shockmesh.io.tables.store import Header


@dataclass(frozen=True)
class Labels:
    """The labels of a table, in the order of its file."""

    regions: Sequence[str]
    sectors: Sequence[str]
    categories: Sequence[str]


def header_of(
    about: About, file: File, labels: Labels, *, title: str = "", money: str = "", years: tuple[int, ...] | None = None,
    remarks: tuple[str, ...] = (), notes: dict[str, Any] | None = None,
) -> Header:  # fmt: skip
    """The header of a table in `file`; unit, licence and years are empty where neither the kind nor the file says them.

    Args:
        title: if the file says more than the kind does.
        money: what amounts are counted in, if the file says so.
        years: left out: the last year in the file's name.
        remarks: what was left out or changed, as sentences.
        notes: further attributes, such as `sector_names`.
    """
    money = money or about.money
    return Header(
        labels.regions, labels.sectors, labels.categories,
        unit=f"{money} / year" if money else "", title=title or about.title, source=f"{about.title}, {file.name}",
        licence=about.licence, references=about.references, years=years_in(file.stem) if years is None else years,
        remarks=remarks, notes=notes or {},
    )  # fmt: skip


def years_in(text: str, first: bool = False) -> tuple[int, ...]:
    """The last year that a text names, or the first, or none."""
    years = tuple(map(int, re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)))
    return years[:1] if first else years[-1:]
