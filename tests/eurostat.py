"""Files as Eurostat's database gives them: TSV and SDMX-CSV."""

import gzip
from collections.abc import Sequence
from pathlib import Path

type Cells = dict[tuple[str, ...], Sequence[float | str | None]]


def write_tsv(file: Path, names: list[str], cells: Cells, years: list[int]) -> Path:
    top = "\t".join([",".join(names) + "\\TIME_PERIOD", *map(str, years)])
    lines = ["\t".join([",".join(key), *(": " if v is None else f"{v} p" for v in of)]) for key, of in cells.items()]
    file.write_bytes(gzip.compress("\n".join([top, *lines, ""]).encode()))
    return file


def write_sdmx(file: Path, names: list[str], cells: Cells, years: list[int]) -> Path:
    top = ",".join(["DATAFLOW", "LAST UPDATE", *names, "TIME_PERIOD", "OBS_VALUE", "OBS_FLAG"])
    lines = [
        ",".join(["ESTAT:X(1.0)", "19/04/23 23:00:00", *key, str(year), "" if v is None else str(v), ""])
        for key, of in cells.items()
        for year, v in zip(years, of, strict=True)
    ]
    file.write_text("\n".join([top, *lines, ""]))
    return file


def write_again(file: Path, names: list[str], cells: Cells, years: list[int]) -> Path:
    """The TSV as R and others save it again: commas, and quotes around what has commas."""
    lines = gzip.decompress(write_tsv(file, names, cells, years).read_bytes()).decode().splitlines()
    rows = (line.split("\t") for line in lines)
    file.write_text("\n".join(",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows) + "\n")
    return file
