"""How long a block of members takes on a device: the bytes that a day moves, over the bandwidth that moves them.

A step reads or writes, of every member, l numbers for each link, p for each pool and f for each firm; and, once for all
members, i indices and baseline flows for each link and j for each pool. With E links, P pools and N firms on the
device, m members and w bytes a number:

    bytes of a day = m w (l E + p P + f N) + 4 (i E + j P)

    order_split   production      l    p    i   j
    link          leontief        7    9    6   4     of a link: orders and stock read for sums, read to be moved on and
    link          others         13   14    7   5     written (6), and a fill rate looked up (1)
    baseline      any             5   12    5   6
    capacity      any            10   19    5   6

f is 22, 28 with hiring, 38 with overproduction, 10 more where consumption follows labour income and 1 more for each
failure of a firm that is drawn. Prices that move add 18 to l (11 where orders are split), 24 to p, 32 to f, 6 to i (8)
and 10 to j, and a tariff 1 to i; suppliers that change, whose candidates are links too, 22 to l (17), 20 to p (22), 7
to f, 12 to i (15) and 10 to j (8). A cut adds 2 to l and 1 to i, a cut with a detour 8 (16 where stocks are the pools')
and 1, a damage 7 and 5, a delay 14 (19 where stocks are the pools') whatever part of links it is of; water filling
adds 13 to l for each Newton step, counted as 5. Links that are a table have l = i = 0; instead its C cells are read
twice a day for all members together, three times where orders are split by capacity: 2 w C or 3 w C bytes.

A gradient runs every day 3 times (forwards, with its block, and by itself without its sums and collectives) and its
transpose once, which moves 3 times what the day does: 6 days, and the collectives of 3. Both tables are the compiler's
account of a step and of its transpose, within a fifth and within two fifths (tests/test_roofline.py).

    time of a day = max(bytes / bandwidth, kernels · launch) + collectives · (latency + rows m w / exchange)

and one latency more where consumption follows labour income, which is summed over all firms; two where prices move, for
sums by region, and one collective more, by which prices come to buyers.

NVIDIA's data sheets (H100 SXM5 80 GB and H200 SXM, product pages of 2024; A100 80 GB SXM4, sheet 1758950 of 2021;
GeForce RTX 5090, product page of 2025) state, in this order, 3.35, 4.8, 2.039 and 1.792 TB/s of memory, and, both ways
together, 900, 900 and 600 GB/s of NVLink and 128 GB/s of PCIe 5.0 x16; half of that is one way. What no sheet states is
assumed: 3 µs for the least kernel, 20 µs for the least collective. Not in the model: how much of its bandwidth a device
yields, transfers to the host, compilation. So the time of a GPU is a floor; none was measured.

CORE is a core of the machine that this was written on, by measurement: see DESIGN.md, Roofline.
"""

from dataclasses import dataclass

from shockmesh.kernels.model import Switches

SCATTERING, READING = 25, 60  # kernels of a day (18 for hamid2025, 29 for hallegatte2014), and where groups read items
RUNS = 3  # times that a gradient runs a day
TRANSPOSE = 3  # what the transpose of a day moves, in days
EXCHANGES = 3  # times that a gradient has a day's collectives: forwards, with its block, transposed
NEWTON_STEPS = 5  # of water filling, where three to six are usual
GB = 10**9


@dataclass(frozen=True)
class Device:
    """What of a device bounds a rollout."""

    name: str
    memory: int  # [bytes]
    bandwidth: float  # of its memory [bytes / s]
    exchange: float  # to the other devices of its gang, one way [bytes / s]
    kernels: int  # that a day is compiled into
    launch: float  # least time of a kernel [s]
    latency: float  # least time of a collective [s]


DEVICES = (
    Device("H100", 80 * GB, 3350e9, 450e9, READING, 3e-6, 20e-6),
    Device("H200", 141 * GB, 4800e9, 450e9, READING, 3e-6, 20e-6),
    Device("A100", 80 * GB, 2039e9, 300e9, READING, 3e-6, 20e-6),
    Device("RTX 5090", 32 * GB, 1792e9, 64e9, READING, 3e-6, 20e-6),
)
CORE = Device("CPU core", 8 * GB, 16e9, 1e9, SCATTERING, 1e-6, 1e-3)


@dataclass(frozen=True)
class Work:
    """A block of members of a network, or of the largest shard of one."""

    switches: Switches
    days: int
    members: int
    width: int  # bytes of a number
    firms: int
    links: int
    pools: int
    cells: int = 0  # of a table that holds the links
    cuts: int = 0  # without a detour
    detours: int = 0
    damages: int = 0
    delays: int = 0
    routes: int = 0  # with a capacity
    tariffs: int = 0
    failures: int = 0  # that are drawn for each firm
    rows: int = 0  # that the device sends by one collective

    @property
    def day_bytes(self) -> int:
        """Bytes that a day moves through the memory of the device."""
        per_link, per_pool, indices, pool_indices = self._counts()
        per_firm = {"hiring": 28, "overproduction": 38}.get(self.switches.capacity_rule, 22)
        per_firm += self.failures + 10 * (self.switches.consumption == "labour_income") + 32 * self.switches.priced
        per_firm += 7 * self.switches.switching
        links = 0 if self.cells else self.links
        numbers = per_link * links + per_pool * self.pools + per_firm * self.firms
        shared = indices * links + pool_indices * self.pools
        products = 3 if self.switches.order_split == "capacity" else 2
        return self.members * self.width * numbers + 4 * shared + products * self.width * self.cells

    def _counts(self) -> tuple[int, int, int, int]:
        """l, p, i and j."""
        match self.switches.order_split, self.switches.production:
            case "link", "leontief":
                counts = 7, 9, 6, 4
            case "link", _:
                counts = 13, 14, 7, 5
            case "baseline", _:
                counts = 5, 12, 5, 6
            case _:
                counts = 10, 19, 5, 6
        water = 13 * NEWTON_STEPS if self.switches.rationing == "water_filling" else 0
        by_link = self.switches.order_split == "link"
        prices = (18, 24, 6, 10) if by_link else (11, 24, 8, 10)
        suppliers = (22, 20, 12, 10) if by_link else (17, 22, 15, 8)
        on = self.switches.priced, self.switches.switching
        counts = tuple(one + on[0] * p + on[1] * s for one, p, s in zip(counts, prices, suppliers, strict=True))
        detour, delay = (8, 14) if by_link else (16, 19)
        per_link, per_pool, indices, pool_indices = counts
        ways = delay * (self.delays + self.routes)
        return (
            per_link + water + 2 * self.cuts + detour * self.detours + 7 * self.damages + ways,
            per_pool,
            indices + self.cuts + self.detours + 5 * self.damages + self.tariffs, pool_indices,
        )  # fmt: skip

    @property
    def collectives(self) -> int:
        """All-to-alls of a day between the devices that share the network."""
        if not self.rows:
            return 0
        water = 2 * NEWTON_STEPS if self.switches.rationing == "water_filling" else 0
        rebuilt = self.damages > 0 and self.switches.order_target == "potential"
        return 2 + water + (self.switches.order_split == "capacity") + rebuilt + self.switches.priced

    @property
    def sums(self) -> int:
        """All-reduces of a day between them, of one number a member, or a few."""
        return (self.rows > 0) * (
            (self.switches.consumption == "labour_income") + 2 * self.switches.priced + self.routes
        )

    def seconds(self, device: Device, *, gradient: bool = False) -> float:
        """Time of all days forwards, or of all days and their gradient."""
        passes, exchanges = (RUNS + TRANSPOSE, EXCHANGES) if gradient else (1, 1)
        memory = max(self.day_bytes / device.bandwidth, device.kernels * device.launch)
        collective = device.latency + self.rows * self.members * self.width / device.exchange
        exchanged = self.collectives * collective + self.sums * device.latency
        return self.days * (passes * memory + exchanges * exchanged)
