"""What a reader of a run's numbers has to know of its spec, as sentences: for a plan and for a report."""

from collections.abc import Iterator, Mapping
from typing import Any


def remarks(spec: Mapping[str, Any]) -> Iterator[str]:
    """The remarks on a resolved spec.

    >>> list(remarks({"shocks": [{"name": "duty", "kind": "tariff"}]}))
    ['duty: a tariff is on trade between firms only; goods for final demand are free of it']
    """
    for shock in spec.get("shocks", []):
        if shock.get("kind") == "tariff":
            yield f"{shock['name']}: a tariff is on trade between firms only; goods for final demand are free of it"


def notes_of(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The sentences that go with a run's numbers: those of its manifest, or what its spec alone says."""
    yield from manifest.get("notes", remarks(manifest.get("spec", {})))
