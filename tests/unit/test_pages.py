"""Pages: the programs have the commands that they show, links lead somewhere, and lines are short enough to review."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from controlplane.cli import main
from tests.support.checkout import ROOT
from tests.support.pages import shell_blocks
from worker.config.sources import read_command_line

PAGES = ("README.md", "docs/guide.md", "docs/troubleshooting.md", "docs/rest-api.md", "docs/actions.md")
SHOWN = [command for page in PAGES for block in shell_blocks((ROOT / page).read_text()) for command in block]
COMMANDS = sorted({command for command in SHOWN if command.startswith("synthetics-")})
FILES = (
    "wiki.json",
    "tests.json",
    "authority.pem",
    "cert.pem",
    "key.pem",
    "test.json",
    "oidc-secret",
    "customer-desk.yaml",
)
"""What readers have made before."""


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None = None) -> None:
    """Read *words* as click does, and run nothing. Raises UsageError."""
    context = command.make_context(name, words, parent=parent)
    left = [*context._protected_args, *context.args]
    if isinstance(command, click.Group) and (left or not command.invoke_without_command):
        name_of_next, following, rest = command.resolve_command(context, left)
        assert following is not None
        parse(following, name_of_next or "", rest, context)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_programs_know_the_commands_of_the_pages(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    program, *words = shlex.split(command.replace("\\\n", " "))
    if program == "synthetics-worker":
        read_command_line(words)
    else:
        assert program == "synthetics-controlplane"
        parse(main, program, words)


@pytest.mark.parametrize("words", [["results", "--folow"], ["tset", "list"], ["backup"]])
def test_a_command_that_is_not_there_is_noticed(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(main, "synthetics-controlplane", words)


MEASURES = sorted(
    {
        found
        for document in (ROOT / "docs").glob("*.md")
        for found in re.findall(r"python -m (benchmarks\.\w+)((?: [^`\n|]+)?)`", document.read_text())
    }
)
"""The benchmarks that the pages name, with their words; a benchmark is never run as a test."""


@pytest.mark.parametrize(("module", "words"), MEASURES, ids=lambda part: part.strip())
def test_a_benchmark_that_is_named_is_there_and_has_the_flags_that_are_shown(module: str, words: str) -> None:
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert {flag for flag in re.findall(r"--[\w-]+", words) if f'"{flag}"' not in source} == set()


LINK = re.compile(r"\]\(([^)#\s:]*)(?:#([^)\s]+))?\)")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("k8s/**/*.md"))
)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of *page*, as the places that render it make them."""
    headings = re.findall(r"^#{1,6} (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: str) -> None:
    page = ROOT / document
    for target, anchor in LINK.findall(page.read_text()):
        led = page if not target else (page.parent / target)
        assert led.exists(), f"{document}: {target}"
        if anchor and led.suffix == ".md":
            assert anchor in anchors(led), f"{document}: {target}#{anchor}"


TEST = re.compile(r"`([\w/]*?\btest_\w+\.py)`")


def test_what_the_security_page_says_holds_is_shown_by_tests_that_are_there() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    holds = page.partition("## What holds")[2].partition("\n## ")[0]
    statements = holds.split("\n- ")[1:]
    assert len(statements) > 10
    for statement in statements:
        named = TEST.findall(statement)
        assert named, statement
        assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
    folders = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert {name.rpartition("/")[2] for name in TEST.findall(page)} <= folders


WRAPPED = [
    page for page in DOCUMENTS if page.startswith("docs/") or page in {"README.md", "SECURITY.md", "CONTRIBUTING.md"}
]
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LONGEST_LINE = 120
"""Characters of a line of a paragraph or a list; tables and blocks of code are as long as they must be."""


def long_lines(page: str) -> list[str]:
    """The lines of *page* that are too long. A single word, as a link is one, cannot be broken and may be."""
    lines = FENCE.sub("", page).splitlines()
    return [
        line
        for line in lines
        if len(line) > LONGEST_LINE and not line.startswith("|") and len(LINK.sub("", line).split()) > 1
    ]


@pytest.mark.parametrize("document", WRAPPED)
def test_lines_of_paragraphs_are_at_most_120_characters(document: str) -> None:
    assert long_lines((ROOT / document).read_text()) == []


def test_a_long_line_is_noticed_outside_of_tables_and_code() -> None:
    long = "word " * 30
    assert long_lines(f"{long}\n\n- {long}\n\n| {long} |\n\n```sh\n{long}\n```\n") == [long, f"- {long}"]


def test_the_tests_that_the_page_on_security_names_are_there() -> None:
    named = set(re.findall(r"`((?:tests/[a-z_/]*)?test_[a-z_]+\.py)`", (ROOT / "SECURITY.md").read_text()))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(named) > 20
    assert named - there - {path.rpartition("/")[2] for path in there} == set()


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
MOST_TERMS = 15


def rows(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below *heading* of the page on the architecture."""
    table = ARCHITECTURE.partition(f"\n## {heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_the_glossary_has_few_terms_each_once() -> None:
    terms = [term for term, _ in rows("Glossary")]
    assert 0 < len(terms) <= MOST_TERMS
    assert len(set(terms)) == len(terms)


def test_the_files_through_which_one_job_goes_are_there() -> None:
    steps = rows("One job, from the wire to the pushed result")
    named = {name for step in steps for cell in step[1:] for name in re.findall(r"`([a-z_/]+(?:/|\.py))`", cell)}
    assert len(named) > 25
    assert [name for name in sorted(named) if not (ROOT / "worker" / name).exists()] == []
