"""A writer of .xlsb. No library writes it: the few records of [MS-XLSB] that a workbook needs are written here."""

import struct
from pathlib import Path
from typing import Any
from zipfile import ZipFile

ROW, BLANK, INTEGER, FLOAT, STRING = 0x00, 0x01, 0x02, 0x05, 0x07
BOOK, BOOK_END, SHEETS, SHEETS_END, SHEET = 0x0183, 0x0184, 0x018F, 0x0190, 0x019C
CELLS, CELLS_END, SHEET_DATA, SHEET_DATA_END, DIMENSION = 0x0181, 0x0182, 0x0191, 0x0192, 0x0194
STRINGS, STRINGS_END, ONE_STRING = 0x019F, 0x01A0, 0x13

RELATIONS = '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.bin"/></Relationships>'

type Lines = list[list[Any]]


def record(number: int, data: bytes = b"") -> bytes:
    size = len(data)
    return number.to_bytes(1 if number < 0x80 else 2, "little") + bytes([size & 0x7F | 0x80, size >> 7]) + data


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def cell(column: int, value: Any, strings: list[str]) -> bytes:
    at = struct.pack("<II", column, 0)
    match value:
        case None:
            return record(BLANK, at)
        case str():
            strings.append(value)
            return record(STRING, at + struct.pack("<I", len(strings) - 1))
        case int():
            return record(INTEGER, at + struct.pack("<i", value << 2 | 2))
        case _:
            return record(FLOAT, at + struct.pack("<d", value))


def write_xlsb(file: Path, lines: Lines, sheets: int = 1, relations: str = RELATIONS) -> None:
    """A workbook of one sheet; a line without any value is left out, as Excel does."""
    strings: list[str] = []
    extent = struct.pack("<4I", 0, len(lines) - 1, 0, max(map(len, lines)) - 1)
    sheet = record(CELLS) + record(DIMENSION, extent) + record(SHEET_DATA)
    for number, line in enumerate(lines):
        if any(value is not None for value in line):
            sheet += record(ROW, struct.pack("<I", number))
            sheet += b"".join(cell(column, value, strings) for column, value in enumerate(line))
    about = record(SHEET, struct.pack("<II", 0, 1) + text("rId1") + text("2014"))
    shared = b"".join(record(ONE_STRING, b"\0" + text(value)) for value in strings)
    with ZipFile(file, "w") as book:
        listed = record(SHEETS) + about * sheets + record(SHEETS_END)
        book.writestr("xl/workbook.bin", record(BOOK) + listed + record(BOOK_END))
        book.writestr("xl/_rels/workbook.bin.rels", relations)
        book.writestr("xl/worksheets/sheet1.bin", sheet + record(SHEET_DATA_END) + record(CELLS_END))
        book.writestr(
            "xl/sharedStrings.bin",
            record(STRINGS, struct.pack("<II", len(strings), len(strings))) + shared + record(STRINGS_END),
        )
