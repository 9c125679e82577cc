"""Plotly figures as plain dictionaries: layouts, lines, bands, bars, heat maps, and the colours of a report.

Colours are Okabe and Ito's and single-hue scales of their kin, which colour-blind readers can tell apart.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

INK, MUTED, GRID, ABSENT = "#1f2933", "#52606d", "#e4e7eb", "#dde1e6"
BLUE, VERMILLION, GREEN, AMBER, FAINT = "#0072b2", "#d55e00", "#009e73", "#e58b4d", "rgba(82,96,109,0.22)"
OUTER, INNER = "rgba(0,114,178,0.16)", "rgba(0,114,178,0.32)"
SHADES: dict[float, tuple[int, int, int]] = {  # part of the deepest loss → red, green, blue; closer where small
    -1.0: (8, 58, 94), -0.65: (26, 107, 163), -0.35: (79, 155, 202), -0.15: (149, 198, 227), -0.06: (201, 226, 241),
    -0.02: (230, 241, 248), 0.0: (253, 250, 246), 0.02: (253, 238, 221), 0.06: (251, 217, 179), 0.15: (247, 182, 121),
    0.35: (234, 131, 57), 0.65: (189, 74, 16), 1.0: (92, 31, 7),
}  # fmt: skip
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": INK}

ROW, LETTER = 0.06, 0.008  # a label's height and a letter's width, parts of a figure's

type Figure = dict[str, Any]
type Trace = dict[str, Any]


def figure(traces: Sequence[Trace], across: str, up: str, **layout: Any) -> Figure:
    """A figure of traces with a title on each axis; `xaxis` and `yaxis` add to the house style of the axes."""
    axes = {
        name: {**_AXIS, "title": {"text": text, "standoff": 8}, **layout.pop(name, {})}
        for name, text in (("xaxis", across), ("yaxis", up))
    }
    return {"data": list(traces), "layout": {**_LAYOUT, **axes, **layout}}


def against_baseline(
    traces: Sequence[Trace], titles: tuple[str, str], events: Mapping[str, float], start: str | None = None
) -> Figure:
    """Paths over time in % of baseline, with the baseline drawn and a mark at each event (its name → day).

    `start` is the date of day 0, where the traces have dates.
    """
    at = {name: day if start is None else date_after(start, day) for name, day in events.items()}
    level = {"xref": "paper", "x0": 0, "x1": 1, "y0": 100, "y1": 100}
    marks = [{"yref": "paper", "y0": 0, "y1": 1, "x0": day, "x1": day} for day in at.values()]
    look = {"type": "line", "line": {"color": MUTED, "width": 1.2, "dash": "dot"}, "layer": "below"}
    words = [{"xref": "paper", "x": 1, "y": 100, "text": "baseline", "xanchor": "right", "yanchor": "bottom"}]
    foot = {"yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    rows = label_rows(events, _span(traces[0]["x"])) if events else {}
    words += [{**foot, "y": ROW * row, "x": at[name], "text": name} for name, row in rows.items()]
    small = {"showarrow": False, "font": {"size": 12, "color": MUTED}}
    annotations = [{**word, **small} for word in words]
    return figure(traces, *titles, shapes=[{**shape, **look} for shape in (level, *marks)], annotations=annotations)


def _span(x: Sequence[Any]) -> float:
    """Days from the first to the last of days or dates."""
    if isinstance(x[0], str):
        return (datetime.fromisoformat(x[-1]) - datetime.fromisoformat(x[0])).days
    return x[-1] - x[0]


def date_after(first: str, days: float) -> str:
    """The date some days after the first, with its hour where these are no whole days.

    >>> date_after("2020-02-28", 2), date_after("2020-02-28", 0.5)
    ('2020-03-01', '2020-02-28 12:00')
    """
    then = datetime.fromisoformat(first) + timedelta(days=days)
    return f"{then:%Y-%m-%d}" if days == int(days) else f"{then:%Y-%m-%d %H:%M}"


def label_rows(events: Mapping[str, float], span: float) -> dict[str, int]:
    """The row of each event's label, the lowest where it does not run into an earlier one; days, as `span` is."""
    ends, rows = list[float](), dict[str, int]()
    for name, day in sorted(events.items(), key=lambda event: event[1]):
        rows[name] = next((row for row, end in enumerate(ends) if end <= day), len(ends))
        ends[rows[name] : rows[name] + 1] = [day + LETTER * len(name) * span]
    return rows


def line(x: Sequence[Any], y: np.ndarray, name: str, **look: Any) -> Trace:
    """A line; `look` holds colour, width, dash."""
    return {
        "type": "scatter", "mode": "lines", "x": list(x), "y": numbers(y), "name": name, "line": look,
        "hovertemplate": "%{y:.2f} %",
    }  # fmt: skip


def faint(x: Sequence[Any], y: np.ndarray, name: str) -> Trace:
    """A thin line among many."""
    return {**line(x, y, name, color=FAINT, width=1), "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}


def bands(x: Sequence[Any], quantiles: Float[np.ndarray, "quantile time"], of: str = "members") -> list[Trace]:
    """The area between the outer and between the inner of five quantiles of `of`, and the line of the middle one."""
    low, lower, middle, upper, high = quantiles
    ends = [[round(a, 2), round(b, 2)] for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    tip = "%{y:.2f} % (%{customdata[0]:.2f} to %{customdata[1]:.2f})"
    median = {**line(x, middle, "median", color=BLUE, width=2.5), "customdata": ends, "hovertemplate": tip}
    outer = [_edge(x, low), _edge(x, high, f"90 % of {of}", OUTER)]
    return [*outer, _edge(x, lower), _edge(x, upper, f"50 % of {of}", INNER), median]


def _edge(x: Sequence[Any], y: np.ndarray, name: str = "", fill: str = "") -> Trace:
    area = {"fill": "tonexty", "fillcolor": fill} if fill else {}
    look = {"showlegend": bool(fill), "hoverinfo": "skip", "hovertemplate": None}
    return {**line(x, y, name, width=0, color=BLUE), **look, **area}


def bars(names: Sequence[str], spreads: Sequence[Mapping[str, float]], title: str) -> Figure:
    """Horizontal bars of medians, whiskers from low to high, the first on top."""
    whisker = {
        "type": "data", "symmetric": False, "color": INK, "thickness": 1.2, "width": 3,
        "array": numbers([row["high"] - row["median"] for row in spreads]),
        "arrayminus": numbers([row["median"] - row["low"] for row in spreads]),
    }  # fmt: skip
    bar: Trace = {
        "type": "bar", "orientation": "h", "y": list(names), "x": numbers([row["median"] for row in spreads]),
        "marker": {"color": AMBER}, "hovertemplate": "%{y}: %{x:,.4g}<extra></extra>",
    }  # fmt: skip
    if any(row["high"] > row["low"] for row in spreads):
        bar["error_x"] = whisker
    return figure([bar], title, "", yaxis=_DOWNWARD, xaxis={"zeroline": True}, hovermode="closest", margin=_FLAT)


def signed_bars(values: Mapping[str, float], chance: float, title: str) -> Figure:
    """Horizontal bars to both sides of 0, a grey band where values are within chance."""
    bar = {
        "type": "bar", "orientation": "h", "y": list(values), "x": numbers(list(values.values())),
        "marker": {"color": [VERMILLION if value > 0 else BLUE for value in values.values()]},
        "width": 0.55, "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
    }  # fmt: skip
    band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": -chance, "x1": chance, "line": {"width": 0}}
    shapes = [{**band, "fillcolor": "rgba(82,96,109,0.14)", "layer": "below"}]
    xaxis = {"range": [-1.05, 1.05], "zeroline": True}
    return figure([bar], title, "", yaxis=_DOWNWARD, xaxis=xaxis, shapes=shapes, hovermode="closest", margin=_FLAT)


def points(x: np.ndarray, y: np.ndarray, names: Sequence[str], across: str, up: str) -> Figure:
    """A scatter of named points."""
    dots = {
        "type": "scatter", "mode": "markers", "x": numbers(x), "y": numbers(y), "text": list(names),
        "marker": {"color": BLUE, "size": 9, "opacity": 0.75, "line": {"color": "#ffffff", "width": 1}},
        "hovertemplate": "%{text}<br>%{x:.4g}: loss %{y:.3g} %<extra></extra>",
    }  # fmt: skip
    return figure([dots], across, up, hovermode="closest", margin=_FLAT)


def heat(
    x: Sequence[Any], y: Sequence[str], z: Float[np.ndarray, "y x"], titles: tuple[str, str], **xaxis: Any
) -> Figure:
    """A heat map of losses in %, with gains in blue. Colours end at the 99.5 % quantile."""
    top = float(f"{np.nanquantile(z, 0.995):.4g}") if np.nanmax(z) > 0 else 1.0
    gain = float(f"{np.clip(-np.nanmin(z), 0, top):.4g}")
    cells = {
        "type": "heatmap", "x": list(x), "y": list(y), "z": [numbers(row, 3) for row in z], "hoverongaps": False,
        "zmin": -gain, "zmax": top, "colorscale": _scale(gain / top),
        "hovertemplate": f"{titles[1]} %{{y}}<br>{titles[0]} %{{x}}<br>loss %{{z:.3g}} %<extra></extra>",
        "colorbar": {
            "title": {"text": "loss, %", "side": "right"}, "thickness": 12, "outlinewidth": 0, "len": 280,
            "lenmode": "pixels", "y": 1, "yanchor": "top",
        },
    }  # fmt: skip
    rows = {**_DOWNWARD, "tickmode": "linear", "tickfont": {"size": 10}, "showgrid": False}
    columns = {"showgrid": False, **xaxis}
    return figure([cells], *titles, xaxis=columns, yaxis=rows, hovermode="closest", plot_bgcolor=ABSENT, margin=_FLAT)


def world(loss: Mapping[str, float], label: Mapping[str, str]) -> Figure:
    """A map of losses in %, country by country (ISO codes of three letters), gains in blue; drawn without a network."""
    values = np.array([*loss.values()])
    top = float(f"{values.max():.4g}") if values.max() > 0 else 1.0
    gain = float(f"{np.clip(-values.min(), 0, top):.4g}")
    countries = outlines()
    every = {
        "type": "choropleth", "geojson": countries, "locationmode": "geojson-id",
        "locations": [of["id"] for of in countries["features"]], "z": [0] * len(countries["features"]),
        "colorscale": [[0, ABSENT], [1, ABSENT]], "showscale": False, "hoverinfo": "skip", "marker": _BORDER,
    }  # fmt: skip
    hit = {
        "type": "choropleth", "geojson": countries, "locationmode": "geojson-id", "locations": [*loss],
        "z": numbers(values, 3), "zmin": -gain, "zmax": top, "colorscale": _scale(gain / top), "marker": _BORDER,
        "text": [label[iso] for iso in loss], "hovertemplate": "%{text}<br>loss %{z:.3g} %<extra></extra>",
        "colorbar": {"title": {"text": "loss, %", "side": "right"}, "thickness": 12, "outlinewidth": 0},
    }  # fmt: skip
    nothing = dict.fromkeys(
        ("showland", "showcoastlines", "showframe", "showcountries", "showocean", "showlakes"), False
    )
    geo = {
        **nothing,
        "projection": {"type": "natural earth"},
        "bgcolor": "rgba(0,0,0,0)",
        "lataxis": {"range": [-58, 84]},
    }
    margin = dict.fromkeys("lrtb", 0)
    return {"data": [every, hit], "layout": {"font": FONT, "geo": geo, "margin": margin, "paper_bgcolor": "#ffffff",
                                             "dragmode": False}}  # fmt: skip


@cache
def outlines() -> dict[str, Any]:
    """Countries as GeoJSON, by ISO code: `world/README.md`."""
    return json.loads(Path(__file__).with_name("world").joinpath("countries.json").read_text("utf-8"))


def _scale(gain: float) -> list[list[Any]]:
    """The shades from −gain to 1 as a Plotly colour scale over 0 … 1; gains and losses of one size are equally dark."""
    parts = [-gain, *(part for part in SHADES if part > -gain)]
    channels = [np.interp(parts, list(SHADES), channel) for channel in zip(*SHADES.values(), strict=True)]
    colours = [f"rgb({red:.0f},{green:.0f},{blue:.0f})" for red, green, blue in zip(*channels, strict=True)]
    return [[(part + gain) / (1 + gain), colour] for part, colour in zip(parts, colours, strict=True)]


def numbers(values: Any, digits: int = 5) -> list[float | None]:
    """Values with few digits, None where not finite, as JSON has it."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in np.asarray(values, float)]


_BORDER = {"line": {"color": "#ffffff", "width": 0.4}}
_FLAT = {"l": 56, "r": 16, "t": 12, "b": 48}  # margins of a figure without a legend
_DOWNWARD = {"autorange": "reversed", "type": "category"}
_AXIS = {
    "gridcolor": GRID, "zeroline": False, "zerolinecolor": MUTED, "linecolor": MUTED, "automargin": True,
    "ticks": "outside", "tickcolor": GRID, "fixedrange": True,
}  # fmt: skip
_LAYOUT = {
    "font": FONT, "paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff", "hovermode": "x unified", "dragmode": False,
    "margin": {"l": 56, "r": 16, "t": 36, "b": 48},
    "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
}  # fmt: skip
