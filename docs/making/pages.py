"""Pages that are made when the site is built: every key of a spec, preset, verb and name in Python; the mathematics.

MkDocs calls `on_files`. All text comes from where the programs have it: models, parser, docstrings. None of it is kept.
"""

import argparse
import ast
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import dedent, fill

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from shockmesh.cluster import api
from shockmesh.cluster.cli import make_parser, verbs_of
from shockmesh.cluster.spec.reference import NUMBERS, Key, keys
from shockmesh.kernels.model import DEFAULTS, PRESETS, Switches

KERNELS = Path(__file__).parents[2] / "kernels"
FIRST = ("step", "model")  # of kernels/, in the order in which to read them; between them, all mechanisms
LAST = ("prices", "esri", "sensitivity", "rollout")
WHERE = ("Where",)  # parts that several shocks have, told once
TITLES = {"": "At the top", NUMBERS: "A number by firm"}  # of parts that are not called as their path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def spec_page() -> str:
    """Every key of a spec, part by part."""
    return "\n".join(_spec_lines()) + "\n"


def _spec_lines() -> Iterator[str]:
    yield "# Every key of a spec\n"
    yield "`shockmesh explain KEY` prints the same in a terminal. For completion and checks in an editor:\n"
    yield "    shockmesh explain --schema > spec.schema.json\n"
    yield "and, as the first line of a spec, `# yaml-language-server: $schema=spec.schema.json`.\n"
    yield "A number that says `{default, by_region, by_sector, file}` may differ [by firm](#by_firm); a mapping that"
    yield "chooses firms has the keys of [where](#where). In paths, a shock's kind stands for its name.\n"
    shared = {key.name: key for key in keys() if key.part in WHERE}
    parts: dict[str, list[Key]] = {}
    for key in keys():
        if key.part not in WHERE:
            parts.setdefault(key.path.rpartition(".")[0], []).append(key)
    for part, within in parts.items():
        yield f"## {TITLES.get(part, part)} {{ #{part or 'top'} }}\n"
        for key in within:
            yield from _key_lines(key, key.path, f"{key.path} below" if key.path in parts else "")
    yield "## where { #where }\n"
    yield "Which firms: in any of the regions, and any of the sectors, and any of the firms named; empty means all.\n"
    for key in shared.values():
        yield from _key_lines(key, key.name, "")


def _key_lines(key: Key, title: str, within: str) -> Iterator[str]:
    """What there is to say of a key. The anchor of a key with keys of its own is at the heading of those."""
    anchor = "" if within or ("." not in key.path and key.part != "Spec") else f" {{ #{title} }}"
    first = key.meaning[:1].upper() if key.meaning[:1].isascii() and key.meaning[1:2] != "," else key.meaning[:1]
    meaning = first + key.meaning[1:]
    yield f"### `{title}`{anchor}\n"
    yield meaning.removesuffix(".") + "." + (f" Its keys: [{within}](#{key.path})." if within else "") + "\n"
    yield from (f"* {heading}: {_code(heading, text)}" for heading, text in key.lines())
    yield ""


def _code(heading: str, text: str) -> str:
    return f"`{text}`" if heading in ("example", "BoARIO's name") else text


def presets_page() -> str:
    """Switches and numbers of every preset."""
    switches = [field.name for field in fields(Switches)]
    numbers = list(dict.fromkeys(name for preset in PRESETS.values() for name in preset.defaults))
    rows = [
        *([f"`{name}`", *(f"`{getattr(of.switches, name)}`" for of in PRESETS.values())] for name in switches),
        *([f"`{name}`", *(_number(of.defaults.get(name)) for of in PRESETS.values())] for name in numbers),
    ]
    return "\n".join(
        [
            "# Presets, switch by switch\n",
            "[Which to take](../choosing/presets.md) is another page.\n",
            *table(["", *(f"`{name}`" for name in PRESETS)], rows),
            "",
            *(f"* `{name}`: {of.citation}" for name, of in PRESETS.items()),
            "\n## Numbers that no preset gives\n",
            "Where a mechanism needs one of these, it is:\n",
            *(f"* `{name}`: {value:.4g}" for name, value in DEFAULTS.items()),
            "",
        ]
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def verbs_page() -> str:
    """Every verb, with the options that its parser takes."""
    lines = ["# Every verb\n", "`shockmesh VERB --help` prints the same.\n"]
    for name, parser in verbs_of(make_parser()).items():
        usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
        usage = fill(usage, 84, subsequent_indent="    ", break_on_hyphens=False)
        rows = [[_names(action), " ".join((action.help or "").split())] for action in told(parser)]
        lines += [f"## {name} {{ #{name} }}\n", f"{parser.description}\n", f"```text\n{usage}\n```\n"]
        lines += [*table(["argument", "meaning"], rows), ""]
        lines += [f"```text\n{parser.epilog}\n```\n"] if parser.epilog else []
    return "\n".join([*lines, "## Exit codes { #exit-codes }\n", *_exit_codes(), ""])


def told(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a verb."""
    return [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]


def _names(action: argparse.Action) -> str:
    """How an argument is written."""
    word = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = f" {{{','.join(map(str, action.choices))}}}" if action.choices and action.metavar is None else f" {word}"
    names = ", ".join(f"`{name}{'' if action.nargs == 0 else value}`" for name in action.option_strings)
    return (names or f"`{word}`") + (f", default `{action.default}`" if isinstance(action.default, (int, float, str))
                                     and not isinstance(action.default, bool) else "")  # fmt: skip


def _exit_codes() -> Iterator[str]:
    from shockmesh.cluster import cli

    yield (cli.__doc__ or "").partition("Exit codes: ")[2].capitalize()


def mathematics_page() -> str:
    """The docstrings of the kernels: formulas, sources, departures."""
    lines = [
        "# The mathematics\n",
        "Made of the docstrings of `kernels/`, where each formula stands beside its code.\n",
    ]
    for path in modules():
        tree = ast.parse(path.read_text("utf-8"))
        told = ast.get_docstring(tree) or ""
        title = re.split(r"[:.]", told, maxsplit=1)[0]
        lines += [f"## {title}\n", f"`{path.relative_to(KERNELS.parent)}`\n", markdown(told)]
        lines += [text for node in tree.body for text in _public(node)]
    return "\n".join(lines) + "\n"


def modules() -> list[Path]:
    """The modules that say what is computed."""
    first, last = ([KERNELS / f"{name}.py" for name in names] for names in (FIRST, LAST))
    return [*first, *sorted((KERNELS / "mechanisms").glob("*.py")), *last]


def _public(node: ast.stmt) -> Iterator[str]:
    """A public function or class, if its docstring says more than a line."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
        told = ast.get_docstring(node) or ""
        yield from [f"\n### `{node.name}`\n\n{markdown(told)}\n"] if "\n" in told else []


def markdown(docstring: str) -> str:
    """A docstring as Markdown: what is aligned or indented stays as it is, and single marks are no emphasis."""
    return "\n\n".join(_block(block) for block in re.split(r"\n\s*\n", docstring))


def _block(text: str) -> str:
    """A paragraph, a list, or a formula.

    >>> print(_block("Departures:\\n  1. one"))
    Departures:
    <BLANKLINE>
    1. one
    """
    if text.startswith("    ") or re.search(r"\S {2,}\S", text):
        return f"```text\n{dedent(text)}\n```"
    if len(re.findall(r"(?m)^\w+: ", text)) > 1 and all(re.match(r"\w+: |    ", line) for line in text.splitlines()):
        text = re.sub(r"(?m)^(\w+): ", r"- `\1`: ", text)
    text = re.sub(r"(?m)^( *)\* ", r"\1- ", text).replace("*", r"\*").replace("<", "&lt;")
    text = re.sub(r"(?m)^  (?= *(?:\d+\.|-) |   )", "", text)
    if text.startswith(("Args:", "Raises:", "Returns:")):
        text = re.sub(r"(?m)^    (?=[A-Za-z_][\w, ]*: )", "- ", text)
    return re.sub(r"(:|\.)\n(?=(?:1\.|-) )", r"\1\n\n", text)


def python_page() -> str:
    """Every name of `shockmesh.cluster.api`, with its signature and docstring."""
    lines = ["# Every name in Python\n", "`from shockmesh.cluster import api as sm`, then `sm.NAME`.\n"]
    for name in api.__all__:
        of = getattr(api, name)
        lines += [f"## {name} {{ #{name} }}\n", f"```text\n{_signature(of)}{inspect.getdoc(of)}\n```\n"]
    return "\n".join(lines)


def _signature(of: object) -> str:
    """How a function is called; the keys of a part of a spec are told by the reference of the spec."""
    if not inspect.isfunction(of):
        return ""
    given = inspect.signature(of)
    shown = [str(one) if one.default is inspect.Parameter.empty else f"{one.name}={one.default!r}"
             for one in given.parameters.values()]  # fmt: skip
    return fill(f"{of.__name__}({', '.join(shown)})", 84, subsequent_indent="    ", break_on_hyphens=False) + "\n\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/spec.md": spec_page,
    "reference/presets.md": presets_page,
    "reference/verbs.md": verbs_page,
    "reference/python.md": python_page,
    "mathematics.md": mathematics_page,
}
