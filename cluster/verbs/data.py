"""Verbs that make stores and look into them: import, generate, describe, example."""

import argparse
from typing import Any

from shockmesh.cluster.verbs.options import add_verb
from shockmesh.cluster.verbs.printing import show, tell
from shockmesh.io.sources import KINDS, Said


def import_(options: argparse.Namespace) -> int:
    """Turn a published table, or a user's own links, into a store."""
    from shockmesh.cluster.verbs.describe import size_of, told

    said, findings = Said(options.money, options.year, options.origin, options.licence), list[str]()
    if options.kind == "links":
        from shockmesh.io.networks.import_links import MONEY, import_links

        import_links(options.source, options.store, options.firms, said, unit_per=options.per)
        findings = [f"note: amounts are taken as {said.money or MONEY} per {options.per} (--money, --per)"]
    elif options.kind == "inoue-todo":
        from shockmesh.io.networks.import_inoue_todo import import_inoue_todo

        import_inoue_todo(options.source, options.store, said)
    else:
        from shockmesh.io.tables.importing import import_table

        findings = [told(finding) for finding in import_table(options.kind, options.source, options.store, said)]
    size = size_of(options.store)
    found = {"store": options.store, **size, "findings": findings}
    counts = ", ".join(f"{name} {value:,}" for name, value in size.items() if name != "unit")
    return tell(options, found, "\n".join([f"wrote {options.store}: {counts}, in {size['unit']}", *findings]))


def generate(options: argparse.Namespace) -> int:
    """Draw a firm network consistent with a table."""
    from shockmesh.cluster.verbs.describe import differences
    from shockmesh.io.networks.generate import generate_network
    from shockmesh.io.networks.store import write_network
    from shockmesh.io.stores.damage import reading
    from shockmesh.io.tables.store import one_year, open_table

    with reading(options.table), open_table(options.table, year=options.year) as table:
        network = generate_network(one_year(table), options.firms, options.seed, options.mean_degree)
    write_network(network, options.store)
    counts, errors = {"firms": network.n_firms, "links": network.n_links}, network.attrs["aggregate_error"]
    if options.json:
        return tell(options, {**counts, "aggregate_error": errors}, "")
    return show(options, counts | differences(errors), f"wrote {options.store}")


def describe(options: argparse.Namespace) -> int:
    """Say what is in a store, and what its checks find."""
    from shockmesh.cluster.verbs.describe import describe_store

    described = describe_store(options.store)
    found = {"kind": described.kind, **(described.numbers or described.facts), "findings": list(described.findings)}
    if options.json:
        return tell(options, found, "")
    show(options, described.facts, f"{options.store}: a {described.kind}")
    return tell(options, found, "\n".join(described.findings) or "every check passes")


def example(options: argparse.Namespace) -> int:
    """List the packaged examples, or copy one out."""
    from shockmesh.io.examples import copy_example, list_examples

    if options.name is None:
        return show(options, list_examples(), "Examples; `shockmesh example NAME DIR` copies one out")
    files = copy_example(options.name, options.directory or options.name)
    return tell(options, {"files": [str(file) for file in files]}, "\n".join(f"wrote {file}" for file in files))


def add_verbs(verbs: Any) -> None:
    _import_parser(verbs)
    _generate_parser(verbs)
    add_verb(verbs, "describe", describe, "what is in a table, a network or a run", "store")
    named = add_verb(verbs, "example", example, "list the packaged examples, or copy one out")
    named.add_argument("name", nargs="?")
    named.add_argument("directory", nargs="?")


def _import_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "import", import_, "turn a published table, or your own links, into a store")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["kinds, and what is handed in:", *(f"  {kind:<11} {of}" for kind, of in KINDS.items())])
    parser.add_argument("kind", choices=KINDS, metavar="kind", help="see below")
    parser.add_argument("source", help="file or folder; `example` for the packaged table")
    parser.add_argument("store", help="the Zarr store to write")
    parser.add_argument("--money", help="what amounts are counted in, where no file says it: 'million USD'")
    parser.add_argument("--year", type=int, help="of a table whose name does not say it, or one of several")
    parser.add_argument("--origin", help="who published the source, to be cited")
    parser.add_argument("--licence", help="of the source, where it is your own or its kind's is not known")
    parser.add_argument("--firms", help="links: CSV or Parquet of firms (firm, region, sector, final_demand)")
    parser.add_argument("--per", choices=("year", "day"), default="year", help="links: amounts are per year or per day")


def _generate_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "generate", generate, "draw a firm network consistent with a table", "table", "store")
    parser.add_argument("--firms", type=int, required=True, help="how many firms")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--year", type=int, help="of a table with several years")
    parser.add_argument("--mean-degree", type=float, default=10.0, help="links per firm")
