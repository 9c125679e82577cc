"""Long tables, a cell a line (input, output, value), as the grids that people print."""

from itertools import combinations

from shockmesh.io.inputs.files import SourceError
from shockmesh.io.inputs.grids import Grid
from shockmesh.io.inputs.workbooks import Cells, text_of
from shockmesh.io.tables.structure import FEWEST, normal

MOST_COLUMNS, FEWEST_LINES = 12, 20


def pivoted(grid: Grid, wanted: str | None = None) -> Grid:
    """A grid of a long table: its rows by what is sold, its columns by who buys; any other grid as it is.

    The two columns of labels are those that share most labels; the value is the last column of numbers. Further columns
    must follow from these two, as a name follows from a code, or hold `wanted`: then the lines of `wanted` are taken.

    Raises:
        SourceError: a column says that there are several tables, or a cell is there twice.
    """
    top, lines = grid.cells[0] if grid.cells else [], grid.cells[1:]
    numeric = [
        at for at in range(len(top))
        if any(isinstance(line[at], float) for line in lines)
        and all(isinstance(line[at], float) or line[at] == "" for line in lines)
    ]  # fmt: skip
    texts = [at for at in range(len(top)) if at not in numeric]
    if len(top) > MOST_COLUMNS or len(lines) < FEWEST_LINES or not numeric or len(texts) < 2:
        return grid
    for at in texts:
        if wanted is not None and wanted in {text_of(line[at]) for line in lines}:
            lines = [line for line in lines if text_of(line[at]) == wanted]
    distinct = {at: list(dict.fromkeys(text_of(line[at]) for line in lines)) for at in texts}
    shared = {
        pair: len(set(map(normal, distinct[pair[0]])) & set(map(normal, distinct[pair[1]])))
        for pair in combinations(texts, 2)
    }
    sells, buys = max(shared, key=lambda pair: shared[pair])
    if shared[sells, buys] < FEWEST:
        return grid
    _refuse_several(grid, lines, [at for at in texts if at not in (sells, buys)], (sells, buys))
    cells: dict[tuple[str, str], float] = {}
    for number, line in enumerate(lines, start=2):
        key = text_of(line[sells]), text_of(line[buys])
        if key in cells:
            raise SourceError(f"{grid}: {' → '.join(key)}: there twice, the second time in line {number}")
        cells[key] = line[numeric[-1]]
    rows = [[seller, *(cells.get((seller, buyer), "") for buyer in distinct[buys])] for seller in distinct[sells]]
    return Grid(grid.file, grid.sheet, [["", *distinct[buys]], *rows])


def _refuse_several(grid: Grid, lines: list[Cells], others: list[int], keys: tuple[int, int]) -> None:
    """Raise SourceError if a column has several values for one label of a seller or buyer, whichever it belongs to."""
    for at in others:
        follows = False
        for key in keys:
            of: dict[str, set[str]] = {}
            for line in lines:
                of.setdefault(text_of(line[key]), set()).add(text_of(line[at]))
            follows = follows or all(len(found) == 1 for found in of.values())
        if not follows:
            several = sorted({text_of(line[at]) for line in lines})
            said = f"column {text_of(grid.cells[0][at])}: there are {', '.join(several[:5])}"
            raise SourceError(f"{grid}: {said}; one table is needed, of the region that is said (--region)")
