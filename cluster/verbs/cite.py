"""`shockmesh cite RUN`: BibTeX of what a run used: its data, the paper of its preset, the methods it called on."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from shockmesh.cluster.running.provenance import manifest_of
from shockmesh.cluster.spec.fields import SURVEYS
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.kernels.model import PRESETS

PRESET = {  # → the papers of which it is the model
    "hamid2025": ("hamid2025",),
    "literal": ("hamid2025",),
    "henriet2012": ("henriet2012",),
    "hallegatte2014": ("hallegatte2014", "juhel2024"),
    "pichler2022": ("pichler2022",),
    "inoue_todo2019": ("inoue2019", "inoue2019nationwide"),
    "shockmesh2026": ("hamid2025", "pichler2022"),
}
SWITCH = {  # a mechanism that replaces the preset's → where it is from
    ("production", "linear"): ("pichler2022",),
    ("production", "ces"): ("arrow1961",),
    ("production", "threshold"): ("henriet2012", "hallegatte2014"),
    **{("production", f"{which}_critical"): ("pichler2022",) for which in ("strongly", "half", "weakly")},
    ("capacity_rule", "literal"): ("hamid2025",),
    ("capacity_rule", "overproduction"): ("hallegatte2008", "hallegatte2014"),
    ("capacity_rule", "hiring"): ("pichler2022",),
    ("rationing", "final_demand_last"): ("inoue2019",),
    ("rationing", "water_filling"): ("inoue2019",),
    ("consumption", "labour_income"): ("pichler2022",),
    ("order_split", "baseline"): ("hallegatte2014", "juhel2024"),
    ("order_split", "capacity"): ("hallegatte2014", "juhel2024"),
    ("prices", "cost"): ("armington1969", "arrow1961", "miller2009"),
    ("suppliers", "satisfaction"): ("luce1959", "nerlove1958"),
}
DEFAULT = {  # a number that the spec leaves to us → where it is from
    "elasticity": "atalay2017",
    "pass_through": "vermeulen2012",
    "elasticity_within": "boehm2023",
    "elasticity_between": "atalay2017",
    "elasticity_final": "baqaee2019",
}
SHOCK = {"damage": ("hallegatte2008", "hallegatte2014"), "household_damage": ("hallegatte2014", "juhel2024")}
METHOD = {"svi": ("roeder2017", "bissiri2016"), "rml": ("kitanidis1995", "oliver1996", "bissiri2016")}


def cite(run: str | Path) -> dict[str, str]:
    """Name → BibTeX entry of all that a run used, the program and the data first.

    Raises:
        ResultsError, ManifestError, SpecError: no run there, or one whose RUN.json is not as it was written.
    """
    said = manifest_of(run)
    named = dict.fromkeys(papers_of(parse_spec(said["spec"], f"{run}: spec")))
    return {"shockmesh": _program(said), "economy": _data(said), **{name: references()[name] for name in named}}


@cache
def references() -> dict[str, str]:
    """Name → entry of the papers that this program is built on."""
    text = Path(__file__).with_name("references.bib").read_text("utf-8")
    return {found[1]: found[0].strip() for found in re.finditer(r"(?ms)^@\w+\{(\w+),.*?^\}", text)}


def papers_of(spec: Spec) -> Iterator[str]:
    """The names of the papers, some of them several times."""
    model = spec.model
    yield from PRESET[model.preset]
    theirs = PRESETS[model.preset].switches
    for (switch, value), papers in SWITCH.items():
        if getattr(model.switches, switch) == value != getattr(theirs, switch):
            yield from papers
    yield from (paper for name, paper in DEFAULT.items() if name in model.numbers and model.given(name) is None)
    if model.criticality in SURVEYS:
        yield "pichler2022"
    for shock in spec.shocks:
        yield from SHOCK.get(shock.kind, ())
        if getattr(shock, "detour_days", None) is not None:
            yield "sterman2000"
    if spec.infer is not None:
        yield from METHOD[spec.infer.method]


def _program(said: dict[str, Any]) -> str:
    commit = {"note": f"commit {said['git_commit']}"} if said.get("git_commit") else {}
    told = {"title": "shockmesh", "author": "{The shockmesh developers}", "version": said["versions"]["shockmesh"]}
    return _entry("shockmesh", told | commit)


def _data(said: dict[str, Any]) -> str:
    """The economy, as its store says where it is from."""
    of: dict[str, Any] = said.get("data", {})
    if not of:
        path = said["spec"]["economy"]
        return f"% its economy, {path}, does not say where it is from; shockmesh describe may"
    note = "; ".join(str(of[name]) for name in ("references", "license") if of.get(name))
    told = {"title": of.get("title"), "howpublished": of.get("source"), "year": of.get("year"), "note": note}
    return _entry("economy", {name: text for name, text in told.items() if text})


def _entry(name: str, fields: dict[str, Any]) -> str:
    return "\n".join([f"@misc{{{name},", *(f"  {field} = {{{text}}}," for field, text in fields.items()), "}"])
