"""What the pages point to is there, and every setting is told."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from geoserver_app.cli import main
from geoserver_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "bench").glob("*.md"))) if path.is_file()]
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"geoshare ([a-z]+)(?: ([a-z-]+))?")


def headings(page: Path) -> set[str]:
    """Anchors as GitHub and GitLab make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or target.suffix != ".md" or anchor in headings(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_command_that_is_not_there(page):
    for line in re.findall(r"^(?:    |\$ |`)(geoshare .+)$|`(geoshare [^`]+)`", page.read_text("utf-8"), re.MULTILINE):
        group, command = COMMAND.match("".join(line)).groups() if COMMAND.match("".join(line)) else (None, None)
        if group:
            assert group in main.commands, "".join(line)
            inner = getattr(main.commands[group], "commands", {})
            assert not inner or command is None or command in inner, "".join(line)


def test_every_setting_has_its_line_in_the_file_of_settings():
    named = set(re.findall(r"^([a-z_]+):", (ROOT / "config" / "service.yaml").read_text("utf-8"), re.MULTILINE))
    assert named == {f.name for f in fields(Settings)} - {"config"}, "the folder config/ is where the file lies"


def test_pictures_in_the_pages_are_small():
    for picture in (ROOT / "docs" / "pictures").glob("*"):
        assert picture.stat().st_size <= 150_000, picture.name
