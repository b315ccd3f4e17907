import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from config import page
from config.celeryconfig import PUBLISH_OPTIONS
from config.names import Event
from config.replies import ROWS, Replies
from config.settings import Settings
from worker.cli import voicecode
from worker.demo import web_app
from worker.retry import Reason

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "tests" / "README.md"]
FOLDERS = "config|tasks|worker|tests|docs|benchmarks|clients|examples|requirements|[.]ci|[.]github"
GENERATED = {"settings.md", "replies.md"}
"""Their prose is filled in, so it may be a little wider than its source."""
MAX_COLUMNS = 100
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


def test_the_page_for_producers_bounds_a_publish_as_our_own_producers_do() -> None:
    snippet = re.search(r"broker_transport_options=(\{.*?\})", text("docs/producing.md"), re.DOTALL)
    assert snippet is not None
    assert ast.literal_eval(snippet[1]) == PUBLISH_OPTIONS
    demo = web_app.connect("redis://127.0.0.1:1").conf.broker_transport_options
    assert demo == {**PUBLISH_OPTIONS, "master_name": "mymaster"}


def test_every_runbook_that_a_log_line_or_a_reply_names_is_there() -> None:
    """Somebody was woken by that line: the anchor must lead to a section."""
    reasons_of_the_buried = {Reason.EXPIRED.value, Reason.AMBIGUOUS.value, Reason.EXHAUSTED.value}
    named = {*runbooks_in_code(), *(row.runbook for row in ROWS), *reasons_of_the_buried}
    assert named > {"redis-away", "account-frozen"}
    assert named - anchors(text("docs/operating.md")) == set()


def alerting_events() -> Iterator[str]:
    """Yield the name of every event that is logged with an alert."""
    for path in (ROOT / "worker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and "alert" in {keyword.arg for keyword in node.keywords}:
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Attribute):
                        yield getattr(Event, argument.attr)


def test_operating_explains_every_event_that_alerts() -> None:
    """Somebody searches the page for the words of the line that woke them."""
    events = set(alerting_events())
    assert Event.REDIS_FULL in events
    assert {event for event in events if f"`{event}`" not in text("docs/operating.md")} == set()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_to_operators_and_to_producers(reason: Reason) -> None:
    assert f"`{reason.value}`" in text("docs/operating.md")
    assert f"`{reason.value}`" in text("docs/producing.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in links(path.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text("utf-8")), target


def test_the_page_of_settings_is_made_from_the_settings() -> None:
    """`python -m config.page > docs/settings.md` makes it."""
    assert text("docs/settings.md") == page.page()


def links(markdown: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", markdown)


def test_the_index_names_every_page() -> None:
    named = {(ROOT / "docs" / link).resolve() for link in links(text("docs/index.md"))}
    assert {path for path in PAGES if path.parent == ROOT / "docs"} - {ROOT / "docs" / "index.md"} <= named


def paths(markdown: str) -> set[str]:
    """Return every file or folder of ours that a page names in backquotes."""
    return set(re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", markdown))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(path: Path) -> None:
    """Somebody follows the page to the code: a file that moves takes its page along."""
    assert {name for name in paths(path.read_text("utf-8")) if not (ROOT / name).exists()} == set()


def test_every_test_that_a_page_names_is_there() -> None:
    """The table of crashes names the tests behind each row by their files' stems."""
    named = {name for path in PAGES for name in re.findall(r"`(test_[a-z_]+)", path.read_text("utf-8"))}
    stems = {path.stem for path in (ROOT / "tests").rglob("test_*.py")} | {"test_ledger_"}
    assert "test_crash_points" in named
    assert named - stems == set()


def test_the_guide_names_fourteen_files_and_every_folder() -> None:
    guide = text("CONTRIBUTING.md")
    assert len(re.findall(r"^\d+\. `\w+/[\w/.]+`: ", guide, re.MULTILINE)) == 14
    rooms = {f"worker/{room.parent.name}/" for room in (ROOT / "worker").glob("*/__init__.py")}
    assert rooms - paths(guide) == set()


def test_the_page_of_tests_names_every_program() -> None:
    programs = {f"tests/support/{path.name}" for path in (ROOT / "tests" / "support").glob("*.py")}
    assert programs - paths(text("tests/README.md")) == set()


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if path.name not in GENERATED],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_prose_is_at_most_a_hundred_columns_wide(path: Path) -> None:
    """A diff of one long line shows nothing. Tables, fences, pictures, links may be longer."""
    generated_or_fence = r"^<!-- figures.*?end of figures -->$|^```.*?^```$"
    prose = re.sub(generated_or_fence, "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "!["))]
    assert [line for line in lines if len(line) > MAX_COLUMNS and " " in line.strip()[:MAX_COLUMNS]] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_setting_that_is_not_there(path: Path) -> None:
    known = {"VOICECODE_" + name.upper() for name in Settings.model_fields} | FROM_THE_ENVIRONMENT
    assert set(SETTING.findall(path.read_text("utf-8"))) - known == set()


def commands(markdown: str) -> Iterator[str]:
    """Yield every line that a reader may copy into a shell: in a fence, or in backquotes."""
    for fence in re.findall(r"^```sh\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        yield from fence.splitlines()
    yield from re.findall(r"`([^`\n]+)`", markdown)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_page_shows_is_there_with_its_options(path: Path) -> None:
    """At three in the morning nobody wants to meet `no such option`."""
    for line in commands(path.read_text("utf-8")):
        called = re.match(r"(?:.*\s|\./run )?voicecode ([a-z][^#]*)", line)
        if called is None:
            continue
        words = called[1].replace("...", "").split()
        command: click.Command = voicecode
        while words and isinstance(command, click.Group):
            if command.invoke_without_command and words[0].startswith("--"):
                break
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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_python_snippet_can_be_compiled(path: Path) -> None:
    for source in re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        compile(source, path.name, "exec")


def test_the_picture_of_the_demo_asks_no_other_server_for_anything() -> None:
    picture = text("docs/demo.svg")
    assert set(re.findall(r"https?://[^\s\"'<)]+", picture)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
