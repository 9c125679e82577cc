"""A header, from what is known of a kind of table and what its file says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shockmesh.io.sources import About
from shockmesh.io.tables.store import Header, TableError


@dataclass(frozen=True)
class Labels:
    """The labels of a table, in the order of its file."""

    regions: Sequence[str]
    sectors: Sequence[str]
    categories: Sequence[str]


def header_of(
    about: About, path: Path, labels: Labels, *, title: str = "", money: str = "", years: tuple[int, ...] | None = None,
    remarks: tuple[str, ...] = (),
) -> Header:  # fmt: skip
    """The header of a table at `path`; unit, licence and years are empty where neither the kind nor the file says them.

    Args:
        title: if the file says more than the kind does.
        money: what amounts are counted in, if the file says so.
        years: left out: the last year in the file's name.
        remarks: what was left out or changed, as sentences.
    """
    money = money or about.money
    return Header(
        labels.regions, labels.sectors, labels.categories,
        unit=f"{money} / year" if money else "", title=title or about.title, source=f"{about.title}, {path.name}",
        licence=about.licence, references=about.references, years=years_in(path.stem) if years is None else years,
        remarks=remarks,
    )  # fmt: skip


def check_file(path: Path) -> None:
    """Raise TableError unless there is a file."""
    if not path.is_file():
        raise TableError(f"{path}: {'is a folder; one file is read' if path.is_dir() else 'no such file'}")


def years_in(text: str) -> tuple[int, ...]:
    """The last year that a text names, or none."""
    return tuple(map(int, re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)))[-1:]
