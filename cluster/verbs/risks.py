"""Verbs that say what may be lost, why, and what to do about it: risk, indices, finance, allocate."""

import argparse
from typing import TYPE_CHECKING, Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import show, tell

if TYPE_CHECKING:
    from shockmesh.io.risk import Estimate


OF = "what is lost, as recorded; default: what the report shows first"


def risk(options: argparse.Namespace) -> int:
    """Say what a run may lose: the expected annual loss, losses by return period, VaR and expected shortfall, each with
    its error. Of events with frequencies a year's; of other members a member's, all alike."""
    from shockmesh.io.rankings import check_new
    from shockmesh.io.results import open_run
    from shockmesh.io.risk import risk_of

    if options.out:
        check_new(options.out)
    with open_run(options.run) as opened:
        found = risk_of(opened, options.variable, options.level, options.years)
    if options.out:
        found.curve.to_csv(options.out, index=False)
    if options.json:
        return tell(options, found.as_dict() | {"curve": found.curve.to_dict("list")}, "")
    often = "" if found.frequency is None else f" events, {found.frequency:.4g} a year"
    whose = "a year's" if often else "a member's"
    rows = {
        "expected annual loss" if often else "mean loss": _told(found.mean, found.unit),
        **{f"loss of {years:g} years": _told(of, found.unit) for years, of in found.return_levels.items()},
        **{f"{whose} VaR, {100 * level:g} %": _told(of, found.unit) for level, of in found.var.items()},
        **{f"{whose} ES, {100 * level:g} %": _told(of, found.unit) for level, of in found.es.items()},
        **({"left out": f"{found.left_out} members that failed"} if found.left_out else {}),
        **({"curve": options.out} if options.out else {}),
    }
    what = f"{found.measure.replace('_', ' ')} lost over {found.days} days"
    return show(options, rows, f"{options.run}: {what}, {found.members:,}{often or ' members'}")


def indices(options: argparse.Namespace) -> int:
    """Say how much of a run's loss each of its numbers decides, alone and with others, by Sobol' indices. The run needs
    sweep.design: saltelli."""
    from shockmesh.io.indices import run_indices
    from shockmesh.io.rankings import check_new
    from shockmesh.io.results import open_run, read_manifest

    if options.out:
        check_new(options.out)
    with open_run(options.run) as opened:
        found = run_indices(opened, read_manifest(options.run).get("spec", {}), options.variable)
    if options.out:
        found.to_csv(options.out, index=False)
    if options.json:
        return tell(options, {"indices": found.to_dict("records")}, "")
    rows = {
        row["path"]: ", ".join(
            f"{words} {row[kind]:.3f} ({row[f'{kind}_low']:.3f} to {row[f'{kind}_high']:.3f})"
            for kind, words in (("first_order", "alone"), ("total", "with others"))
        )
        for row in found.sort_values("total", ascending=False).to_dict("records")
    }
    return show(options, rows, f"{options.run}: share of the loss's variance, and where 90 % of resamples lie")


def finance(options: argparse.Namespace) -> int:
    """Say which firms run out of cash in a run that recorded value_added by firm, and what banks lose by it. Where its
    members are failures of one firm each, they have that firm's FSRI."""
    from shockmesh.io.finance import by_firm, finance_of, read_books
    from shockmesh.io.rankings import check_new
    from shockmesh.io.results import open_run

    if options.out:
        check_new(options.out)
    with open_run(options.run) as opened:
        by_firm(opened)
        books = read_books(opened["firm"].values, options.firms, options.loans, options.banks)
        found = finance_of(opened, books, saved=options.saved, recovered=options.recovered)
    if options.out:
        found.members.to_csv(options.out, index=False)
    risk = {name: of for name, of in found.risk.items() if name != "curve"}
    exiting = found.exiting()
    if options.json:
        told = {"unit": found.unit, "left_out": found.left_out, "mean": vars(risk["mean"])}
        told |= {kind: {f"{level:g}": vars(of) for level, of in risk[kind].items()} for kind in ("var", "es")}
        return tell(options, told | {"banks": found.banks.to_dict("records"), "firms": exiting}, "")
    often = " a year" if risk["frequency"] is not None else ""
    rows = {
        f"expected loss of banks{often}": _told(risk["mean"], found.unit),
        **{f"VaR, {100 * level:g} %": _told(of, found.unit) for level, of in risk["var"].items()},
        **{f"ES, {100 * level:g} %": _told(of, found.unit) for level, of in risk["es"].items()},
        "firms that exit": f"{found.members['exits'].mean():.4g} a member; {len(exiting):,} in some",
        **{f"exits, {row['firm']}": f"in {100 * row['exits']:.3g} % of members" for row in exiting[:5]},
        **({"left out": f"{found.left_out} members that failed"} if found.left_out else {}),
        **({"members": options.out} if options.out else {}),
    }
    return show(options, rows, f"{options.run}: {len(found.banks):,} banks, {len(found.members):,} members")


def allocate(options: argparse.Namespace) -> int:
    """Spend the budget of a spec on stock, spare capacity or second suppliers, for the least loss over the members of
    its sweep, and hold the result against equal and proportional shares on members that did not decide."""
    from pathlib import Path

    from shockmesh.cluster.verbs.allocate import allocate_budget
    from shockmesh.io.reports.headline import money_text

    out = options.out or str(Path(options.spec).with_suffix(".allocation.csv"))
    found = allocate_budget(options.spec, out, overrides=overrides_of(options))
    if options.json:
        return tell(options, found.as_dict() | {"firms": out}, "")
    rows = {
        f"loss, {words}": f"{money_text(found.decided[name], found.unit)}; held out {money_text(of, found.unit)}"
        for (name, of), words in zip(
            found.held_out.items(), ("no budget", "equal", "proportional", "found"), strict=True
        )
    }
    for name, (mean, error) in found.saved.items():
        told = f"{money_text(mean, found.unit)}, give or take {money_text(error, found.unit)}"
        rows[f"saved, held out, beyond {name}"] = told
    rows |= {"worth of another unit": f"{found.worth:.3g}", "firms": out}
    title = f"{options.spec}: {money_text(found.budget, found.unit)} for {found.options:,} options"
    return show(options, rows, f"{title}, by {found.members:,} members")


def _told(of: "Estimate", unit: str) -> str:
    from shockmesh.io.reports.headline import money_text

    low, high = (money_text(end, unit) for end in (of.low, of.high))
    return f"{money_text(of.value, unit)} ({low} to {high})"


def _share(text: str) -> float:
    """A share."""
    share, *others = _numbers(text, lambda share: 0 <= share <= 1, "from 0 to 1")
    if others:
        raise argparse.ArgumentTypeError(f"{text}: must be one number from 0 to 1")
    return share


def _levels(text: str) -> list[float]:
    """Levels of VaR and ES."""
    return _numbers(text, lambda level: 0 < level < 1, "between 0 and 1")


def _years(text: str) -> list[float]:
    """Return periods."""
    return _numbers(text, lambda years: years > 0, "above 0")


def _numbers(text: str, holds: Any, rule: str) -> list[float]:
    try:
        numbers = [float(one) for one in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(map(holds, numbers)):
        raise argparse.ArgumentTypeError(f"{text}: must be numbers {rule}, split by commas")
    return numbers


def add_verbs(verbs: Any) -> None:
    told = add_verb(verbs, "risk", risk, "expected losses, return periods, VaR and ES of a run", "run")
    told.add_argument("--variable", help=OF)
    told.add_argument("--level", type=_levels, default="0.95,0.99", help="of VaR and ES; default: 0.95,0.99")
    told.add_argument("--years", type=_years, default="10,50,100,250", help="return periods; default: 10,50,100,250")
    told.add_argument("-o", "--out", help="a CSV of the exceedance curve; default: none")
    shares = add_verb(verbs, "indices", indices, "Sobol' indices: which numbers decide a run's loss", "run")
    shares.add_argument("--variable", help=OF)
    shares.add_argument("-o", "--out", help="a CSV; default: none")
    spent = add_verb(verbs, "allocate", allocate, "where to spend a spec's budget for the least loss", "spec")
    spent.add_argument("-o", "--out", help="a CSV of what each firm gets; default: SPEC with .allocation.csv")
    add_overrides(spent)
    money = add_verb(verbs, "finance", finance, "firms that run out of cash in a run, and what banks lose", "run")
    money.add_argument("--firms", required=True, help="a CSV of firm, cash and perhaps credit")
    money.add_argument("--loans", required=True, help="a CSV of firm, bank, loan")
    money.add_argument("--banks", help="a CSV of bank, equity; default: none")
    money.add_argument("--saved", type=_share, default=0.0, help="share of lost value added that costs a firm nothing")
    money.add_argument("--recovered", type=_share, default=0.0, help="share of a loan that a bank gets back")
    money.add_argument("-o", "--out", help="a CSV of exits, loss and FSRI by member; default: none")
