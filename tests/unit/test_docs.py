import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from config import page
from config.replies import ROWS, Replies
from config.settings import Settings
from worker.cli import voicecode
from worker.retry import Reason

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTING = re.compile(r"VOICECODE_[A-Z_]*[A-Z]")
FROM_THE_ENVIRONMENT = {"VOICECODE_SECRETS_DIR"}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def anchors(markdown: str) -> set[str]:
    """Return the anchors that a reader's browser knows: headings as GitHub writes them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def runbooks_in_code() -> Iterator[str]:
    for layer in ("config", "worker", "tasks"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.keyword)
                    and node.arg == "runbook"
                    and isinstance(node.value, ast.Constant)
                ):
                    yield str(node.value.value)


def test_every_runbook_that_a_log_line_or_a_reply_names_is_there() -> None:
    """Somebody was woken by that line: the anchor must lead to a section."""
    reasons_of_the_buried = {Reason.EXPIRED.value, Reason.AMBIGUOUS.value, Reason.EXHAUSTED.value}
    named = {*runbooks_in_code(), *(row.runbook for row in ROWS), *reasons_of_the_buried}
    assert named > {"redis-away", "account-frozen"}
    assert named - anchors(text("docs/operating.md")) == set()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_to_operators_and_to_producers(reason: Reason) -> None:
    assert f"`{reason.value}`" in text("docs/operating.md")
    assert f"`{reason.value}`" in text("docs/producing.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text("utf-8")), target


def test_the_page_of_settings_is_made_from_the_settings() -> None:
    """`python -m config.page > docs/settings.md` makes it."""
    assert text("docs/settings.md") == page.page()


def test_the_readme_tells_settings_as_they_are() -> None:
    told = re.findall(r"^\| (`VOICECODE_\w+`) \| ([^|]+) \|", text("README.md"), re.MULTILINE)
    known = dict(re.findall(r"^\| (`VOICECODE_\w+`) \| [^|]+ \| ([^|]+) \|", page.page(), re.MULTILINE))
    assert len(told) >= 8
    assert told == [(name, known[name]) for name, _ in told]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_setting_that_is_not_there(path: Path) -> None:
    known = {"VOICECODE_" + name.upper() for name in Settings.model_fields} | FROM_THE_ENVIRONMENT
    assert set(SETTING.findall(path.read_text("utf-8"))) - known == set()


def commands(markdown: str) -> Iterator[str]:
    """Yield every line that a reader may copy into a shell: in a fence, or in backquotes."""
    for fence in re.findall(r"^```sh\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        yield from fence.splitlines()
    yield from re.findall(r"`([^`\n]+)`", markdown)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_shows_is_there_with_its_options(path: Path) -> None:
    """At three in the morning nobody wants to meet `no such option`."""
    for line in commands(path.read_text("utf-8")):
        called = re.match(r"(?:.*\s|\./run )?voicecode ([a-z][^#]*)", line)
        if called is None:
            continue
        words = called[1].replace("...", "").split()
        command: click.Command = voicecode
        while words and isinstance(command, click.Group):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_override_that_the_runbook_shows_is_taken() -> None:
    [shown] = re.findall(r"VOICECODE_REPLY_OVERRIDES='(.+?)'", text("docs/operating.md"))
    assert Replies(json.loads(shown)).of_code(4099, "").kind.value == "transient"


def test_the_pages_show_every_field_of_the_canonical_lines() -> None:
    """`worker/report.py` writes them; a field that nobody explained is found here."""
    source = text("worker/report.py")
    fields = set(re.findall(r'"([a-z_]+)":', source)) | set(re.findall(r'facts\["([a-z_]+)"\]', source))
    operating = text("docs/operating.md")
    assert len(fields) > 15
    assert {field for field in fields if f"`{field}`" not in operating} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_python_snippet_can_be_compiled(path: Path) -> None:
    for source in re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        compile(source, path.name, "exec")


def test_the_picture_of_the_demo_asks_no_other_server_for_anything() -> None:
    picture = text("docs/demo.svg")
    assert set(re.findall(r"https?://[^\s\"'<)]+", picture)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
