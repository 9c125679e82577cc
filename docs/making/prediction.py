"""The tables of `docs/choosing/prediction.md`, between marks: made anew by

    python docs/making/prediction.py [scores tried refit bands profile]

which runs `shockmesh bench prediction` and writes what it prints into the page; some minutes.
"""

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from shockmesh.cluster.predicting.bench import main

PAGE = Path(__file__).parents[1] / "choosing" / "prediction.md"
TABLES = {"scores": [], "bands": ["--bands"], "tried": ["--tried"], "refit": ["--refit"], "profile": ["--profile"]}


def printed(arguments: list[str]) -> str:
    """What the bench prints."""
    with redirect_stdout(StringIO()) as told:
        main(arguments)
    return told.getvalue().strip()


def put(page: str, name: str, text: str) -> str:
    """The page with a text between the marks of a name."""
    between = f"(?s)(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
    return re.sub(between, lambda found: f"{found[1]}{text}\n{found[2]}", page, count=1)


if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        told = printed(TABLES[name])
        PAGE.write_text(put(PAGE.read_text("utf-8"), name, told), "utf-8")
