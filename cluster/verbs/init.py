"""`shockmesh init SPEC`: a first spec from a few answers, asked for or given; it validates, or is not written."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

type Answers = Mapping[str, str]


class InitError(ValueError):
    """A spec that cannot be made of what was answered. The message names the answer and the rule."""


@dataclass(frozen=True)
class Question:
    """One thing that a first spec says."""

    name: str  # of its option
    asks: str
    default: str
    of: tuple[str, ...] = ()  # kinds of shocks that need it; empty: all


KINDS = {
    "recovery": "capacity is lost, and comes back",
    "damage": "capital is destroyed, and rebuilt",
    "cut": "a route is cut",
    "tariff": "imports cost more",
}
QUESTIONS = (
    Question("economy", "the store of the network or table", "world.zarr"),
    Question("kind", f"what happens: {', '.join(f'{kind} ({told})' for kind, told in KINDS.items())}", "recovery"),
    Question("region", "which regions, by code, name or group, with commas; of a route, from where", "all"),
    Question("to", "to which regions", "all", ("cut", "tariff")),
    Question("sector", "which sectors, by code, name or group, with commas", "all"),
    Question("builders", "the sectors that rebuild, with commas", "F", ("damage",)),
    Question("loss", "how much is lost, or by how much it gets dearer", "50 %"),
    Question("start", "the date of the first day, or none", "none"),
    Question("onset", "when it begins: a day, a time after the start, or a date", "10 days"),
    Question("recovery", "how long it takes to pass, or never", "60 days"),
    Question("days", "how long to simulate", "180 days"),
    Question("members", "how many simulations, in each of which the loss is drawn anew; 1: none is drawn", "1"),
)
RATED, UNRATED = "shockmesh2026", "hallegatte2014"  # presets of a first spec, by what is known of its sectors
NOTHING = ("all", "none", "never", "")


def init(path: str | Path, given: Answers, ask: Callable[[Question], str] | None) -> dict[str, Any]:
    """Write a spec of what was given, and of what `ask` answers for the rest; without it, of defaults.

    Raises:
        InitError: the file is there already, or an answer cannot be.
        SpecError, NetworkStoreError: the spec does not validate; nothing is left.
    """
    from shockmesh.cluster.planning.prepare import prepare

    file = Path(path)
    if file.exists():
        raise InitError(f"{path}: exists already; name another file")
    answers = answered(given, ask)
    spec = spec_of(answers, preset_for(answers["economy"], file.parent))
    try:
        file.write_text(text_of(spec), encoding="utf-8")
        prepare(file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return spec


def answered(given: Answers, ask: Callable[[Question], str] | None) -> dict[str, str]:
    """Every answer, of the questions that the kind of shock has."""
    answers: dict[str, str] = {}
    for question in QUESTIONS:
        kind = answers.get("kind", "")
        if question.of and kind not in question.of:
            if question.name in given:
                raise InitError(f"--{question.name}: {given[question.name]}: is not asked of a {kind}")
            continue
        said = given.get(question.name)
        answers[question.name] = (question.default if ask is None else ask(question)) if said is None else said
        if question.name == "kind" and answers["kind"] not in KINDS:
            raise InitError(f"--kind: {answers['kind']}: must be {', '.join(KINDS)}")
    return answers


def preset_for(economy: str, folder: Path) -> str:
    """The preset for a first answer: what errs least of what was tried on past shocks, where the survey rates all
    sectors that it needs ratings of; else one that needs none and does not stop the world (docs/choosing)."""
    from shockmesh.io.inputs.survey import unrated
    from shockmesh.io.networks.industries import load_economy

    try:
        sectors = load_economy(economy if "://" in economy else str(folder / economy)).sectors
    except ValueError:  # told when the spec is validated
        return RATED
    return UNRATED if unrated(sectors) else RATED


def spec_of(answers: Answers, preset: str = RATED) -> dict[str, Any]:
    """The spec that some answers make.

    >>> spec_of({"economy": "w.zarr", "kind": "recovery", "region": "ITA", "loss": "60 %", "days": "1 year"})["shocks"]
    [{'name': 'shock', 'kind': 'recovery', 'where': {'region': 'ITA'}, 'loss': '60 %'}]
    """
    kind, priced = answers["kind"], answers["kind"] == "tariff"
    horizon = {"start": answers.get("start"), "days": number(answers["days"])}
    spec: dict[str, Any] = {
        "economy": answers["economy"],
        "model": {"preset": preset, **({"prices": {}} if priced else {})},
        "horizon": {name: of for name, of in horizon.items() if of not in (None, *NOTHING)},
        "shocks": [{"name": "shock", "kind": kind, **dict(_shock(kind, answers))}],
    }
    members = number(answers.get("members", "1"))
    if members != 1:
        rate = "rate" if priced else "loss"
        spec["sweep"] = {"seed": 1, "members": members, "vary": {f"shocks.shock.{rate}": {"uniform": _around(answers)}}}
    spec["record"] = {"output": ["region", "sector"], "value_added": ["region"], "final_consumption": ["region"]}
    return spec


def _shock(kind: str, answers: Answers) -> Iterator[tuple[str, Any]]:
    where = {name: listed(answers[name]) for name in ("region", "sector") if answers.get(name, "") not in NOTHING}
    sells, buys = {"cut": ("origin", "destination"), "tariff": ("from", "to")}.get(kind, ("where", ""))
    if where:
        yield sells, where
    if buys and answers.get("to", "") not in NOTHING:
        yield buys, {"region": listed(answers["to"])}
    if kind == "damage":
        yield "builders", dict.fromkeys(answers["builders"].split(","), 1)
    yield "rate" if kind == "tariff" else "loss", number(answers["loss"])
    if answers.get("onset", "") not in NOTHING:
        yield "onset", number(answers["onset"])
    if answers.get("recovery", "") not in NOTHING:
        yield "rebuild_days" if kind == "damage" else "recovery_days", number(answers["recovery"])


def _around(answers: Answers) -> list[float]:
    """From half to once and a half of the loss, at most all."""
    from shockmesh.io.inputs.calendar import share_in  # here, for the parser needs the questions alone

    said = share_in(answers["loss"])
    said = number(answers["loss"]) if said is None else said
    if not isinstance(said, int | float):
        raise InitError(f"--loss: {answers['loss']}: must be a number, or per cent such as 30 %")
    return [round(said / 2, 6), round(min(1.0, 1.5 * said), 6)]


def listed(text: str) -> str | list[str]:
    """One name, or several with commas."""
    names = [name.strip() for name in text.split(",")]
    return names[0] if len(names) == 1 else names


def number(text: str) -> Any:
    """A number where a text is one; else the text, which the spec reads."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text.strip()


def text_of(spec: dict[str, Any]) -> str:
    """A spec as people write it."""
    import yaml

    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return f"# What each key means: shockmesh explain KEY\n{text}"


def asker(tell: Callable[[str], object] = sys.stderr.write) -> Callable[[Question], str] | None:
    """Asks at a terminal; None where nobody is there to answer."""
    if not sys.stdin.isatty():
        return None

    def ask(question: Question) -> str:
        tell(f"{question.asks} [{question.default}]: ")
        return input().strip() or question.default

    return ask
