"""Bad files, stores and command lines, each with what a refusal names."""

import argparse
import gzip
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from bad_specs import Cases
from shockmesh.cluster.cli import make_parser
from shockmesh.io.sources import KINDS

FILES = {
    "factors.csv": "sector,day,factor\ns1,1,0.5\n",
    "critical.csv": "sector,s1,s2\ns1,1,0.5\ns2,0,1\n",
    "numbers.csv": "firm,value\n0,1\n",
    "series.csv": "day,one\n0,0.9\n1,0.8\n4,1\n",
    "groups.csv": "sector,series\ns1,one\n",
    "noise.csv": "day,one\n0,0.1\n1,0.1\n4,0.1\n",
    "total.csv": "day,all\n0,0.9\n",
    "events.csv": "event,firm,loss,frequency\na,0,0.5,0.1\nb,1,0.25,0.2\n",
    "links.csv": "supplier,buyer,amount\na,b,1\nb,a,1\n",
    "firms.csv": "firm,region,sector,final_demand\na,R,S,1\nb,R,S,1\n",
}


NO_CSV: dict[str, bytes | None] = {  # None: no such file
    "gone": None,
    "empty.csv": b"",
    "header.csv": b"day,one\n",
    "columns.csv": b"when,what,who\n1,2,3\n",
    "semicolons.csv": b"day;one\n0;0,9\n",
    "ragged.csv": b"day,one\n0,0.9\n1,0,8\n",
    "utf16.csv": "day,one\n0,1\n".encode("utf-16"),
    "latin1.csv": "day,Öl\n0,1\n".encode("latin-1"),
    "binary.csv": bytes(range(256)) * 8,
    "page.csv": b"<html><body>not found</body></html>\n",
    "spec.csv": b"economy: network.zarr\nhorizon:\n",
    "cut.csv.gz": gzip.compress(b"day,one\n" + b"".join(b"%d,%d\n" % (k, k * k) for k in range(300)))[:300],
    "words.csv": b"day,one\nmonday,lots\n",
}
NO_VALUES = ("lots", "nan", "inf", "-1", "1e30", "1 000", "")
OF_VALUES = {  # the key of a file, a file with a place for a value, and the call that reads it
    "factor": ("table.yaml", "shocks.gap.file", "firm,day,factor\n0,1,{}\n"),
    "factor of a firm": ("table.yaml", "shocks.gap.file", "firm,day,factor\n{},1,0.5\n"),
    "factor of a day": ("table.yaml", "shocks.gap.file", "firm,day,factor\n1,{},0.5\n"),
    "wide factor": ("table.yaml", "shocks.gap.file", "day,0,1\n0,1,1\n1,1,{}\n"),
    "loss of an event": ("events.yaml", "shocks.storms.file", "event,firm,loss\na,0,{}\n"),
    "damage of an event": ("events.yaml", "shocks.storms.file", "event,firm,damage\na,0,{}\n"),
    "frequency of an event": ("events.yaml", "shocks.storms.file", "event,firm,loss,frequency\na,0,1,{}\n"),
    "firm of an event": ("events.yaml", "shocks.storms.file", "event,firm,loss\na,{},1\n"),
    "number": ("files.yaml", "model.capacity.file", "firm,value\n0,{}\n"),
    "number of a firm": ("files.yaml", "model.capacity.file", "firm,value\n{},1.5\n"),
    "loss": ("files.yaml", "shocks.storm.loss.file", "firm,value\n0,{}\n"),
    "criticality": ("files.yaml", "model.criticality", "sector,s1,s2\ns1,1,{}\ns2,0,1\n"),
    "day": ("fit.yaml", "observe.0.file", "day,one\n0,0.9\n{},0.8\n"),
    "ratio": ("fit.yaml", "observe.0.file", "day,one,two\n0,0.9,1\n1,{},1\n"),
    "noise": ("fit.yaml", "observe.0.noise.file", "day,one\n0,0.1\n1,{}\n4,0.1\n"),
    "group": ("fit.yaml", "observe.0.groups", "sector,series\n{},one\n"),
    "total": ("fit.yaml", "observe.1.file", "day,all\n0,{}\n"),
}
READERS = {  # key of a file → the call that reads it
    **{key: ["validate", spec, "--set", f"{key}={{}}"] for spec, key, _ in OF_VALUES.values()},
    "links": ["import", "links", "{}", "out.zarr", "--firms", "firms.csv"],
    "firms": ["import", "links", "links.csv", "out.zarr", "--firms", "{}"],
    "essential": ["esri", "network.zarr", "--out", "out.csv", "--essential", "{}"],
    "spec": ["validate", "{}"],
}  # fmt: skip
NO_STORE = ("gone", "hollow", "empty.csv", "words.csv", "network.zarr/network", "network.zarr/zarr.json", "http://a/b")
TABLE, NETWORK, RUNS = "table.zarr", "network.zarr", ("sweep", "calibration")
INSIDE = ("sweep/results.zarr", "calibration/posterior.zarr", "sweep/RUN.json")
OF_STORES = {  # call → the stores that it does take
    "economy": (["validate", "table.yaml", "--set", "economy={}"], (TABLE, NETWORK)),
    "factors": (["validate", "table.yaml", "--set", "shocks.gap.file={}"], ()),
    "generate": (["generate", "{}", "out.zarr", "--firms", "20"], (TABLE,)),
    "esri": (["esri", "{}", "--out", "out.csv"], (TABLE, NETWORK)),
    "describe": (["describe", "{}"], (TABLE, NETWORK, *RUNS, *INSIDE)),
    "report": (["report", "{}", "--out", "out.html"], RUNS),
    "resume": (["resume", "{}", "--address", "local"], RUNS),
    **{verb: ([verb, "{}"], RUNS) for verb in ("status", "verify", "logs")},
    "risk": (["risk", "{}"], ("sweep",)),
}


def write_files() -> None:
    """All that calls name, good and bad, into the working directory."""
    for folder in ("values", "hollow"):
        Path(folder).mkdir()
    for name, text in FILES.items():
        Path(name).write_text(text)
    for name, content in NO_CSV.items():
        if content is not None:
            Path(name).write_bytes(content)
    for (name, (_, _, text)), value in product(OF_VALUES.items(), NO_VALUES):
        Path(value_file(name, value)).write_text(text.format(value))


def filled(words: list[str], text: str) -> list[str]:
    return [word.replace("{}", text) for word in words]


def value_file(name: str, value: str) -> str:
    return f"values/{name}, {value or 'empty'}.csv"


def bad_files() -> Cases:
    """Files that are none, or not what the key asks for."""
    for call, name in product(READERS.values(), [*NO_CSV, "hollow", "network.zarr"]):
        yield filled(call, name), [name]


def bad_values() -> Cases:
    """Files with one value that is none."""
    for (name, (spec, key, _)), value in product(OF_VALUES.items(), NO_VALUES):
        if (name, value) not in MAY_BE:
            file = value_file(name, value)
            yield ["validate", spec, "--set", f"{key}={file}"], [file]


MAY_BE = {("ratio", "")}  # nothing was seen then


def bad_stores() -> Cases:
    for call, takes in OF_STORES.values():
        for store in (*NO_STORE, TABLE, NETWORK, *RUNS, *INSIDE):
            if store not in takes:
                yield filled(call, store), [store.removeprefix("http://")]


def bad_sources() -> Cases:
    """What is no table or network of its kind."""
    for kind, source in product(KINDS, ("gone", "hollow", "empty.csv", "binary.csv", "network.zarr", "page.csv")):
        yield ["import", kind, source, "out.zarr", "--year", "2014", "--unit", "USD"], [source]


# Command lines

CALLS: dict[str, list[str]] = {  # of every verb, one that is right
    "import": ["links", "links.csv", "out.zarr", "--firms", "firms.csv"],
    "generate": ["table.zarr", "out.zarr", "--firms", "20"],
    "describe": ["network.zarr"],
    "example": ["chain", "out"],
    "validate": ["table.yaml"],
    "plan": ["table.yaml"],
    "run": ["table.yaml", "--address", "local", "--out", "out"],
    "submit": ["table.yaml", "--address", "http://127.0.0.1:1", "--out", "/nowhere/out"],
    "resume": ["sweep", "--address", "local"],
    "status": ["sweep"],
    "logs": ["sweep"],
    "verify": ["sweep"],
    "report": ["sweep", "--out", "out.html"],
    "robustness": ["table.yaml", "--out", "out"],
    "compare": ["sweep", "sweep@0"],
    "risk": ["sweep", "--out", "out.csv"],
    "indices": ["sweep", "--out", "out.csv"],
    "finance": ["sweep", "--firms", "cash.csv", "--loans", "loans.csv", "--out", "out.csv"],
    "allocate": ["allocate.yaml", "--out", "out.csv"],
    "explain": ["model.capacity"],
    "init": ["new.yaml", "--yes", "--economy", "network.zarr"],
    "export": ["sweep", "out.nc"],
    "completion": ["bash"],
    "cite": ["sweep"],
    "esri": ["network.zarr", "--out", "out.csv"],
    "sensitivity": ["table.yaml", "--out", "out.csv"],
    "prices": ["prices.yaml", "--out", "out.csv"],
    "doctor": [],
    "bench": ["kernels"],
}
NO_OVERRIDES = (
    "", "horizon", "horizon.days=0", "nonsense=1", "shocks.nobody.file=1", "=", "=1", "horizon.days", "horizon.days=",
    "horizon.days=[", "horizon.days=-5", "horizon.days=!!python/name:os.system", "horizon={days: 1, days: 2}",
    "shocks.7.file=1", "shocks.gap.file.x=1", "shocks.gap=1", "shocks=1", ".=1", "a..b=1", "economy.x=1", " =1",
    "horizon.days=\a", "horizon.days=*x", "sweep.seed=-1", "horizon.days=1e3", "horizon.days=99999999999",
)  # fmt: skip
OUT_OF_RANGE: dict[str, tuple[str, ...]] = {
    "import --columns": ("nonsense", "supplier", "supplier=who", "nobody=1"),
    "import --mend": ("nonsense", "duplicates,nonsense"),
    "import --encoding": ("nonsense", "utf-16"),
    "generate --firms": ("0", "-1", "3", "999999999999"),
    "generate --seed": ("-1",),
    "generate --year": ("1999", "-2020"),
    "generate --mean-degree": ("0", "-1", "3.9", "nan", "inf", "1e30"),
    "generate --structure": ("", "random", "Walnut"),
    "esri --tolerance": ("0", "-1", "nan", "inf"),
    "esri --batch": ("0", "-1"),
    **{
        f"{verb} --seed": ("-1", "4294967296")
        for verb in ("validate", "plan", "run", "submit", "sensitivity", "prices", "robustness", "allocate")
    },
    "submit --out": ("out", "../out", ""),
    "submit --address": ("nonsense", "ray://nowhere:1", "127.0.0.1:8265", ""),
    "status --address": ("nonsense", ""),
    "logs --address": ("nonsense",),
    "esri --out": ("network.zarr", "links.csv", "."),
    "sensitivity --out": ("links.csv", "."),
    **{f"{verb} --out": ("links.csv", ".") for verb in ("risk", "indices", "allocate")},
    "finance --saved": ("-1", "1.5", "nan", "half", "0.5,0.6"),
    "finance --recovered": ("-1", "1.5", ""),
    "finance --out": ("links.csv", "."),
    "risk --variable": ("nonesuch",),
    "risk --level": ("0", "1", "95", "0.9,", "nan", ""),
    "risk --years": ("0", "-1", "nan", "ten"),
    "prices --out": ("links.csv", "."),
    "prices --member": ("-1", "1", "99999999999"),
    "run --out": ("sweep", "links.csv", "network.zarr", ""),
    "compare --variable": ("nonesuch",),
    "compare --presets": ("nonesuch",),
    "robustness --out": ("sweep", "network.zarr"),
    "robustness --presets": ("nonesuch", "hamid2025,nonesuch"),
    "robustness --days": ("0", "5,-1", "nan", "inf"),
    "robustness --table": ("nowhere.zarr", "links.csv"),
    "robustness --networks": ("0", "-1", "101"),
    "robustness --members": ("0", "-1", "99999999999"),
    "init --days": ("0", "1.5", "soon"),
    "init --members": ("0", "many"),
    "export --variable": ("nonesuch",),
    "report --out": ("network.zarr", "links.csv/report.html"),
}
NO_CALLS = {  # and what a refusal names
    "fly": "fly", "": "VERB", "--nonsense": "VERB", "--json": "VERB", "example nonesuch": "nonesuch",
    "example chain links.csv": "links.csv", "bench nonesuch": "nonesuch",
    "import links links.csv network.zarr --firms firms.csv": "network.zarr",
    "import links links.csv links.csv/out --firms firms.csv": "links.csv",
    "import icio example table.zarr": "table.zarr", "import eora26 example out.zarr": "eora26",
    "import wiod2016 example out.zarr --year -3": "year: -3",
    "generate table.zarr network.zarr --firms 20": "network.zarr",
    "generate table.zarr links.csv/out --firms 20": "links.csv",
}  # fmt: skip


def bad_commands() -> Cases:
    (verbs,) = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for verb, parser in verbs.choices.items():
        call = [verb, *CALLS[verb]]
        if verb not in ("bench", "compare"):  # which read the rest as benchmarks, and as runs
            yield [*call, "too", "much", "said"], ["unrecognized arguments: "]
            yield [*call, "--nonsense"], ["unrecognized arguments: --nonsense"]
        for k in range(_required(parser)):
            yield call[: 1 + k], ["required: "]
        for action in parser._actions:
            for wrong in _misused(action):
                yield [*call, *wrong], [action.option_strings[-1]]
    for verb in (verb for verb, parser in verbs.choices.items() if "--set" in parser._option_string_actions):
        known = NO_OVERRIDES if verb == "validate" else NO_OVERRIDES[:5]
        yield from (([verb, *CALLS[verb], "--set", text], ["--set"]) for text in known)
    for flag, values in OUT_OF_RANGE.items():
        verb, option = flag.split()
        for value in values:
            named = value.partition("/")[0] if option in ("--out", "--address") else ""
            yield [verb, *CALLS[verb], f"{option}={value}"], [named or option[2:].replace("-", "_")]
    yield from ((call.split(), [name]) for call, name in NO_CALLS.items())


def _required(parser: argparse.ArgumentParser) -> int:
    """How many arguments a verb cannot do without."""
    return sum(action.nargs is None and not action.option_strings for action in parser._actions)


def _misused(action: argparse.Action) -> Iterator[list[str]]:
    """Ways to give an option what it is not."""
    if not action.option_strings or action.nargs == 0:
        return
    flag = action.option_strings[-1]
    yield [flag]
    if action.choices:
        yield [flag, "nonesuch"]
    if action.type in (int, float):
        yield from ([f"{flag}={text}"] for text in ("lots", "", "[1]"))
    if action.type is int:
        yield from ([f"{flag}={text}"] for text in ("1.5", "1e3", "nan", "inf"))
