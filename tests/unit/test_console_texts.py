"""The console's texts: none is missing in one language, and each that is asked for is there."""

import ast
import re
import string
from pathlib import Path
from typing import Final

import pytest

from config.replies import ROWS, Replies
from worker.console.access.roles import Role
from worker.console.acts.kinds import KINDS
from worker.console.telling.texts import TEXTS
from worker.console.telling.words import ALL, choose
from worker.failure_queue.outcomes import Outcome
from worker.failure_queue.statuses import ReplayStatus
from worker.retry import Reason
from worker.sending.state import State

CONSOLE: Final = Path(__file__).parents[2] / "worker" / "console"
TEMPLATES: Final = sorted((CONSOLE / "templates").glob("*.html"))
GROUPS: Final = {
    "role": [role.value for role in Role],
    "state": [state.value for state in State],
    "status": [status.value for status in ReplayStatus],
    "outcome": [outcome.value for outcome in Outcome],
    "reason": [reason.value for reason in Reason],
    "scope": ["account", "host", "number", "message", "none"],
    "plan": list(KINDS),
    "plan.does": list(KINDS),
    "plan.go": list(KINDS),
    "cure": [row.runbook for row in ROWS if row.mends.value == "person"],
    "action": ["begin", "end", *(name for name in KINDS if name not in {"hold", "resume"})],
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_there_in_both_languages(name: str) -> None:
    english, chinese = TEXTS[name]
    assert english.strip()
    assert chinese.strip()
    assert placeholders(english) == placeholders(chinese)


def asked_for_in_code() -> set[str]:
    found = set()
    for path in CONSOLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                constants = [a.value for a in node.args if isinstance(a, ast.Constant)]
                texts = [value for value in constants if isinstance(value, str)]
                if called in {"words", "ask.words", "self"} or called == "Refused":
                    found.update(texts[:1])
    return found


def test_every_text_that_is_asked_for_is_there() -> None:
    """In the templates, in the code, and for every member of every group."""
    templates = {name for path in TEMPLATES for name in re.findall(r'\bt\("([a-z_.]+)"', path.read_text())}
    whole = {name for name in templates if not name.endswith(".")}
    grouped = {f"{group}.{name}" for group, names in GROUPS.items() for name in names}
    assert len(whole) > 80
    assert (whole | grouped | asked_for_in_code()) - TEXTS.keys() == set()


def test_every_reply_and_symptom_can_be_told_in_chinese() -> None:
    untold = [row.name for row in Replies().rows if not row.message and TEXTS.get(f"row.{row.name}") is None]
    assert untold == []
    assert ALL["zh"].row(Replies().of_code(405, "")) == "用户名或密码不正确"


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr-FR, en;q=0.3, zh;q=0.5", "zh"),
        ("", "en-US,en;q=0.9", "en"),
        ("", "", "en"),
        ("", "fr", "en"),
        ("", "zh;q=rubbish, en", "en"),
        ("en", "zh-CN", "en"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(cookie: str, accepted: str, language: str) -> None:
    assert choose(cookie, accepted).language == language


@pytest.mark.parametrize("path", [*TEMPLATES, *(CONSOLE / "static").iterdir()], ids=lambda path: path.name)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(path: Path) -> None:
    """The policy forbids both: such a part would be dead."""
    text = path.read_text("utf-8")
    assert re.findall(r"\son[a-z]+=|\sstyle=|<style|javascript:|<script(?! src=)", text) == []
    assert [found for found in re.findall(r"https?:[^\s\"']+", text) if "www.w3.org" not in found] == []
    assert "innerHTML" not in text
