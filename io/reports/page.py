"""The page of a report: blocks in, one self-contained HTML file out. Every text is escaped here and nowhere else."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Literal

from shockmesh.io.reports.figures import Panel
from shockmesh.io.reports.style import HEAD


@dataclass(frozen=True)
class Card:
    """One headline number."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: Literal["numbers", "words"] = "numbers"


@dataclass(frozen=True)
class Folded:
    """A block that is folded until the reader opens it: a table, or text as it stands."""

    title: str
    content: Table | str


@dataclass(frozen=True)
class Notice:
    """A remark that the reader must not miss."""

    text: str


@dataclass(frozen=True)
class Pair:
    """Two panels side by side where there is room."""

    left: Panel
    right: Panel


type Block = Panel | Pair | Table | Folded | Notice


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    title: str
    blocks: Sequence[Block]


def page(title: str, subtitle: str, cards: Iterable[Card], sections: Sequence[Section], library: str) -> str:
    """The whole file. `library` is the source of plotly.js, inlined once."""
    links = "".join(f'<a href="#{section.id}">{escape(section.title)}</a>' for section in sections)
    return "".join(
        [
            HEAD.replace("{title}", escape(title)),
            f'<header><h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p></header>',
            f'<nav aria-label="Sections">{links}</nav><main>',
            f'<section class="cards" aria-label="Headline numbers">{"".join(map(_card, cards))}</section>',
            *map(_section, sections),
            f"</main><script>{_inline(library)}</script><script>{script()}</script></body></html>\n",
        ]
    )


@cache
def script() -> str:
    """What draws the figures, and lets readers search, change to dark and take what they see with them."""
    return Path(__file__).with_name("page.js").read_text("utf-8")


def _section(section: Section) -> str:
    heading = f'<h2 id="{section.id}-title">{escape(section.title)}</h2>'
    blocks = "".join(map(_block, section.blocks))
    return f'<section id="{section.id}" aria-labelledby="{section.id}-title">{heading}{blocks}</section>'


def _block(block: Block) -> str:
    match block:
        case Panel():
            return _panel(block)
        case Pair():
            return f'<div class="pair">{_panel(block.left)}{_panel(block.right)}</div>'
        case Table():
            return _table(block)
        case Folded():
            return _folded(block)
        case Notice():
            return f'<p class="notice" role="note">{escape(block.text)}</p>'


def _card(card: Card) -> str:
    parts = {"label": card.label, "value": card.value, "note": card.note}
    return "".join(
        ['<div class="card">', *(f'<p class="{name}">{_text(text)}</p>' for name, text in parts.items()), "</div>"]
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    body = "".join(map(_row, table.rows))
    label = escape(table.caption)
    inside = f"<caption>{label}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    content = f'<table class="{table.kind}">{inside}</table>'
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{label}">{content}</div>'


def _row(row: Sequence[str]) -> str:
    cells = "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
    return f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'


def _folded(folded: Folded) -> str:
    content = folded.content
    inside = _table(content) if isinstance(content, Table) else f'<pre tabindex="0">{escape(content)}</pre>'
    return f"<details><summary>{escape(folded.title)}</summary>{inside}</details>"


def _panel(panel: Panel) -> str:
    figures = _inline(json.dumps(panel.choices, allow_nan=False, separators=(",", ":")))
    size = f"height:{panel.height}px;min-width:{panel.least_width}px"
    title = f'<h3 id="{panel.id}-title">{escape(panel.title)}</h3>'
    return "".join(
        [
            f'<figure aria-labelledby="{panel.id}-title"><div class="top">{title}{_choice(panel)}</div>',
            f'<div class="scroll"><div class="plot" id="{panel.id}" role="img" ',
            f'aria-label="{escape(panel.alt)}" style="{size}"></div></div>',
            f"<figcaption>{escape(panel.note)}</figcaption>",
            f'<script type="application/json" data-figures="{panel.id}">{figures}</script></figure>',
        ]
    )


def _choice(panel: Panel) -> str:
    if len(panel.choices) == 1:
        return ""
    options = "".join(f"<option>{escape(name)}</option>" for name in panel.choices)
    return f'<label class="pick">{escape(panel.pick)} <select data-for="{panel.id}">{options}</select></label>'


def _text(text: str) -> str:
    """Text whose numbers stay with their per cent sign when lines break."""
    return escape(text).replace(" %", "&nbsp;%")


def _inline(script: str) -> str:
    """A script's text, made safe to stand inside a script element."""
    return script.replace("</", "<\\/").replace("<!--", "<\\!--")
