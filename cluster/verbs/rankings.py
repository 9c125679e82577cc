"""Verbs that rank firms: esri, sensitivity."""

import argparse
from pathlib import Path
from typing import Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import show, tell


def esri(options: argparse.Namespace) -> int:
    """Rank the firms of a network by the share of the economy that stops when one of them does (Diem et al. 2022)."""
    from shockmesh.cluster.verbs.esri import rank_by_esri

    out = options.out or str(Path(options.store).with_suffix(".esri.csv"))
    ranking = rank_by_esri(
        options.store, out, essential=options.essential, market=options.market, size=options.size,
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


def _top(options: argparse.Namespace, ranking: Any, by: str, out: str, none: str) -> int:
    """Print the ten firms that matter most, or that none does."""
    top = ranking[ranking[by] != 0].head(10)[["rank", "firm", "region", "sector", by]].to_dict("records")
    if options.json:
        return tell(options, {"ranking": out, "firms": len(ranking), "by": by, "top": top}, "")
    if not top:
        return tell(options, {}, f"{out}: {len(ranking):,} firms, all of {by} 0: {none}")
    firms = {f"{row['rank']}  {row['firm']}": f"{row[by]:.4g}  {row['region']}, {row['sector']}" for row in top}
    return show(options, firms, f"{out}: {len(ranking):,} firms by {by}")


def add_verbs(verbs: Any) -> None:
    index = add_verb(verbs, "esri", esri, "rank a network's firms by systemic risk", "store")
    index.add_argument("-o", "--out", help="the CSV file; default: STORE with .esri.csv")
    index.add_argument(
        "--essential", default="all", help="all, none, or a CSV of levels 0, 1, 2 (input × buyer sector)"
    )
    index.add_argument(
        "--market", choices=("sector", "industry", "none"), default="sector", help="who can replace a firm"
    )
    index.add_argument("--size", choices=("sales", "output"), default="sales", help="sales to firms, or all output")
    index.add_argument("--tolerance", type=float, default=1e-2, help="a cascade ends when no firm moves by more")
    index.add_argument("--batch", type=int, default=32, help="failures at a time")
    ranked = add_verb(verbs, "sensitivity", sensitivity, "rank a spec's firms by what they add to its loss", "spec")
    ranked.add_argument("-o", "--out", help="the CSV file; default: SPEC with .sensitivity.csv")
    ranked.add_argument("--loss", choices=("output", "value_added", "final_consumption"), default="output")
    add_overrides(ranked)
