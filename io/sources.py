"""What can be imported: one line a kind, which the help, the error for a wrong kind and the readers share.

The reader of a table is a module of `io/tables/readers`: `fits(source)` names the files that look like its kind, and
`read(source, about, said)` gives a header and rows.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

WIOD = (
    "Timmer, Dietzenbacher, Los, Stehrer, de Vries (2015), An illustrated user guide to the World Input-Output "
    "Database, Review of International Economics 23:575-605"
)


class SaidError(ValueError):
    """What a user says of a source cannot be. The message names the word and the rule."""


@dataclass(frozen=True)
class Said:
    """What a user says of a source. It counts more than what the source says of itself.

    Raises:
        SaidError: a year that is not of four digits.
    """

    money: str | None = None  # what amounts are counted in, such as "million USD"
    years: tuple[int, ...] = ()  # of a source of several years, those that are wanted; else its own
    origin: str | None = None  # who published it, such as "WIOD, release 2016"
    licence: str | None = None
    region: str | None = None  # of a national table
    sheet: str | None = None  # of a workbook
    corrections: Path | None = None  # of what was recognised of a sheet
    pickles: bool = False  # pickles may be opened, although they can run code

    def __post_init__(self) -> None:
        if wrong := [year for year in self.years if not 1000 <= year <= 9999]:
            raise SaidError(f"year: {wrong[0]}: must have four digits")

    def over(self, other: "Said") -> "Said":
        """These words, and the other's where these say nothing."""
        return replace(other, **{name: word for name, word in vars(self).items() if word not in (None, (), False)})

    def cited(self) -> dict[str, str | int]:
        """What was said of where the numbers come from, by its name among the attributes of a store."""
        words = {"source": self.origin, "license": self.licence}
        year = {"year": self.years[0]} if len(self.years) == 1 else {}
        return {name: word for name, word in words.items() if word is not None} | year


def years_of(text: str) -> tuple[int, ...]:
    """Years as people write them: 2014, or 2010-2014, or 2000,2010-2012.

    Raises:
        SaidError: of another form.
    """
    years: list[int] = []
    for part in text.split(","):
        if not (match := re.fullmatch(r"\s*(\d{4})\s*(?:[-–]\s*(\d{4})\s*)?", part)):
            raise SaidError(f"year: {text}: must be a year, years with commas between, or a range such as 2010-2014")
        years += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(dict.fromkeys(years))


SILENT = Said()


@dataclass(frozen=True)
class About:
    """A kind of table. Text is empty where only the file, or the user, can say."""

    reader: str  # a module of io/tables/readers
    files: str  # what is handed in
    title: str
    licence: str = ""
    references: str = ""
    money: str = ""  # what amounts are counted in, per year
    example: str = ""  # the packaged one, under io/examples
    of_example: Said = SILENT


TABLES = {
    "wiod2016": About(
        "wiod2016", "WIOTYYYY_…_ROW, .xlsb, .RData or .dta; a zip or folder of years",
        "World input-output table, WIOD 2016 release", "CC BY 4.0",
        f"{WIOD}; doi:10.34894/PJ2M1C", "million USD", "tables/wiod2016_2014_parts.npz",
    ),
    "wiod2013": About(
        "wiod2013", "wiotYY_….xlsx, or a zip or folder of years", "World input-output tables, WIOD 2013 release",
        "CC BY 4.0 (stated for the 2016 release; believed of this one)", WIOD, "million USD", "tables",
    ),
    "icio": About(
        "icio", "the OECD's CSV of a year, or its zip of years", "OECD Inter-Country Input-Output table",
        "OECD terms: reuse with attribution (CC BY 4.0 unless marked otherwise)",
        "OECD, Inter-Country Input-Output Database, http://oe.cd/icio", "million USD", "tables/icio2021_2014.npz",
    ),
    "niot": About(
        "niot", "XXX_NIOT_nov16.xlsx, or a CSV with labels such as GBR_A01 (say --unit)",
        "National input-output table, domestic flows", example="uk2020/gbr_niot_2014.csv",
        of_example=Said("million USD", (2014,), "WIOD, release 2016, National IO Tables", "CC BY 4.0"),
    ),
    "exiobase3": About(
        "exiobase3", "IOT_YYYY_ixi.zip or _pxp.zip, or the folder in it", "EXIOBASE 3",
        "CC BY-SA 4.0 up to version 3.8.2; from 3.9 on non-commercial, after CC BY-NC-SA 4.0: see its LICENSE.txt",
        "Stadler et al. (2018), Journal of Industrial Ecology 22:502",
    ),
    "eora26": About(
        "eora26", "Eora26_YYYY_bp.zip with indices.zip beside it, or a folder", "Eora26", "Eora licence",
        "Lenzen, Moran, Kanemoto, Geschke (2013), Economic Systems Research 25:20", "thousand USD",
    ),
    "figaro": About(
        "figaro", "a CSV, matrix or flat, its zip, or naio_10_fcp_ii* as TSV or SDMX-CSV",
        "FIGARO inter-country input-output table",
        "Eurostat: reuse with acknowledgement (CC BY 4.0)",
        "Remond-Tiedrez, Rueda-Cantuche (eds, 2019), EU inter-country supply, use and input-output tables",
        "million EUR",
    ),
    "naio": About(
        "naio", "Eurostat's naio_10_cp1700 or its kin, or cp15 with cp1610, TSV or SDMX-CSV (say --region)",
        "Eurostat national input-output table", "Eurostat: reuse with acknowledgement (CC BY 4.0)",
        "Eurostat, ESA supply, use and input-output tables",
    ),
    "gloria": About(
        "gloria", "GLORIA's folder or zip of a year, with its ReadMe workbook beside",
        "GLORIA global environmentally-extended multi-region input-output table",
        "GLORIA: for academic use; commercial use needs a licence of the IELab",
        "Lenzen et al. (2022), Implementing the material footprint, Economic Systems Research 34:1", "thousand USD",
    ),
    "adb": About(
        "adb", "ADB-MRIO….xlsx, or a zip or folder of years", "ADB multi-regional input-output table",
        "terms of use of the Asian Development Bank's data library (kidb.adb.org)",
        "Asian Development Bank, Multiregional Input-Output Database", "million USD",
    ),
    "emerging": About(
        "emerging", "global_mrio_YYYY.mat or EMERGING_V2_YYYY_m.mat, or a folder of years",
        "EMERGING multi-regional input-output table", "as its record says, doi:10.5281/zenodo.10956622",
        "Huo, Chen, Hubacek, Zheng, Meng, Guan (2022), Journal of Industrial Ecology 26:1218", "million USD",
    ),
    "gtap": About(
        "gtap", "a GTAP data base: basedata.har or gsdfdat.har (say --year)", "GTAP Data Base, as industry by industry",
        "terms of the GTAP Data Base (Center for Global Trade Analysis, Purdue University)",
        "Aguiar, Chepeliev, Corong, van der Mensbrugghe (2022), The GTAP Data Base: Version 11, Journal of Global "
        "Economic Analysis 7:2", "million USD",
    ),
    "bea": About(
        "bea", "a folder or zip with one IOMake_….xlsx and one IOUse_….xlsx",
        "United States make and use tables, as industry by industry", "public domain (United States government)",
        "Bureau of Economic Analysis, Input-Output Accounts", "million USD",
    ),
    "table": About(
        "table", "any national table in one sheet (say --region, --unit, --year, --licence)",
        "National input-output table",
    ),
    "mario": About(
        "mario", "MARIO's workbook (flows, units), or its folder of CSV or Parquet", "MARIO database",
        references="Tahavori, Golinucci, Rinaldi et al. (2023), MARIO, Journal of Open Research Software 11:14",
    ),
    "pymrio": About(
        "saved", "a folder or zip that pymrio saved (pickles only with --pickles)", "pymrio system",
        references="Stadler (2021), Journal of Open Research Software 9:8",
    ),
}  # fmt: skip
NETWORKS = {
    "links": "links with --firms, or a folder or zip of links and firms: text, Parquet, workbooks; GraphML, GEXF, GML",
    "inoue-todo": "a folder with links.txt, final_demand.txt, output.txt, sector.txt, or its program's files",
}
KINDS = {**{kind: about.files for kind, about in TABLES.items()}, **NETWORKS}
