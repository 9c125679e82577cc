"""National tables made up in the layouts of statistical offices, as lines of cells, and what is right about them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

type Lines = list[list[Any]]


@dataclass(frozen=True)
class Economy:
    """Domestic flows, final demand of households, of stocks and exports, imports of the same by product, taxes."""

    flows: np.ndarray
    demand: np.ndarray  # [sector, households, stocks, exports]
    imported: np.ndarray
    imported_demand: np.ndarray

    @property
    def output(self) -> np.ndarray:
        return self.flows.sum(1) + self.demand.sum(1)

    @property
    def imports(self) -> np.ndarray:
        return self.imported.sum(1) + self.imported_demand.sum(1)

    @property
    def added(self) -> np.ndarray:
        return self.output - self.flows.sum(0) - self.imported.sum(0)


def economy(sectors: int = 5, seed: int = 0) -> Economy:
    rng = np.random.default_rng(seed)
    flows, demand, imported, imported_demand = (
        np.round(rng.uniform(1, 9, (sectors, n)), 3) for n in (sectors, 3, sectors, 3)
    )
    demand[:, 1] -= 5  # stocks are also drawn down
    demand[:, 0] += 60
    imported_demand[:, 1:] = 0
    return Economy(flows, demand, imported, imported_demand)


def rows(labels: list[list[Any]], *blocks: np.ndarray) -> Lines:
    """Lines of labels, then of the blocks side by side."""
    cells = np.column_stack(blocks).tolist()
    return [[*label, *line] for label, line in zip(labels, cells, strict=True)]


def oecd(of: Economy) -> Lines:
    """Total flows; imports are a negative column; rows TTL_01, columns D01; no total but output below."""
    codes = [f"{k:02}" for k in range(1, len(of.flows) + 1)]
    total, demand = of.flows + of.imported, of.demand + of.imported_demand
    body = rows([[f"TTL_{code}"] for code in codes], total, demand, -of.imports[:, None])
    foot = [["TTL_INT_FNL", *total.sum(0), *[0] * 4], ["VALU", *of.added, *[0] * 4], ["OUTPUT", *of.output, *[0] * 4]]
    return [["", *(f"D{code}" for code in codes), "HFCE", "INVNT", "EXPO", "IMPO"], *body, *foot]


def china(of: Economy) -> Lines:
    """Origin is a column: domestic rows, then imports under the same codes; sums between the columns."""
    codes = [f"{k:02}" for k in range(1, len(of.flows) + 1)]
    inputs, demand = of.flows.sum(1)[:, None], of.demand
    wide = (of.flows, inputs, demand, demand.sum(1)[:, None], of.output[:, None])
    body = rows([[code, "a name", "Domestic"] for code in codes], *wide)
    imports = rows(
        [[code, "a name", "Import"] for code in codes], of.imported, of.imported.sum(1)[:, None], of.imported_demand
    )
    foot = [
        ["TII", "inputs", "", *(of.flows + of.imported).sum(0)],
        ["TVA", "added", "", *of.added],
        ["TI", "all", "", *of.output],
    ]
    top = ["Code", "Description", "Origin", *codes, "TIU", "TC", "FU202", "EX", "TFU", "GO"]
    return [top, *body, *imports, *foot]


def sweden(of: Economy) -> Lines:
    """Two blocks side by side, domestic and imports; codes are numbers above and texts beside."""
    n = len(of.flows)
    names = [[f"{k:02}", f"sector {k}"] for k in range(1, n + 1)]
    codes: list[Any] = [float(k) for k in range(1, n + 1)]
    wide = (of.flows, of.demand, of.output[:, None], np.zeros((n, 1)), of.imported, of.imported_demand)
    top = [
        ["Tabell 1"],
        [],
        ["", "", *codes, "Hushåll", "Lager", "Export", "Summa", "", *codes, "Hushåll", "Lager", "Export"],
    ]
    foot = [
        ["", "Import", *of.imported.sum(0)],
        ["", "Förädlingsvärde", *of.added],
        ["", "Produktionsvärde", *of.output],
    ]
    return [*top, *rows(names, *wide), *foot]


def chile(of: Economy) -> Lines:
    """The table starts at B8, numbers are codes, empty columns stand between the blocks."""
    codes: list[Any] = [float(k) for k in range(1, len(of.flows) + 1)]
    gap = np.full((len(of.flows), 1), np.nan)
    parts = [column[:, None] for column in of.demand.T]
    wide = (of.flows, gap, *(block for part in parts for block in (part, gap)), of.output[:, None])
    heads = ["Consumo", "", "Existencias", "", "Exportaciones", "", "Producción"]
    top: Lines = [
        [],
        ["", "Matriz"],
        [],
        ["", "(miles de millones)"],
        [],
        [],
        [*[""] * (3 + len(codes)), *heads],
        ["", "", *codes],
    ]
    body = rows([["", code] for code in codes], *wide)
    foot = [
        ["", "Importaciones", *of.imported.sum(0)],
        ["", "Valor agregado", *of.added],
        ["", "Producción", *of.output],
    ]
    return [*top, *body, [], *foot]


def supply(of: Economy) -> Lines:
    """The questionnaire of ESA: lines are counted, sums are formulas, rows sum to supply: output and imports below."""
    n = len(of.flows)
    total, demand = of.flows + of.imported, of.demand + of.imported_demand
    codes = [f"CPA_{letter}" for letter in "ABCDEFGH"[:n]]
    counts = [str(k) for k in range(1, n + 1)]
    sums = total.sum(1)[:, None], demand, demand.sum(1)[:, None], (of.output + of.imports)[:, None]
    top = [["", "", "", *["S1"] * (n + 6)], ["", "", "", *codes, "_T", *["_Z"] * 5]]
    top += [["", "PRODUCT", "", *counts, "6=1+…+5", "7", "8", "9", "10=7+8+9", "11=6+10"]]
    body = rows([[k, code, "a product"] for k, code in zip(counts, codes, strict=True)], total, *sums)
    foot = {
        "6=1+…+5": total.sum(0),
        "7": of.added,
        "8=6+7": of.output,
        "9": of.imports,
        "10=8+9": of.output + of.imports,
    }
    texts = ["Total", "Value added, gross", "Output", "Imports cif", "Supply at basic prices"]
    return [
        *top,
        *body,
        *([count, "_Z", text, *of.tolist()] for (count, of), text in zip(foot.items(), texts, strict=True)),
    ]


def long(lines: Lines, **more: Any) -> Lines:
    """A cell a line, as e-Stat has it: the kind of a seller follows from its name."""
    sellers, buyers = lines[1:], lines[0][1:]
    cells = [
        ["industry" if at < len(sellers) - 3 else "other", line[0], buyer, *more.values(), value]
        for at, line in enumerate(sellers)
        for buyer, value in zip(buyers, line[1:], strict=True)
    ]
    return [["input_type", "input_name", "output_name", *more, "value"], *cells]


def write(file: Path, lines: Lines, **sheets: Lines) -> Path:
    """As a workbook of one sheet, or of several by their names, or as CSV."""
    if file.suffix == ".csv":
        pd.DataFrame(padded(lines)).to_csv(file, header=False, index=False)
        return file
    with pd.ExcelWriter(file) as book:
        for name, of in ({"Table": lines} | sheets).items():
            pd.DataFrame(padded(of)).to_excel(book, sheet_name=name, header=False, index=False)
    return file


def padded(lines: Lines) -> Lines:
    width = max(map(len, lines))
    return [[*line, *[None] * (width - len(line))] for line in lines]
