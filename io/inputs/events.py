"""Reading events, such as a catalogue of storms or quakes: what each takes from whom, and how often it happens.

* long CSV or Parquet, a row for each event and place: `event`; the place, `firm`, or `region` and `sector` or one of
  them; `loss`, a share, or `damage`, money; and, where they differ, `frequency` (a year), `onset`, `duration`,
  `recovery_days`. An event has one frequency.
* wide CSV, as pandas writes a frame of shares by event whose columns are (region, sector), such as `relative_impact` of
  a `DirectShocksSet` of CLIMADA petals: a line of regions, one of sectors, one with `event_id`, then a line an event.

A file is read in pieces, so that memory holds its numbers and never its text: 12 bytes a row, and 8 for each column
beyond the loss.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from jaxtyping import Float, Int
from shockmesh.io.inputs.calendar import numbers_in
from shockmesh.io.inputs.csv_text import UNREADABLE
from shockmesh.io.inputs.frames import PARQUET
from shockmesh.io.inputs.scenarios import SHOWN, ScenarioError, codes_of, known, names_of, refuse, require
from shockmesh.kernels.network import FirmNetwork

PLACES = (("firm",), ("region", "sector"), ("region",), ("sector",))
EVENT = ("event", "event_id")  # as the column may be called
LOST = ("loss", "damage")
DATES = ("onset", "duration", "recovery_days")
NUMBERS = (*LOST, "frequency", *DATES)
PIECE = 2**24  # bytes of text that are read at once

type Piece = dict[str, np.ndarray]  # column → texts or numbers of some rows


@dataclass(frozen=True)
class Events:
    """A catalogue: rows in the order of their events."""

    path: str
    names: np.ndarray  # of the events, in the order of the file [event]
    place: tuple[str, ...]  # what a row's place is: firm, or region and sector, or one of them
    frequency: Float[np.ndarray, " event"] | None  # a year
    first: Int[np.ndarray, " event+1"]  # row at which each event begins
    group: Int[np.ndarray, " row"]  # the place, see `groups`
    numbers: dict[str, Float[np.ndarray, " row"]]  # loss or damage, and dates

    def rows(self, event: int) -> slice:
        return slice(int(self.first[event]), int(self.first[event + 1]))

    def table(self, name: str, events: Int[np.ndarray, " member"], groups: int) -> Float[np.ndarray, "group member"]:
        """A number of some events by group, 0 where an event has no row."""
        found = np.zeros((groups, len(events)))
        for member, event in enumerate(events.tolist()):
            rows = self.rows(event)
            found[self.group[rows], member] = self.numbers[name][rows]
        return found


def groups(network: FirmNetwork, place: tuple[str, ...]) -> tuple[Int[np.ndarray, " firm"], int]:
    """The group of each firm, where places are such, and how many groups there are."""
    codes = {"firm": np.arange(network.n_firms), "region": network.region, "sector": network.sector}
    sizes = _sizes(network, place)
    return np.ravel_multi_index([codes[key] for key in place], sizes), math.prod(sizes)


def count_events(path: str) -> int:
    """How many events a file has.

    Raises:
        ScenarioError: no such file, or no column of events.
    """
    names: dict[str, int] = {}
    for _, piece in _pieces(path, EVENT):
        _codes_of_events(names, piece)
    return len(names)


def read_events(path: str, network: FirmNetwork) -> Events:
    """Read a catalogue for the firms of a network.

    Raises:
        ScenarioError: columns that are missing or not known, a place that the network does not have, a number beyond
            its bounds, a place twice in an event, or an event of two frequencies.
    """
    read = _Read(path, network)
    for line, piece in _pieces(path):
        read.add(line, piece)
    return read.all()


@dataclass
class _Read:
    """What is gathered of the pieces."""

    path: str
    network: FirmNetwork
    names: dict[str, int] = field(default_factory=dict[str, int])
    known: dict[str, pd.Index] = field(default_factory=dict[str, pd.Index])  # the names of each part of a place
    parts: dict[str, list[np.ndarray]] = field(default_factory=dict[str, list[np.ndarray]])

    def add(self, line: np.ndarray, piece: Piece) -> None:
        if not self.known:
            place = _place(self.path, [name for name in piece if name not in EVENT])
            self.known = {key: known(self.network, key) for key in place}
        texts = next(piece[name] for name in EVENT if name in piece)
        require(self.path, "event", line, texts, texts.astype(str) != "", "named")
        found = {"event": _codes_of_events(self.names, piece), "group": self._groups(line, piece)}
        for name in (name for name in NUMBERS if name in piece):
            found[name] = self._numbers(line, name, piece[name])
        for name, values in found.items():
            self.parts.setdefault(name, []).append(values)

    def all(self) -> Events:
        whole = {name: np.concatenate(self.parts.pop(name)) for name in list(self.parts)}
        event, group = whole.pop("event"), whole.pop("group")
        order = np.lexsort((group, event))
        event, group = event[order], group[order]
        names = np.array(list(self.names))
        again = np.flatnonzero((event[1:] == event[:-1]) & (group[1:] == group[:-1]))
        place = tuple(self.known)
        told = [f"{names[event[i]]} in {called(self.network, place, int(group[i]))}" for i in again[:SHOWN]]
        refuse(self.path, "event", told, len(again), f"in one row for each {' and '.join(place)}")
        first = np.searchsorted(event, np.arange(len(names) + 1))
        numbers = {name: values[order] for name, values in whole.items()}
        frequency = numbers.pop("frequency", None)
        if frequency is not None:
            other = np.flatnonzero(frequency != frequency[first[event]])
            told = [f"{names[event[i]]}: {frequency[first[event[i]]]:g} and {frequency[i]:g}" for i in other[:SHOWN]]
            refuse(self.path, "frequency", told, len(other), "the same in all rows of an event")
            frequency = frequency[first[:-1]]
        return Events(self.path, names, place, frequency, first, group, numbers)

    def _groups(self, line: np.ndarray, piece: Piece) -> Int[np.ndarray, " row"]:
        found = np.zeros(len(line), np.int64)
        for key, names in self.known.items():
            found = found * len(names) + codes_of(self.path, key, line, piece[key], names)
        return found.astype(np.int32)

    def _numbers(self, line: np.ndarray, name: str, texts: np.ndarray) -> Float[np.ndarray, " row"]:
        values = numbers_in(texts)
        low, high = BOUNDS[name]
        rule = f"a number ≥ {low:g}" + (f" and ≤ {high:g}" if high < np.inf else "")
        require(self.path, name, line, texts, (values >= low) & (values <= high) & (values < np.inf), rule)
        return values


BOUNDS = {
    "loss": (0.0, 1.0),
    "damage": (0.0, np.inf),
    "frequency": (0.0, 1e6),
    "onset": (0.0, 1e6),
    "duration": (1e-3, 1e6),
    "recovery_days": (1e-3, 1e6),
}


def _sizes(network: FirmNetwork, place: tuple[str, ...]) -> list[int]:
    """How many names each part of a place may have."""
    return [len(names_of(network, key)) for key in place]


def called(network: FirmNetwork, place: tuple[str, ...], group: int) -> str:
    """The names of a group, one for each part of its place."""
    codes = np.unravel_index(group, _sizes(network, place))
    return ", ".join(str(names_of(network, key)[code]) for key, code in zip(place, codes, strict=True))


def _place(path: str, columns: list[str]) -> tuple[str, ...]:
    """What a row's place is, by the columns of a file beside its event."""
    place = next((keys for keys in PLACES if set(keys) <= set(columns)), ())
    unknown = [name for name in columns if name not in (*place, *NUMBERS)]
    if not place or unknown or sum(name in columns for name in LOST) != 1:
        rule = "must be event; firm, or region, sector or both; loss or damage; and may be frequency, " + ", ".join(
            DATES
        )
        raise ScenarioError(f"{path}: columns: {', '.join(columns)} beside the event: {rule}")
    return place


def _codes_of_events(names: dict[str, int], piece: Piece) -> Int[np.ndarray, " row"]:
    """The number of each row's event; new ones are added to the names."""
    texts = next(piece[name] for name in EVENT if name in piece)
    codes, found = pd.factorize(texts)
    numbers = np.array([names.setdefault(str(name), len(names)) for name in found], np.int32)
    return numbers[codes]


def _pieces(path: str, only: tuple[str, ...] = ()) -> Iterator[tuple[np.ndarray, Piece]]:
    """The columns of a file piece by piece, texts or numbers, and the line of each row."""
    with _readable(path):
        wide = [] if Path(path).suffix.lower() in PARQUET else _header_of_wide(path)
        empty = True
        for line, piece in _wide(path, wide) if wide else _long(path, only):
            if sum(name in EVENT for name in piece) != 1:
                raise ScenarioError(f"{path}: columns: {', '.join(piece)}: one must be event, or event_id")
            empty = empty and not len(line)
            yield line, piece
        if empty:
            raise ScenarioError(f"{path}: rows: 0: must be at least one")


def _long(path: str, only: tuple[str, ...]) -> Iterator[tuple[np.ndarray, Piece]]:
    if Path(path).suffix.lower() in PARQUET:
        file, line = parquet.ParquetFile(path), 1  # a row is counted from 1, where there is no header
        columns = [name for name in file.schema_arrow.names if not only or name in only] or None
        batches: Any = file.iter_batches(columns=columns)
    else:
        names, line = _open(path).schema.names, 2
        texts = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[name for name in names if not only or name in only] or names,
        )
        batches = _open(path, convert_options=texts)
    for batch in batches:
        yield line + np.arange(batch.num_rows), {name: _plain(batch.column(name)) for name in batch.schema.names}
        line += batch.num_rows


def _plain(column: Any) -> np.ndarray:
    """Numbers as they are, all else as texts, "" where there is none."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return column.to_numpy(zero_copy_only=False)
    return np.asarray(column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False), object)


def _header_of_wide(path: str) -> list[list[str]]:
    """The regions and sectors of a wide file; nothing where it is not wide."""
    head = pd.read_csv(path, header=None, nrows=3, dtype=str, keep_default_na=False)
    first = head[0].tolist()
    wide = first[:2] == ["region", "sector"] and len(first) == 3 and first[2] in EVENT
    return head.iloc[:2, 1:].to_numpy().tolist() if wide else []


def _wide(path: str, header: list[list[str]]) -> Iterator[tuple[np.ndarray, Piece]]:
    """Rows of a wide file as those of a long one: of numbers above 0, and the first of an event in any case."""
    region, sector = (np.array(names, object) for names in header)
    read, line = csv.ReadOptions(skip_rows=3, autogenerate_column_names=True, block_size=PIECE), 4
    for batch in csv.open_csv(path, read_options=read):
        columns = [_plain(column) for column in batch.columns]
        shares = np.stack([numbers_in(of) for of in columns[1:]], axis=1)
        kept = shares != 0
        kept[:, 0] = True
        event, place = np.nonzero(kept)
        long = {"region": region[place], "sector": sector[place], "loss": shares[event, place]}
        yield line + event, {"event": columns[0].astype(str)[event], **long}
        line += batch.num_rows


def _open(path: str, **options: Any) -> Any:
    return csv.open_csv(path, read_options=csv.ReadOptions(block_size=PIECE), **options)


@contextmanager
def _readable(path: str) -> Generator[None]:
    """What stands in the way of reading a file, in our words."""
    try:
        yield
    except ScenarioError:
        raise
    except (*UNREADABLE, pa.ArrowException) as error:
        raise ScenarioError(f"{path}: cannot be read: {str(error).strip().partition('\n')[0]}") from error
