"""What a report says and in which order: from an open run and its manifest to the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from plotly.offline import get_plotlyjs
from shockmesh.io.reports import figures, price_panels
from shockmesh.io.reports.headline import between, day_text, headline_of, hit_most, money_text, percent
from shockmesh.io.reports.losses import Losses, days_of, drawn, drivers, measure, notable, recorded, spread
from shockmesh.io.reports.page import Block, Card, Folded, Notice, Pair, Section, Table, page
from shockmesh.io.reports.prices import Rises, rises_of
from shockmesh.io.reports.remarks import notes_of

TABLE_ROWS = 200
NAMED = 3  # shocks in the title
FACTS = {"created": "Created", "seed": "Seed", "git_commit": "Commit", "fingerprint": "Fingerprint of the run"}

type Manifest = Mapping[str, Any]
type Read = Mapping[str, Losses]


def render(ds: xr.Dataset, manifest: Manifest, name: str, sure: str = "") -> str:
    """The page of an open run, as HTML; `sure` says in a sentence how much of it is the model's.

    Raises:
        ReportError: no member is there, or none is sound.
    """
    spec = dict(manifest.get("spec", {}))
    read, rises = {variable: measure(ds, variable) for variable in recorded(ds)}, rises_of(ds)
    main = next(iter(read.values()), None)
    whole = main or rises
    assert whole is not None
    marks = events(spec)
    notices = [*_notices(whole, ds, manifest), *([Notice(sure)] if sure else [])]
    sections = [] if main is None else list(_of_losses(read, main, marks, ds))
    if rises is not None:
        sections.insert(2, Section("prices", "Prices", list(price_panels.blocks(rises, read, marks))))
    sections.append(Section("made", "How it was made", made(spec, manifest)))
    first, *others = [section for section in sections if section.blocks]
    shown = [replace(first, blocks=[*notices, *first.blocks]), *others]
    cards = [*(_cards(main, spec) if main else []), *(price_panels.cards(rises) if rises else [])]
    return page(_title(spec, name), _subtitle(whole, manifest, name), cards, shown, get_plotlyjs())


def _of_losses(read: Read, main: Losses, marks: Mapping[str, float], ds: xr.Dataset) -> Iterator[Section]:
    yield Section("time", "Over time", list(_over_time(main, marks)))
    yield Section("where", "Who loses", list(_who_loses(read)))
    yield Section("members", "Members", list(_members(main, drawn(ds, main.member))))
    yield Section("drivers", "Drivers", list(_drivers(main, ds)))


def _title(spec: Mapping[str, Any], name: str) -> str:
    shocks = [str(shock["name"]) for shock in spec.get("shocks", [])]
    more = f" and {len(shocks) - NAMED} more" if len(shocks) > NAMED else ""
    return f"Shock report: {', '.join(shocks[:NAMED]) or name}{more}"


def _subtitle(losses: Losses | Rises, manifest: Manifest, name: str) -> str:
    spec, plan = manifest.get("spec", {}), manifest.get("plan", {})
    members = len(losses.member)
    days = days_of(losses.time)
    when = f", {days[0]} to {days[-1]}" if isinstance(days[0], str) else ""
    parts = [f"run “{name}”", f"{members} member{'s' if members > 1 else ''}", f"{len(days)} days{when}"]
    if spec.get("economy"):
        parts.append(f"economy {Path(str(spec['economy'])).name}")
    parts += [f"{plan[what]:,} {what}" for what in ("firms", "links") if what in plan]
    if spec.get("model"):
        parts.append(f"model {spec['model'].get('preset', 'as in the spec')}")
    return " · ".join(parts)


def _cards(losses: Losses, spec: dict[str, Any]) -> list[Card]:
    numbers = headline_of(losses, None, spec)
    cards = [_loss_card(losses, numbers), *_money_cards(losses, numbers)]
    cards += [card for dim in ("region", "sector", "firm") for card in _hit_cards(losses, dim)]
    deepest, recovery = numbers["deepest"], numbers["days_to_recover"]
    cards.append(Card("Deepest day", percent(deepest["loss"]["median"]), f"below baseline, on {day_text(deepest)}"))
    cards.append(_recovery_card(recovery, numbers["members"], numbers["days"]))
    if numbers["outside"]:
        away = numbers["outside"]
        note = f"of the net loss; 90 % of members: {between(away)}"
        cards.append(Card("Lost where no shock acts", percent(away["median"]), note))
    return cards


def _loss_card(losses: Losses, numbers: Mapping[str, Any]) -> Card:
    loss = numbers["loss"]
    note = f"90 % of members: {between(loss)}" if numbers["members"] > 1 else "of baseline over the horizon"
    return Card(f"Total {losses.label.lower()} lost", percent(loss["median"]), note)


def _money_cards(losses: Losses, numbers: Mapping[str, Any]) -> Iterator[Card]:
    money = numbers["money"]
    if money:
        low, high = (money_text(money[end], money["unit"]) for end in ("low", "high"))
        note = f"90 % of members: {low} to {high}" if numbers["members"] > 1 else f"over {numbers['days']} days"
        yield Card(f"{losses.label} lost, in money", money_text(money["median"], money["unit"]), note)


def _hit_cards(losses: Losses, dim: str) -> Iterator[Card]:
    said = [f"{row['label']} {percent(row['loss']['median'])}" for row in hit_most(losses, dim, 3)]
    if len(said) > 1:
        yield Card(f"{dim.capitalize()} hit most", said[0], "then " + ", ".join(said[1:]))


def _recovery_card(recovery: Mapping[str, Any], members: int, horizon: int) -> Card:
    days = recovery["median"]
    value = f"over {horizon}" if days is None else f"{days:.0f}"
    note = "until nine tenths of the deepest loss are regained"
    if members > 1:
        note += f"; {recovery['recovered']} of {members} members get there"
    return Card("Days to recover", value, note)


def _notices(losses: Losses | Rises, ds: xr.Dataset, manifest: Manifest) -> Iterator[Block]:
    yield from map(Notice, notes_of(manifest))
    missing = missing_members(ds, manifest)
    if missing:
        count = f"{len(missing)} of {len(missing) + ds.sizes['member']} members"
        yield Notice(f"{count} are not in this report, as they are not finished: {ranges(missing)}.")
    if losses.broken:
        yield Notice(f"Left out, as they failed or hold values that are not finite: members {ranges(losses.broken)}.")


def _over_time(losses: Losses, marks: Mapping[str, float]) -> Iterator[Block]:
    yield figures.over_time(losses, marks)
    if losses.by_region is not None and losses.by_region.sizes["region"] > 1:
        yield figures.spreading(losses)


def _who_loses(read: Read) -> Iterator[Block]:
    yield _measures(read)
    yield from filter(None, (figures.world(losses) for losses in _with(read, "region")))
    panels = [figures.ranking(losses, dim) for dim in ("region", "sector", "firm") for losses in _with(read, dim)]
    if len(panels) > 1:
        yield Pair(*panels[:2])
    yield from panels[2:] if len(panels) > 1 else panels
    yield from (figures.industries(losses) for losses in _with(read, "region", "sector"))
    yield from map(_firms, _with(read, "firm"))


def _firms(losses: Losses) -> Folded:
    """The firms that lose most, with their places, what they lose of their own and in money."""
    rows = hit_most(losses, "firm", TABLE_ROWS, "money")
    coords = losses.baseline.coords
    places = [name for name in ("firm_region", "firm_sector") if name in coords]
    at = {name: dict(zip(coords["firm"].values.tolist(), coords[name].values.tolist(), strict=True)) for name in places}
    money = ["median amount"] if rows and rows[0]["money"] else []
    header = ["firm", *(name.removeprefix("firm_") for name in places), "median loss", "90 % of members", *money]
    table = [
        [
            row["firm"], *(str(at[name][row["firm"]]) for name in places), percent(row["loss"]["median"]),
            between(row["loss"]), *([money_text(row["money"]["median"], row["money"]["unit"])] if money else []),
        ]
        for row in rows
    ]  # fmt: skip
    title = "All firms" if len(coords["firm"]) <= TABLE_ROWS else f"The {TABLE_ROWS} firms that lose most"
    return Folded(title, Table(f"{losses.label} lost by firm, the largest amounts first", header, table))


def _with(read: Read, *dims: str) -> list[Losses]:
    """The most telling variable that was recorded by all these dims, if any."""
    return [losses for losses in read.values() if {*dims} <= {*losses.dims}][:1]


def _measures(read: Read) -> Table:
    one = all(len(losses.member) == 1 for losses in read.values())
    header = ["total", "loss", "amount"] if one else ["total", "median", "90 % of members", "worst", "median amount"]
    rows: dict[str, list[str]] = {}
    for losses in read.values():  # of several recordings of one variable the total is the same
        rows.setdefault(losses.label, _measure(losses, one))
    return Table("Loss over the horizon, % of baseline", header, [*rows.values()])


def _measure(losses: Losses, one: bool) -> list[str]:
    share, money = spread(losses.share().values), losses.money()
    amount = "–" if money is None else money_text(float(np.median(money.values)), losses.currency)
    ends = [] if one else [between(share), percent(share["worst"])]
    return [losses.label, percent(share["median"]), *ends, amount]


def _members(losses: Losses, parameters: Mapping[str, np.ndarray]) -> Iterator[Block]:
    if len(losses.member) == 1:
        return
    share = losses.share().values
    header = ["member", "loss", *parameters]
    rows = [_member(losses, share, parameters, int(at)) for at in np.argsort(-share, kind="stable")]
    named = [[word, *_member(losses, share, parameters, at)] for word, at in notable(losses).items()]
    title = "All members" if len(rows) <= TABLE_ROWS else f"The {TABLE_ROWS} worst members"
    yield figures.member_curves(losses)
    yield Table("What the named members drew", ["", *header], named)
    yield Folded(title, Table("The worst first", header, rows[:TABLE_ROWS]))


def _member(losses: Losses, share: np.ndarray, parameters: Mapping[str, np.ndarray], at: int) -> list[str]:
    return [str(losses.member[at]), percent(float(share[at])), *(_value(values[at]) for values in parameters.values())]


def _value(value: Any) -> str:
    return f"{float(value):.4g}" if np.issubdtype(np.asarray(value).dtype, np.number) else str(value)


def _drivers(losses: Losses, ds: xr.Dataset) -> Iterator[Block]:
    found = drivers(ds, losses)
    if found:
        bars = figures.driver_bars(found, len(losses.member))
        yield Pair(bars, figures.driver_points(found, drawn(ds, losses.member), losses))


def made(spec: Mapping[str, Any], manifest: Manifest) -> list[Block]:
    """Where the numbers come from: the spec and the provenance."""
    text = yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True)
    return [Folded("Spec, as resolved", text), Table("Provenance", ["", "value"], list(_facts(manifest)), "words")]


def _facts(manifest: Manifest) -> Iterator[list[str]]:
    for key, label in FACTS.items():
        if manifest.get(key) is not None:
            yield [label, str(manifest[key])]
    yield from ([f"version of {name}", str(version)] for name, version in dict(manifest.get("versions", {})).items())
    for name, item in dict(manifest.get("inputs", {})).items():
        yield [f"SHA-256 of {name}", f"{item['sha256']} ({Path(str(item['path'])).name})"]


def events(spec: Mapping[str, Any]) -> dict[str, float]:
    """Days on which shocks start and start to recover, where all members have the same: name → day."""
    sweep = spec.get("sweep") or {}
    swept = {*(sweep.get("vary") or {}), *(sweep.get("grid") or {}), *(p for e in sweep.get("list") or () for p in e)}
    found: dict[str, float] = {}
    for shock in spec.get("shocks", []):
        for key, what in (("onset", "starts"), ("recovery_start", "starts to recover")):
            day = shock.get(key)
            if isinstance(day, int | float) and f"shocks.{shock['name']}.{key}" not in swept:
                found[f"{shock['name']} {what}"] = day
    return found


def missing_members(ds: xr.Dataset, manifest: Manifest) -> list[int]:
    """Members that were planned and are not in the dataset."""
    planned = int(dict(manifest.get("plan", {})).get("members", ds.sizes["member"]))
    return sorted(set(range(planned)) - set(ds["member"].values.tolist()))


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as ranges: 1, 2, 3, 7 → 1–3, 7."""
    starts = [i for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1] + 1]
    runs = [numbers[a:b] for a, b in zip(starts, [*starts[1:], len(numbers)], strict=True)]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
