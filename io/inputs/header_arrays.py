"""Header array files of GEMPACK (.har): arrays by names of four letters, with the labels of their dimensions.

A file is a sequence of Fortran records, each between two copies of its length. An array is a record with its name,
one that says its type and shape, one with the names of its sets, one or more for the labels of each set, and its
numbers: whole (FULL), in Fortran's order, or by position (SPSE). Real arrays (RE) and texts (1C) are read.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from struct import Struct
from typing import BinaryIO

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, SourceError

MARK = Struct("<i")  # the length of a record
INFO = Struct("<4s2s4s70si")  # blanks, type, storage, description, number of dimensions
SETS = Struct("<4siii12si")  # blanks, distinct sets, ., dimensions, coefficient, .
PIECE = Struct("<4siii")  # blanks, pieces to come with this one, all entries, entries in this one
NUMBERS_AT = 8  # where the numbers of a piece of a FULL array begin
NAME, LABEL = 4, 12  # bytes


@dataclass(frozen=True)
class HeaderArray:
    """A real array and the labels of its dimensions; a text is an array of one number, 0, and its lines are labels."""

    values: Float[np.ndarray, "..."]
    labels: tuple[tuple[str, ...], ...]


def names_in(file: File) -> list[str]:
    """The names of the arrays in a file; empty if it is no header array file."""
    found: list[str] = []
    with file.open() as stream:
        while len(mark := stream.read(MARK.size)) == MARK.size:
            (length,) = MARK.unpack(mark)
            if length == NAME:
                found.append(stream.read(NAME).decode("latin-1").strip())
            elif length < 0 or not found:
                return []
            else:
                stream.seek(length, 1)
            if stream.read(MARK.size) != mark:
                return []
    return found


def read_arrays(file: File, wanted: Collection[str]) -> dict[str, HeaderArray]:
    """The arrays of these names, as far as they are there.

    Raises:
        SourceError: a file that is none or is damaged, or an array of another type.
    """
    found: dict[str, HeaderArray] = {}
    with file.open() as stream:
        records = _records(file, stream)
        for record in records:
            if len(record) == NAME and (name := record.decode("latin-1").strip()) in wanted:
                try:
                    found[name] = _array(records)
                except (ValueError, IndexError, StopIteration) as error:
                    raise SourceError(f"{file}: {name}: cannot be read as an array of GEMPACK: {error}") from error
    return found


def _records(file: File, stream: BinaryIO) -> Iterator[bytes]:
    while mark := stream.read(MARK.size):
        length = MARK.unpack(mark)[0] if len(mark) == MARK.size else -1
        record = stream.read(length) if length >= 0 else b""
        if len(record) != length or stream.read(MARK.size) != mark:
            raise SourceError(f"{file}: a record is cut or changed: no header array file of GEMPACK, or a damaged one")
        yield record


def _array(records: Iterator[bytes]) -> HeaderArray:
    info = next(records)
    _, kind, storage, _, rank = INFO.unpack_from(info)
    shape = np.frombuffer(info, "<i4", rank, INFO.size)
    if kind == b"1C":
        return HeaderArray(np.zeros(1), (_labels(records, int(shape[1])),))
    if kind != b"RE" or storage not in (b"FULL", b"SPSE"):
        raise ValueError(f"its type is {kind.decode()} {storage.decode()}, read are RE and 1C")
    names = _sets(next(records))
    of_set = {name: _labels(records, LABEL) for name in dict.fromkeys(names)}
    labels = tuple(of_set[name] for name in names)
    shape = shape[: len(names)]
    if [len(of) for of in labels] != shape.tolist():
        raise ValueError(f"its sets have {', '.join(f'{len(of)}' for of in labels)} labels, its shape is {shape}")
    flat = _full(records) if storage == b"FULL" else _sparse(records, int(shape.prod()))
    return HeaderArray(flat.reshape(shape, order="F"), labels)


def _sets(record: bytes) -> list[str]:
    """The names of the sets of each dimension."""
    rank = SETS.unpack_from(record)[3]
    names = [record[SETS.size + LABEL * k :][:LABEL].decode("latin-1").strip() for k in range(rank)]
    if (known := record[SETS.size + LABEL * rank :][:rank]) != b"k" * rank:
        raise ValueError(f"dimensions are not all sets with labels ({known.decode('latin-1')})")
    return names


def _pieces(records: Iterator[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Records of one list, with the number of entries in each and in all."""
    left = 2
    while left > 1:
        record = next(records)
        _, left, whole, here = PIECE.unpack_from(record)
        yield record, here, whole


def _labels(records: Iterator[bytes], width: int) -> tuple[str, ...]:
    of_pieces = (
        (record[PIECE.size + width * k :][:width].decode("latin-1").strip() for k in range(here))
        for record, here, _ in _pieces(records)
    )
    return tuple(chain.from_iterable(of_pieces))


def _full(records: Iterator[bytes]) -> Float[np.ndarray, " cell"]:
    next(records)  # the shape once more
    pieces, left = list[np.ndarray](), 2
    while left > 1:
        next(records)  # the cells that the next record holds, which come one after the other
        record = next(records)
        left = MARK.unpack_from(record, MARK.size)[0]
        pieces.append(np.frombuffer(record, "<f4", offset=NUMBERS_AT))
    return np.concatenate(pieces).astype(np.float64)


def _sparse(records: Iterator[bytes], size: int) -> Float[np.ndarray, " cell"]:
    next(records)  # what its numbers are made of
    flat = np.zeros(size)
    for record, here, _ in _pieces(records):
        at = np.frombuffer(record, "<i4", here, PIECE.size)
        flat[at - 1] = np.frombuffer(record, "<f4", here, PIECE.size + 4 * here)
    return flat
