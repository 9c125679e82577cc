"""The site builds without a warning and loads nothing from elsewhere; its reference has every key and every verb."""

import argparse
import doctest
import logging
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.reference import keys
from shockmesh.cluster.spec.source import parse_source

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md"))
SPEC = re.compile(r"^```yaml.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """What makes pages."""
    spec = spec_from_file_location("docs_making_pages", ROOT / "docs/making/pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does: a warning, such as a link to nowhere, ends it."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config: Any = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        logging.getLogger("mkdocs").setLevel(logging.WARNING)
        build(config)
    sys.modules.pop("pages", None)
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path):
    loads = re.compile(r'(?:<script[^>]*src|<link[^>]*href|<img[^>]*src|@import|url\()[="( \']*(https?:)?//')
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > len(PAGES)
    assert [path.name for path in pages if loads.search(path.read_text("utf-8"))] == []


def test_the_reference_has_every_key_and_every_preset(site: Path):
    page = (site / "reference/spec.html").read_text("utf-8")
    shared = {key.path for key in keys() if key.part == "Where"}
    assert [key.path for key in keys() if key.path not in shared and f'id="{key.path}"' not in page] == []
    assert [key.name for key in keys() if key.path in shared and f'id="{key.name}"' not in page] == []


def test_the_reference_has_every_verb_with_every_argument_explained(site: Path, made: ModuleType):
    page = (site / "reference/verbs.html").read_text("utf-8")
    parsers: dict[str, argparse.ArgumentParser] = made.verbs_of(made.make_parser())
    assert {"run", "explain", "prices"} <= set(parsers)
    for name, parser in parsers.items():
        assert f'id="{name}"' in page
        for action in made.told(parser):
            assert action.help, f"{name}: {action.dest}: no help"
            assert all(option in page for option in action.option_strings)


def test_the_mathematics_has_every_formula(made: ModuleType, site: Path):
    """Each module's page begins with its docstring's first words."""
    page = (site / "mathematics.html").read_text("utf-8")
    assert [path.name for path in made.modules() if f"kernels/{path.relative_to(made.KERNELS)}" not in page] == []
    assert "pool index    P_g = " in page
    assert page.count("<h2") == len(made.modules())


BLOCKS = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    for i, text in enumerate(SPEC.findall(page.read_text("utf-8")))
]


@pytest.mark.parametrize("text", BLOCKS)
def test_a_spec_on_a_page_is_one(text: str):
    parse_spec(parse_source("page", text).data)


def test_examples_in_what_makes_pages(made: ModuleType):
    assert doctest.testmod(made) == (0, 1)


def test_the_site_ships_with_no_wheel():
    shipped = (ROOT / "pyproject.toml").read_text("utf-8").partition("[tool.setuptools]")[2].partition("[tool.ruff]")[0]
    assert "docs" not in shipped
