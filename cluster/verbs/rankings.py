"""Verbs that rank firms: esri, sensitivity, prices."""

import argparse
from pathlib import Path
from typing import Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import show, tell

TOLD = 8  # regions of each kind that `prices` prints


def esri(options: argparse.Namespace) -> int:
    """Rank the firms of a network by the share of the economy that stops when one of them does (Diem et al. 2022)."""
    from shockmesh.cluster.verbs.esri import rank_by_esri

    out = options.out or str(Path(options.store).with_suffix(".esri.csv"))
    ranking = rank_by_esri(
        options.store, out, year=options.year, essential=options.essential, market=options.market, size=options.size,
        tolerance=options.tolerance, batch=options.batch,
    )  # fmt: skip
    return _top(options, ranking, "esri", out, "no firm that stops takes anything from another")


def sensitivity(options: argparse.Namespace) -> int:
    """Rank the firms of a spec by the derivative of its loss, all firms in one backward pass."""
    from shockmesh.cluster.verbs.sensitivity import rank_by_sensitivity

    out = options.out or str(Path(options.spec).with_suffix(".sensitivity.csv"))
    ranking = rank_by_sensitivity(options.spec, out, overrides=overrides_of(options), loss=options.loss)
    none = "no firm's capacity binds under this spec, so that more of it avoids no loss; the other columns may tell"
    return _top(options, ranking, "importance", out, none)


def prices(options: argparse.Namespace) -> int:
    """Find the prices at which a spec's tariffs and costs come to rest, without simulating a day."""
    from shockmesh.cluster.verbs.prices import solve_prices

    found = solve_prices(options.spec, overrides=overrides_of(options), member=options.member, out=options.out)
    told = found.as_dict()
    if options.json:
        return tell(options, told, "")
    dearest = _most({region: level - 1 for region, level in told["consumer_price_index"].items()})
    output = {region: of for region, of in told["output_by_region"].items() if of["baseline"] > 0}
    made = _most({region: of["at_rest"] / of["baseline"] - 1 for region, of in output.items()})
    lines = {
        "rounds": f"{found.rounds}; the largest gap left is {found.residual:.2g}",
        "time": f"{found.solve_seconds:.2f} s, after {found.set_up_seconds:.2f} s to set up",
        "prices": f"{found.price.min():.4g} to {found.price.max():.4g} of the baseline's",
        "output": f"{100 * (told['output']['at_rest'] / told['output']['baseline'] - 1):+.3g} %",
        "tariff revenue": f"{sum(told['tariff_revenue'].values()):.4g} {told['unit']}",
        **{f"output, {region}": f"{100 * change:+.3g} %" for region, change in made.items()},
        **{f"consumer prices, {region}": f"{100 * rise:+.3g} %" for region, rise in dearest.items()},
        **({} if options.out is None else {"firms": options.out}),
    }
    return show(options, lines, f"{options.spec}: prices at rest of {told['firms']:,} firms, {told['links']:,} links")


def _most(changes: dict[str, float]) -> dict[str, float]:
    """The regions that changed most, up or down."""
    return dict(sorted(changes.items(), key=lambda of: -abs(of[1]))[:TOLD])


def _top(options: argparse.Namespace, ranking: Any, by: str, out: str, none: str) -> int:
    """Print the ten firms that matter most, or that none does."""
    top = ranking[ranking[by] != 0].head(10)[["rank", "firm", "region", "sector", by]].to_dict("records")
    if options.json:
        return tell(options, {"ranking": out, "firms": len(ranking), "by": by, "top": top}, "")
    if not top:
        return tell(options, {}, f"{out}: {len(ranking):,} firms, all of {by} 0: {none}")
    firms = {f"{row['rank']}  {row['firm']}": f"{row[by]:.4g}  {_where(row, ranking)}" for row in top}
    return show(options, firms, f"{out}: {len(ranking):,} firms by {by}")


def _where(row: Any, ranking: Any) -> str:
    """A firm's region and sector, with their names."""
    from shockmesh.io.inputs.names import label

    return ", ".join(label(kind, row[kind], [*ranking[kind].unique()]) for kind in ("region", "sector"))


def add_verbs(verbs: Any) -> None:
    index = add_verb(verbs, "esri", esri, "rank firms, or a table's industries, by systemic risk", "store")
    index.add_argument("-o", "--out", help="the CSV file; default: STORE with .esri.csv")
    index.add_argument("--year", type=int, help="of a table with several years, whose industries are ranked")
    index.add_argument(
        "--essential",
        default="all",
        help="all, none, imported with the links, or a CSV of levels 0, 1, 2 (input × buyer sector)",
    )
    index.add_argument(
        "--market", choices=("sector", "industry", "none"), default="sector", help="who can replace a firm"
    )
    index.add_argument("--size", choices=("sales", "output"), default="sales", help="sales to firms, or all output")
    index.add_argument("--tolerance", type=float, default=1e-2, help="a cascade ends when no firm moves by more")
    index.add_argument("--batch", type=int, default=32, help="failures at a time")
    ranked = add_verb(verbs, "sensitivity", sensitivity, "rank a spec's firms by what they add to its loss", "spec")
    ranked.add_argument("-o", "--out", help="the CSV file; default: SPEC with .sensitivity.csv")
    ranked.add_argument("--loss", choices=("output", "value_added", "final_consumption"), default="output",
                        help="what is lost")  # fmt: skip
    add_overrides(ranked)
    at_rest = add_verb(verbs, "prices", prices, "find where a spec's prices come to rest, without days", "spec")
    at_rest.add_argument("-o", "--out", help="a CSV of all firms, the dearest first; default: none")
    at_rest.add_argument("--member", type=int, default=0, help="of the sweep")
    add_overrides(at_rest)
