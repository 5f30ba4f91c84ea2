"""The page needs nothing but itself, shows every table and picture once, and lets no text become markup."""

import base64
import re
from html.parser import HTMLParser

import pytest

from supertiny.core.errors import UserError
from supertiny.core.git import Provenance
from supertiny.report.html import CAPTIONS, HEADINGS, PLACES, Project, html_page

RESULTS = """# Results

Profile `smoke`.

## Quality and cost (paper Table 2)

| model | AR |
|:--|--:|
| <script>alert(1)</script> | 0.9 |

## Response time, p50 / p95, ms

| model | cc1 |
|:--|--:|
| sft | 2 / 3 |
"""
PROJECT = Project(
    origin=Provenance("abc+", "0" * 64),
    profile="smoke",
    files={"params.yaml": "mu: <b>"},
    stages={"sft": "Fine & tune"},
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" id="a"/>'
VOID = {"meta", "link", "img", "br", "hr"}
"""tags without an end"""


class Read(HTMLParser):
    """Tags with their attributes, in order, and the text of each section."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "a tag is closed that is not the last one opened"

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_nothing_is_fetched_and_nothing_runs():
    page = html_page(RESULTS, {"pareto": SVG}, PROJECT)
    read = Read(page)
    assert not read.all("script") and not read.all("b")
    for name, attributes in read.tags:
        for key in ("src", "href"):
            target = attributes.get(key) or ""
            assert target.startswith(("data:", "#")) or not target, f"<{name} {key}={target[:40]}>"
        assert not any(key.startswith("on") for key in attributes)
    assert not re.search(r"url\(|@import", page)
    (policy,) = [one["content"] for one in read.all("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'")
    assert "alert(1)" in read.text and "mu: <b>" in read.text and "Fine & tune" in read.text


def test_every_picture_is_there_once_under_its_table():
    pictures = {name: SVG.replace(b'"a"', f'"{name}"'.encode()) for name in ("pareto", "response", "unknown")}
    page = html_page(RESULTS, pictures, PROJECT)
    images = {one["alt"]: one["src"] for one in Read(page).all("img")}
    assert {base64.b64decode(source.partition(",")[2]) for source in images.values()} == set(pictures.values())
    where = [page.index(text) for text in ("<h2>Quality", CAPTIONS["pareto"], "<h2>Response", CAPTIONS["response"])]
    assert where == sorted(where)
    assert page.index("<h2>unknown") < page.index('alt="unknown"')


def test_the_picture_of_a_step_without_a_section_is_left_out():
    """Nothing of the kind is declared, so it is empty."""
    assert not Read(html_page(RESULTS, {"rl": SVG}, PROJECT)).all("img")


def test_contents_lead_to_each_section_and_provenance_is_told():
    read = Read(html_page(RESULTS, {}, PROJECT))
    sections = [one["id"] for one in read.all("section")]
    assert [one["href"] for one in read.all("a")] == [f"#{name}" for name in sections]
    assert len(sections) == len(set(sections)) == 4
    assert all(value in read.text for value in ("abc+", "0" * 64, "smoke"))


def test_every_caption_is_of_a_picture_with_a_place():
    assert CAPTIONS.keys() - PLACES.keys() == HEADINGS.keys()


def test_a_page_of_results_without_sections_is_an_error():
    with pytest.raises(UserError, match=r"results\.md"):
        html_page("# Results\n", {}, PROJECT)
