"""How verbs answer: as text for people, as JSON for programs; problems go to standard error."""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

DONE, BAD_INPUT, PARTLY_DONE, INTERRUPTED = 0, 2, 3, 130


def refuse(as_json: bool, problems: Sequence[str], code: int, error: BaseException | None = None) -> int:
    """Say on standard error what is wrong, a line each, or with --json as one object.

    It has the lines as `errors`, the exit code, the kind of error, and of a spec the parts of each problem: where,
    field, value, rule.
    """
    kind = "usage" if error is None else type(error).__name__
    parts = [asdict(of) for of in getattr(error, "problems", ())]
    whole = {"errors": problems, "exit_code": code, "kind": kind, **({"problems": parts} if parts else {})}
    told = [json.dumps(whole, ensure_ascii=False)] if as_json else problems
    sys.stderr.write("".join(f"{line}\n" for line in told))
    return code


def tell(options: argparse.Namespace, found: Mapping[str, Any], text: str) -> int:
    """Print a text, or with --json what was found, or with --quiet nothing."""
    if options.json:
        sys.stdout.write(json.dumps(_finite(found), indent=2, default=str) + "\n")
    elif not options.quiet:
        _console().print(text, markup=False, highlight=False)
    return DONE


def _finite(value: Any) -> Any:
    """The same with null in place of numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(of) for of in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show(options: argparse.Namespace, rows: Mapping[str, object], title: str) -> int:
    """Print names and values as two columns, or with --json as they are."""
    if options.json or options.quiet:
        return tell(options, rows, "")
    table = Table(
        title=Text(title, "table.title"), title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0)
    )
    for name, value in rows.items():
        table.add_row(Text(name), Text(str(value)))
    _console().print(table)
    return DONE


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160, soft_wrap=True)
