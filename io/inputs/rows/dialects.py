"""Text files of rows as programs and people write them: encoding, what splits columns, and which line names them.

    sniff(file, FIRMS.named, 2)  →  Dialect("cp1250", ";", header line 3, ("Firma", "Branche", "Umsatz"))

What was found is in the dialect, which is told to the user and kept with what is made of the file.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from charset_normalizer import from_bytes
from shockmesh.io.inputs.files import File

HEAD_ROWS = 30  # among which the header is
HEAD_BYTES, PIECE = 2**18, 2**20
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class DialectError(ValueError):
    """A text file that cannot be read as rows. The message names the file, the line and the rule."""


@dataclass(frozen=True)
class Dialect:
    """How a text file is written."""

    encoding: str
    delimiter: str
    header_line: int  # the first is 1; 0 where no line names the columns
    names: tuple[str, ...]  # of the columns; their positions, 1, 2 …, where no line does

    @property
    def told(self) -> dict[str, str | int]:
        """In words, to be kept."""
        return {"encoding": self.encoding, "split by": DELIMITERS[self.delimiter], "header line": self.header_line}


type Suits = Callable[[Sequence[str]], int]
"""How many of the columns that are needed a row names; 0 where it names none."""


def sniff(file: File, suits: Suits, needed: int, encoding: str | None = None) -> Dialect:
    """Find out how a text file is written.

    Args:
        suits: tells a header by its names.
        needed: how many columns a header has to name.

    Raises:
        DialectError: the file cannot be decoded, or has no rows.
    """
    encoding = _known(encoding) if encoding else _encoding(file)
    try:
        with file.text(encoding) as lines:
            head = [line for _, line in zip(range(HEAD_ROWS), lines, strict=False)]
    except UnicodeError as error:
        raise DialectError(f"{file}: is not written in {encoding} (--encoding): {error}") from error
    delimiter = _delimiter(head)
    rows = list(_rows(head, delimiter))
    best = max(rows, key=lambda row: (min(suits(row[1]), needed), -row[0]), default=(0, []))
    if not best[1]:
        raise DialectError(f"{file}: rows: 0: must be at least one")
    if suits(best[1]) == 0:  # nothing is named: the first line that is as wide as the rows
        width = Counter(len(row) for _, row in rows).most_common(1)[0][0]
        best = next(row for row in rows if len(row[1]) == width)
    return Dialect(encoding, delimiter, best[0], tuple(best[1]))


def without_header(dialect: Dialect) -> Dialect:
    """The dialect of a file whose first row is data: its columns go by their positions."""
    names = tuple(str(position + 1) for position in range(len(dialect.names)))
    return Dialect(dialect.encoding, dialect.delimiter, 0, names)


def lines_of(file: File, dialect: Dialect, rows: Sequence[int]) -> list[int]:
    """The line on which each of these rows begins; rows are counted from 0 below the header, without empty lines."""
    wanted, found = set(rows), dict[int, int]()
    for row, (line, _) in enumerate(_data(file, dialect)):
        if row in wanted:
            found[row] = line
        if len(found) == len(wanted):
            break
    return [found[row] for row in rows]


def ragged_line(file: File, dialect: Dialect) -> str | None:
    """The first row that is wider or narrower than the header, in words."""
    width = len(dialect.names)
    odd = next(((line, len(row)) for line, row in _data(file, dialect) if len(row) != width), None)
    return odd and f"line {odd[0]} has {odd[1]} fields, the header {width}"


def _data(file: File, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    with file.text(dialect.encoding) as lines:
        for _ in range(dialect.header_line):
            next(lines, None)
        rows, line = csv.reader(lines, delimiter=dialect.delimiter), 0
        for row in rows:
            if row:
                yield dialect.header_line + line + 1, row
            line = rows.line_num


def _rows(head: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of several cells, with the line on which each ends."""
    rows = csv.reader(head, delimiter=delimiter, skipinitialspace=True)
    yield from ((rows.line_num, [cell.strip() for cell in row]) for row in rows if len(row) > 1)


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise DialectError(f"--encoding {encoding}: no such encoding") from error


def _encoding(file: File) -> str:
    """UTF-8 where the whole file is; else what its byte order mark says, else the likeliest of its first bytes."""
    head = file.head(HEAD_BYTES)
    marked = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if marked:
        return marked
    if _is_utf8(file):
        return "utf-8"
    likely = from_bytes(_odd_lines(file)).best()
    return likely.encoding if likely else "cp1252"


def _odd_lines(file: File) -> bytes:
    """The first lines that are not ASCII: what tells one encoding from another."""
    with file.open() as lines:
        return b"".join(islice((line for line in lines if not line.isascii()), 2000))


def _is_utf8(file: File) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open() as data:
            while piece := data.read(PIECE):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(head: Sequence[str]) -> str:
    """That by which most lines have one number of cells, above 1; of several, that with the most cells."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(head, delimiter=delimiter, skipinitialspace=True) if row)
        width, lines = max(((w, n) for w, n in widths.items() if w > 1), key=lambda of: of[1], default=(0, 0))
        return lines, width

    scores = {delimiter: score(delimiter) for delimiter in DELIMITERS}
    best = max(scores.values())
    return next(delimiter for delimiter, of in scores.items() if of == best)
