"""Verbs that say how far to trust an answer: robustness, compare."""

import argparse
from pathlib import Path
from typing import Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import PARTLY_DONE, refuse, show, tell
from shockmesh.cluster.verbs.progress import Progress


def robustness(options: argparse.Namespace) -> int:
    """Run a spec under other presets, inputs, stocks and networks; say how far its loss spreads, and what drives it."""
    from shockmesh.cluster.trust import robustness as study
    from shockmesh.cluster.trust.design import DAYS, PRESETS
    from shockmesh.io.reports.headline import percent, ranged
    from shockmesh.io.reports.robust import NAMES, share_text, told

    out = options.out or f"{Path(options.spec).stem}.robustness"
    try:
        with Progress(options) as doing:
            found = study.robustness(
                options.spec, out, overrides_of(options), presets=options.presets or PRESETS,
                days=options.days or DAYS, table=options.table, seeds=options.networks, draws=options.members,
                address=options.address, doing=doing,
            )  # fmt: skip
    except study.Unfinished as stopped:
        return refuse(options.json, [str(stopped)], PARTLY_DONE)
    numbers = found.as_dict()
    if options.json:
        return tell(options, numbers, "")
    rows = {"as written": ranged(found.as_written), "all": ranged(found.loss, "simulations")}
    for factor, levels in found.by_level.items():
        rows |= {f"{factor} {level}": ranged(of, "simulations") for level, of in levels.items()}
    title = (
        f"{options.spec}: {found.measure.replace('_', ' ')} lost over {found.days} days, {found.members} simulations"
    )
    show(options, rows, title)
    shares = {NAMES[name]: share_text(of) for name, of in numbers["drivers"].items()}
    show(options, shares, "What drives it: share of the variance, with sampling error")
    more = [f"note: {remark}" for remark in found.remarks]
    over = f"as written it loses more than {percent(found.above)} of the simulations do"
    return tell(options, {}, "\n".join([over, *more, told(numbers), f"wrote {out}"]))


def compare(options: argparse.Namespace) -> int:
    """Say how runs differ, or members of them (RUN@3), or a spec under several presets, each against the first."""
    from shockmesh.io.reports.comparing import compare_runs
    from shockmesh.io.reports.comparison import as_lines, write_comparison

    if options.presets:
        from shockmesh.cluster.trust.robustness import Unfinished, run_presets

        try:
            options.runs = run_presets(options.runs, options.presets, options.runs_in, options.address)
        except Unfinished as stopped:
            return refuse(options.json, [str(stopped)], PARTLY_DONE)
    found = compare_runs(options.runs, options.variable)
    lines = list(as_lines(found))
    if options.out:
        lines.append(f"wrote {write_comparison(found, options.out)}")
    return tell(options, found.to_dict(), "\n".join(lines))


def add_verbs(verbs: Any) -> None:
    _add_compare(verbs)
    parser = add_verb(verbs, "robustness", robustness, "how much of an answer is the model's", "spec")
    add_overrides(parser)
    parser.add_argument("-o", "--out", help="the folder of all runs; default: the spec's name with .robustness")
    parser.add_argument(
        "--presets", type=_words, help="beside the spec's own; default: hamid2025,hallegatte2014,pichler2022"
    )
    parser.add_argument("--days", type=_numbers, help="levels of inventory_days; default: 5,15,60")
    parser.add_argument("--table", help="that the network was generated from; default: the one beside it")
    parser.add_argument("--networks", type=int, default=3, help="drawn from that table, the spec's own counted")
    parser.add_argument("--members", type=int, default=4, help="of the spec's own sweep, at most")
    parser.add_argument("--address", default="local", help="a Ray cluster, for many members; default: this process")


def _add_compare(verbs: Any) -> None:
    parser = add_verb(verbs, "compare", compare, "how runs differ, with paired uncertainty")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folders of runs; RUN@3 is a member; with --presets a spec"
    )
    parser.add_argument("-o", "--out", help="an HTML file of the comparison")
    parser.add_argument("--variable", help="whose loss; default: the most telling that all have recorded")
    parser.add_argument("--presets", type=_words, help="run the spec under these, and compare the runs")
    parser.add_argument("--runs-in", help="the folder of these runs; default: the spec's name with .presets")
    parser.add_argument("--address", default="local", help="a Ray cluster, for many members; default: this process")


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]
