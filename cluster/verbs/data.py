"""Verbs that make stores and look into them: import, generate, describe, example."""

import argparse
from pathlib import Path
from typing import Any

from shockmesh.cluster.verbs.options import add_verb
from shockmesh.cluster.verbs.printing import show, tell
from shockmesh.cluster.verbs.progress import Progress
from shockmesh.io.sources import KINDS, Said, SaidError, years_of


def import_(options: argparse.Namespace) -> int:
    """Turn a published table, or a user's own links, into a store."""
    from shockmesh.cluster.verbs.describe import size_of, told

    years = years_of(options.year) if options.year else ()
    said = Said(
        options.unit, years, options.origin, options.licence, options.region, options.sheet,
        options.corrections and Path(options.corrections), options.pickles,
    )  # fmt: skip
    findings = list[str]()
    if options.kind == "links":
        findings = _import_links(options, said)
    elif options.kind == "inoue-todo":
        from shockmesh.io.networks.import_inoue_todo import import_inoue_todo

        import_inoue_todo(options.source, options.store, said)
    else:
        from shockmesh.io.tables.importing import import_table, kind_of

        _refuse_kind_as_source(options)
        kind = options.kind or kind_of(options.source)
        with Progress(options) as tell_progress:
            found_by_checks = import_table(kind, options.source, options.store, said, tell_progress)
        findings = [] if options.kind else [f"note: taken as {kind}: {KINDS[kind]}"]
        findings += [told(finding) for finding in found_by_checks]
    size = size_of(options.store)
    found = {"store": options.store, **size, "findings": findings}
    counts = ", ".join(f"{name} {value:,}" for name, value in size.items() if name != "unit")
    return tell(options, found, "\n".join([f"wrote {options.store}: {counts}, in {size['unit']}", *findings]))


def _refuse_kind_as_source(options: argparse.Namespace) -> None:
    if options.kind is None and options.source in KINDS and not Path(options.source).exists():
        raise SaidError(f"import {options.source} {options.store}: what to import, or the store to write, is missing")


def _import_links(options: argparse.Namespace, said: Said) -> list[str]:
    """Import links and firms; what was taken for granted, recognised and mended."""
    from shockmesh.cluster.verbs.describe import describe_cleaning
    from shockmesh.io.inputs.rows.columns import said_columns
    from shockmesh.io.inputs.rows.lists import Written
    from shockmesh.io.networks.import_links import MONEY, import_links

    written = Written(said_columns(options.columns) if options.columns else {}, options.decimal, options.encoding)
    mend = options.mend.split(",") if options.mend else ()
    import_links(
        options.source, options.store, options.firms, said, unit_per=options.per, written=written, mend=mend,
        candidates=options.candidates,
    )  # fmt: skip
    unit = f"note: amounts are taken as {said.money or MONEY} per {options.per} (--unit, --per)"
    return [unit, *describe_cleaning(options.store)]


def generate(options: argparse.Namespace) -> int:
    """Draw a firm network consistent with a table."""
    from shockmesh.cluster.verbs.describe import differences
    from shockmesh.io.networks.generate import generate_network
    from shockmesh.io.networks.store import write_network
    from shockmesh.io.stores.damage import reading
    from shockmesh.io.tables.store import one_year, open_table

    with reading(options.table), open_table(options.table, year=options.year) as table:
        network = generate_network(
            one_year(table), options.firms, options.seed, options.mean_degree, options.candidates, options.structure
        )
    write_network(network, options.store)
    counts, errors = {"firms": network.n_firms, "links": network.n_links}, network.attrs["aggregate_error"]
    counts |= {"candidates": len(network.candidates)} if options.candidates else {}
    if options.json:
        return tell(options, {**counts, "aggregate_error": errors}, "")
    return show(options, counts | differences(errors), f"wrote {options.store}")


def describe(options: argparse.Namespace) -> int:
    """Say what is in a store, and what its checks find."""
    from shockmesh.cluster.verbs.describe import codes_of, describe_store

    if options.codes:
        return _show_codes(options, codes_of(options.store))
    described = describe_store(options.store)
    found = {"kind": described.kind, **(described.numbers or described.facts), "findings": list(described.findings)}
    if options.json:
        return tell(options, found, "")
    show(options, described.facts, f"{options.store}: a {described.kind}")
    return tell(options, found, "\n".join(described.findings) or "every check passes")


def _show_codes(options: argparse.Namespace, codes: dict[str, Any]) -> int:
    if options.json:
        return tell(options, codes, "")
    for kind, of in codes.items():
        rows = {code: ", ".join([named["name"], *named["groups"]]) for code, named in of.items()}
        show(options, rows, f"{options.store}: {kind}s; a spec takes a code, a name, or a group (behind the name)")
    return 0


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
    described = add_verb(verbs, "describe", describe, "what is in a table, a network or a run", "store")
    described.add_argument("--codes", action="store_true", help="its regions and sectors: codes, names, groups")
    named = add_verb(verbs, "example", example, "list the packaged examples, or copy one out")
    named.add_argument("name", nargs="?", help="which; default: list them")
    named.add_argument("directory", nargs="?", help="where to; default: a folder of its name")


def _import_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "import", import_, "turn a published table, or your own links, into a store")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["kinds, and what is handed in:", *(f"  {kind:<11} {of}" for kind, of in KINDS.items())])
    parser.add_argument(
        "kind", nargs="?", choices=[*KINDS], metavar="kind", help="see below; left out: found by its looks"
    )
    parser.add_argument("source", help="file, folder or archive; `example` for the packaged table")
    parser.add_argument("store", help="the Zarr store to write")
    parser.add_argument("--unit", help="what amounts are counted in, where no file says it: 'million USD'")
    parser.add_argument("--year", help="of a table whose name does not say it, or of several some: 2014, or 2010-2014")
    parser.add_argument("--region", help="table: whose table it is, such as DEU")
    parser.add_argument("--sheet", help="table: the sheet of a workbook")
    parser.add_argument("--corrections", help="table: a YAML file that says what is what in the sheet")
    parser.add_argument(
        "--pickles", action="store_true", help="open pickles too: they can run whatever code is in them"
    )
    parser.add_argument("--origin", help="who published the source, to be cited")
    parser.add_argument("--licence", help="of the source, where it is your own or its kind's is not known")
    _links_options(parser)


def _links_options(parser: argparse.ArgumentParser) -> None:
    links = parser.add_argument_group("links", "what is not said is recognised, and told")
    links.add_argument("--firms", help="the file of firms: firm, sector[, region], final_demand or output")
    links.add_argument("--per", choices=("year", "day"), default="year", help="amounts are per year or per day")
    links.add_argument("--columns", help="supplier=Lieferant,amount=Betrag (EUR),output=umsatz; or by position")
    links.add_argument("--decimal", choices=(".", ","), help="the decimal mark")
    links.add_argument("--encoding", help="of text files: utf-8, cp1250 …")
    links.add_argument("--mend", help="what may be changed: duplicates,self-links,unknown,amounts,output; or all")
    links.add_argument(
        "--candidates", help="who else could supply: a file (supplier, buyer[, product]), or how many to draw a pool"
    )


def _generate_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "generate", generate, "draw a firm network consistent with a table", "table", "store")
    parser.add_argument("--firms", type=int, required=True, help="how many firms")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--year", type=int, help="of a table with several years")
    parser.add_argument("--mean-degree", type=float, default=10.0, help="links per firm")
    more = "suppliers more that each buyer could turn to for each product (model: {suppliers: …})"
    parser.add_argument("--candidates", type=int, default=0, help=more)
    structures = "which firms deal with which: proportional (default), or walnut, like national registers of links"
    parser.add_argument("--structure", default="proportional", help=structures)
