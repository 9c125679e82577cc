"""Numbers as people write them: 1234.5, 1 234,5, 1.234,50, 1,234.50 or 1'234.50, one way throughout a column.

A column that can be read in two ways with different numbers (1.234 alone) is refused: the user says which mark is the
decimal one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool, Float

PLAIN = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
GROUPED = r"^[+-]?\d{1,3}(\.\d{3})+$"  # 1.234, which may mean a thousand
SAMPLE = 2**14  # texts, and texts that are no plain numbers, by which a way to read them is chosen
BLANKS = "[\u00a0\u2009\u202f]"  # that keep a number on one line
pc: Any = pyarrow.compute  # whose functions are made when it is imported


class NumeralsError(ValueError):
    """Numbers that can be read in two ways. The message names a value and both readings."""


@dataclass(frozen=True)
class Numerals:
    """How the numbers of a column are written."""

    decimal: str = "."
    thousands: str = ""

    @property
    def pattern(self) -> str:
        mark = f"\\{self.decimal}"
        whole = r"\d{1,3}(" + f"[{self.thousands}]" + r"\d{3})+|\d+" if self.thousands else r"\d+"
        return rf"^[+-]?({whole})?({mark}\d*)?([eE][+-]?\d+)?$"

    @property
    def told(self) -> dict[str, str]:
        return {"decimal mark": self.decimal} | ({"thousands mark": self.thousands} if self.thousands else {})

    def read(self, text: pa.Array) -> Float[np.ndarray, " row"]:
        """Numbers, NaN where a text is none."""
        plain = pc.replace_substring(text, self.thousands, "") if self.thousands else text
        plain = pc.replace_substring(plain, ",", ".") if self.decimal == "," else plain
        fits = pc.and_(pc.match_substring_regex(text, self.pattern), pc.match_substring_regex(plain, PLAIN))
        return _cast(pc.if_else(fits, plain, None))


WAYS = tuple(
    Numerals(decimal, thousands) for decimal in ".," for thousands in ("", ",", ".", " ", "'") if decimal != thousands
)


def read_numbers(
    text: pa.Array, decimal: str | None = None, *, continental: bool = False
) -> tuple[Float[np.ndarray, " row"], Numerals]:
    """A column of texts as numbers, NaN where one is none, and how they are written.

    Args:
        decimal: the decimal mark, if the user says it.
        continental: whether the file is split by semicolons, as where the decimal mark is a comma.

    Raises:
        NumeralsError: they can be read in two ways.
    """
    plain = _plain(text)
    if np.isfinite(plain).all() and decimal in (None, ".") and not continental:
        return plain, Numerals()  # most are written so
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), BLANKS, " ")
    plain = _plain(text)
    readable = [way for way in WAYS if decimal in (None, way.decimal) and _occurs(way.thousands, text)]
    odd = text.filter(pc.and_(pc.not_equal(text, ""), pa.array(np.isnan(plain))))
    ways = _reading_most(readable, pa.concat_arrays([odd[:SAMPLE], text[:SAMPLE]]))
    if ways[0] == Numerals() and not (continental and decimal is None and _maybe_grouped(text)):
        return plain, ways[0]
    first, values = ways[0], ways[0].read(text)
    for other in ways[1:]:
        differ = np.flatnonzero(_unlike(values, found := other.read(text)))
        if len(differ):
            at = differ[0]
            raise NumeralsError(
                f"{text[at].as_py()!r} may be {values[at]:.15g} or {found[at]:.15g}: say the decimal mark "
                f"(--decimal {first.decimal} or --decimal {other.decimal})"
            )
    return values, first


def _plain(text: pa.Array) -> Float[np.ndarray, " row"]:
    try:
        return _cast(text)
    except pa.ArrowInvalid:  # one of them is none
        return _cast(pc.if_else(pc.match_substring_regex(text, PLAIN), text, None))


def _occurs(mark: str, text: pa.Array) -> bool:
    return not mark or bool(pc.any(pc.match_substring(text, mark)).as_py())


def _reading_most(ways: list[Numerals], text: pa.Array) -> list[Numerals]:
    """The ways by which the most of some texts are numbers."""
    counts = [int(np.isfinite(way.read(text)).sum()) for way in ways]
    return [way for way, count in zip(ways, counts, strict=True) if count == max(counts)]


def _maybe_grouped(text: pa.Array) -> bool:
    """Whether there is a point, and every one may part thousands."""
    pointed = text.filter(pc.match_substring(text, "."))
    return len(pointed) > 0 and bool(pc.all(pc.match_substring_regex(pointed, GROUPED)).as_py())


def _unlike(one: Float[np.ndarray, " row"], other: Float[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
    return (one != other) & ~(np.isnan(one) & np.isnan(other))


def _cast(text: pa.Array) -> Float[np.ndarray, " row"]:
    return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
