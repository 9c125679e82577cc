"""The tutorials of the site run as they are printed, each in an empty folder.

A block with a title is a file; `shell` calls verbs, in this process; `python` runs; `text` after either has lines that
it must print. A page that starts a Ray cluster is under the marker slow.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shockmesh.cluster.cli import main

DOCS = Path(__file__).parent.parent / "docs"
SLOW = {"sweeps-on-ray"}
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    kind: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Block(found[1], found[2], found[3], text.count("\n", 0, found.start()) + 1)


def printed_by(block: Block, names: dict[str, Any], where: str) -> str:
    """What a block prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        if block.kind == "python":
            exec(compile("\n" * block.line + block.text, where, "exec"), names)
        else:
            for words, code in commands(block.text):
                assert words[0] == "shockmesh", f"{where}:{block.line}: {words[0]}: a tutorial calls shockmesh only"
                assert main(words[1:]) == code, f"{where}:{block.line}: {shlex.join(words)}"
    return out.getvalue()


def commands(text: str) -> Iterator[tuple[list[str], int]]:
    """The words of each command, and the exit code that a comment beside it says, else 0."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            said = re.search(r"# exit code (\d)", line)
            yield words, int(said[1]) if said else 0


def follow(page: Path) -> None:
    """Do what a page says, in the folder at hand."""
    names: dict[str, Any] = {}
    printed = ""
    for block in blocks(page):
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text, "utf-8")
        elif block.kind in ("shell", "python"):
            printed = printed_by(block, names, page.name)
        elif block.kind == "text":
            shown = [" ".join(line.split()) for line in block.text.splitlines() if line.strip() not in ("", "…")]
            found = [" ".join(line.split()) for line in printed.splitlines()]
            assert [line for line in shown if line not in found] == [], f"{page.name}:{block.line}:\n{printed}"


PAGES = [
    pytest.param(page, id=page.stem, marks=pytest.mark.slow if page.stem in SLOW else ())
    for page in sorted((DOCS / "tutorials").glob("*.md"))
]


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    follow(page)
