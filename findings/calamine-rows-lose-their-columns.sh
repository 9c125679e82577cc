#!/usr/bin/env bash
# python-calamine 0.9.1: `iter_rows` gives the empty rows above a sheet's first cell, but not the empty columns before it.
# A good guess: rows stand where the sheet has them, or both margins are left out, as `to_python()` does, or both are given, as
# `to_python(skip_empty_area=False)` does. Seen: row numbers are right, and every column is too far left.
# Who meets it: whoever reads large sheets row by row and looks for a column by its letter; statistical offices begin tables at B8.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
venv/bin/pip install -qq --disable-pip-version-check 'python-calamine==0.9.1' 'openpyxl==3.1.5'
venv/bin/python -W ignore - <<'PY'
from importlib.metadata import version

import openpyxl
from python_calamine import CalamineWorkbook

print("python-calamine", version("python-calamine"))
book = openpyxl.Workbook()
book.active["C3"] = "x"
book.save("t.xlsx")
sheet = CalamineWorkbook.from_path("t.xlsx").get_sheet_by_index(0)
rows = list(sheet.iter_rows())
print("a sheet whose only cell is C3: iter_rows", rows)
print("to_python", sheet.to_python(), "with empty areas", sheet.to_python(skip_empty_area=False))
assert rows == [[""], [""], ["x"]], "the behaviour has changed"
assert sheet.to_python() == [["x"]], "the behaviour has changed"
assert sheet.to_python(skip_empty_area=False) == [["", "", ""], ["", "", ""], ["", "", "x"]], "the behaviour has changed"
PY
