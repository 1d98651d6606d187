"""The documentation site, as `make docs` builds it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from website.pages import REFERENCE, sources, write

from tests.support.builds import CHECKOUT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="zensical is not installed (extra `docs`)"
)


def build(directory: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of the pages in a directory."""
    shutil.copy(CHECKOUT / "mkdocs.yml", directory)
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    write(directory / "build" / "docs")
    done = build(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "build" / "site"


def test_each_page_is_built(site: Path) -> None:
    for name in [*map(str, sources().values()), *REFERENCE]:
        assert (site / name).with_suffix(".html").exists(), name


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^\">\s]+")
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text("utf-8")) == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//", sheet.read_text("utf-8")), sheet


def test_a_broken_link_fails_the_build(site: Path, tmp_path: Path) -> None:
    docs = tmp_path / "build" / "docs"
    shutil.copytree(site.parent / "docs", docs)
    (docs / "index.md").write_text("# Home\n\n[a page](nothing.md) [a heading](tutorial.md#nothing)\n")
    done = build(tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "page does not exist" in said
    assert "anchor does not exist" in said
