"""How much of a run's answer is the model's, in short, for its report: from what `shockmesh robustness` left there."""

import json
from collections.abc import Mapping
from typing import Any

from shockmesh.io.reports.headline import between, percent
from shockmesh.io.stores.places import Place

ANSWER = "robustness.json"
UNKNOWN = (
    "How sure? These numbers are of one model and one network. `shockmesh robustness SPEC` runs the same shocks under "
    "other presets, inputs, stocks and networks, and says how far they spread."
)
NAMES = {
    "preset": "the preset",
    "production": "which inputs stop a firm",
    "inventory_days": "days of stock",
    "network": "the network drawn",
    "draw": "what the sweep draws",
    "together": "several of these only together",
}


def short_form(run: Place) -> str:
    """The sentence for the report of a run."""
    file = run / ANSWER
    return told(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else UNKNOWN


def told(found: Mapping[str, Any]) -> str:
    """The short form of an answer of `shockmesh robustness`."""
    first = [f"{NAMES[name]} ({share_text(of)})" for name, of in list(found["drivers"].items())[:2] if of["share"]]
    spread, written = found["loss"], found["as_written"]["median"]
    most = f" Of the variance, most comes from {' and '.join(first)}." if first else " None of these matters to it."
    return (
        f"How sure? Under {found['models']} models ({counts(found)}) the loss is {between(spread)} in 90 % of "
        f"{found['members']} simulations, {percent(spread['median'])} at the median; as written it is "
        f"{percent(written)}, more than in {percent(found['above'])} of them.{most}"
    )


def counts(found: Mapping[str, Any]) -> str:
    """How many levels each factor has."""
    words = {
        "preset": "presets",
        "production": "rules for inputs",
        "inventory_days": "levels of stock",
        "network": "networks",
    }
    return ", ".join(f"{n} {word}" for name, word in words.items() if (n := len(found["levels"][name])) > 1)


def share_text(driver: Mapping[str, float | None]) -> str:
    """A share of the variance with its sampling error, as in 34 ± 2 %."""
    error = driver["error"]
    given = "" if error is None else f" ± {100 * error:.2g}"
    return f"{100 * (driver['share'] or 0):.3g}{given} %"
