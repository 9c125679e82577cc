"""Header array files of GEMPACK as its programs write them, and small GTAP data bases in them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

type Sets = Sequence[tuple[str, Sequence[str]]]
PER_PIECE = 7  # entries, so that small arrays have several pieces


def record(*parts: Any) -> bytes:
    data = b"".join(part if isinstance(part, bytes) else struct.pack("<i", part) for part in parts)
    return struct.pack("<i", len(data)) + data + struct.pack("<i", len(data))


def letters(text: str, width: int) -> bytes:
    return text.encode("latin-1").ljust(width)


def labels(names: Sequence[str], width: int = 12) -> bytes:
    pieces = [names[at : at + PER_PIECE] for at in range(0, len(names), PER_PIECE)]
    counted = zip(range(len(pieces), 0, -1), pieces, strict=True)
    return b"".join(
        record(b"    ", left, len(names), len(piece), *(letters(name, width) for name in piece))
        for left, piece in counted
    )


def text(name: str, lines: Sequence[str]) -> bytes:
    width = max(map(len, lines))
    return (
        record(letters(name, 4))
        + record(b"    1CFULL", letters("a text", 70), 2, len(lines), width)
        + labels(lines, width)
    )


def real(name: str, values: np.ndarray, sets: Sets, *, sparse: bool = False) -> bytes:
    shape = [*values.shape, *[1] * (7 - values.ndim)]
    flat = values.ravel(order="F").astype("<f4")
    head = record(letters(name, 4)) + record(
        b"    RE", b"SPSE" if sparse else b"FULL", letters("numbers", 70), 7, *shape
    )
    distinct = dict(sets)
    head += record(b"    ", len(distinct), 1, len(sets), letters(name, 12), 1, *(letters(of, 12) for of, _ in sets),
                   b"k" * len(sets), *[0] * (len(sets) + 1))  # fmt: skip
    head += b"".join(map(labels, distinct.values()))
    return head + (_sparse(flat) if sparse else _full(flat, shape))


def _full(flat: np.ndarray, shape: list[int]) -> bytes:
    pieces = np.split(flat, range(PER_PIECE, len(flat), PER_PIECE))
    body = record(b"    ", 2 * len(pieces) + 1, 7, *shape)
    for k, piece in enumerate(pieces):
        left = 2 * (len(pieces) - k)
        body += record(b"    ", left, *[1] * 14) + record(b"    ", left - 1, piece.tobytes())
    return body


def _sparse(flat: np.ndarray) -> bytes:
    at = np.flatnonzero(flat)
    pieces = np.split(at, range(PER_PIECE, max(len(at), 1), PER_PIECE))
    body = record(b"    ", len(at), 4, 4, letters("", 80))
    for left, piece in zip(range(len(pieces), 0, -1), pieces, strict=True):
        body += record(b"    ", left, len(at), len(piece), (piece + 1).astype("<i4").tobytes(), flat[piece].tobytes())
    return body


REGIONS, PRODUCTS, MARGINS = ("aus", "xea", "row"), ("pdr", "oil", "otp", "wtp"), ("otp", "wtp")


def gtap(industries: Sequence[str] = ("farm", "pump", "haul"), seed: int = 0) -> dict[str, tuple[np.ndarray, Sets]]:
    """A data base as of version 11 that balances: imports are exports, freight and duties; what is made is sold."""
    rng = np.random.default_rng(seed)
    reg, comm, acts, marg = ("REG", REGIONS), ("COMM", PRODUCTS), ("ACTS", industries), ("MARG", MARGINS)

    def draw(*sets: tuple[str, Sequence[str]]) -> np.ndarray:
        return rng.lognormal(size=[len(names) for _, names in sets])

    exports = draw(comm, reg, reg)
    freight = 0.1 * draw(marg, comm, reg, reg)
    arrived = exports * 1.2 + freight.sum(0)  # with duties
    shares = rng.dirichlet(np.ones(len(industries) + 3), (len(PRODUCTS), len(REGIONS))).transpose(0, 2, 1)
    abroad = arrived.sum(1)[:, None] * shares
    home = draw(comm, ("users", (*industries, "P", "G", "I")), reg)
    offered = freight.sum((1, 2, 3))[:, None] * rng.dirichlet(np.ones(len(REGIONS)), len(MARGINS))
    sold = home.sum(1) + exports.sum(2)
    sold[[PRODUCTS.index(name) for name in MARGINS]] += offered
    if industries == PRODUCTS:
        made = sold[:, None] * np.eye(len(PRODUCTS))[:, :, None]
    else:
        made = sold[:, None] * rng.dirichlet(np.ones(len(industries)), (len(PRODUCTS), len(REGIONS))).transpose(0, 2, 1)
    found: dict[str, tuple[np.ndarray, Sets]] = {
        "VXSB": (exports, (comm, reg, reg)), "VTWR": (freight, (marg, comm, reg, reg)), "VST": (offered, (marg, reg)),
        "MAKB": (made, (comm, acts, reg)),
    }  # fmt: skip
    for side, block in {"D": home, "M": abroad}.items():
        found[f"V{side}FB"] = (block[:, : len(industries)], (comm, acts, reg))
        found |= {f"V{side}{who}B": (block[:, len(industries) + k], (comm, reg)) for k, who in enumerate("PGI")}
    return found


def early(base: dict[str, tuple[np.ndarray, Sets]]) -> dict[str, tuple[np.ndarray, Sets]]:
    """The same as before version 11: other names, and investment as an industry."""
    reg, comm, prod = ("REG", REGIONS), ("TRAD_COMM", PRODUCTS), ("PROD_COMM", (*PRODUCTS, "CGDS"))
    found: dict[str, tuple[np.ndarray, Sets]] = {
        "VXMD": (base["VXSB"][0], (comm, reg, reg)), "VTWR": base["VTWR"], "VST": base["VST"],
    }  # fmt: skip
    for late, side in {"D": "D", "M": "I"}.items():
        block = np.concatenate([base[f"V{late}FB"][0], base[f"V{late}IB"][0][:, None]], axis=1)
        found[f"V{side}FM"] = (block, (comm, prod, reg))
        found |= {f"V{side}{who}M": (base[f"V{late}{who}B"][0], (comm, reg)) for who in "PG"}
    return found


def write(file: Path, arrays: dict[str, tuple[np.ndarray, Sets]], sparse: Sequence[str] = ()) -> Path:
    body = b"".join(real(name, values, sets, sparse=name in sparse) for name, (values, sets) in arrays.items())
    file.write_bytes(text("XXCR", ["made for a test"]) + text("DREL", ["R11.0_2017"]) + body)
    return file
