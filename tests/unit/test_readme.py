"""README.md in both languages: the same commands, settings, links and versions, all true."""

import ast
import re
from pathlib import Path

from config import page

ROOT = Path(__file__).parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def links(markdown: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", markdown)


def settings_told(markdown: str) -> list[tuple[str, str]]:
    """Return name and default of each setting in a README's table."""
    return re.findall(r"^\| (`VOICECODE_\w+`) \| ([^|]+) \|", markdown, re.MULTILINE)


def test_the_readme_tells_settings_as_they_are() -> None:
    told = settings_told(text("README.md"))
    known = dict(re.findall(r"^\| (`VOICECODE_\w+`) \| [^|]+ \| ([^|]+) \|", page.page(), re.MULTILINE))
    assert len(told) >= 6
    assert told == [(name, known[name]) for name, _ in told]


def shell(markdown: str) -> list[str]:
    """Return the lines of every `sh` fence without their comments."""
    fences = re.findall(r"^```sh\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    return [line.partition("#")[0].strip() for fence in fences for line in fence.splitlines()]


def code(markdown: str) -> list[str]:
    """Return what Python snippets do, whatever their comments say."""
    fences = re.findall(r"^```python\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    return [ast.dump(ast.parse(fence)) for fence in fences]


def test_the_chinese_readme_says_what_the_english_one_says() -> None:
    """Commands, snippets, links and settings agree, in order; only prose is translated."""
    english, chinese = text("README.md"), text("README.zh-CN.md")
    other = {"README.zh-CN.md": "README.md"}
    assert shell(chinese) == shell(english) != []
    assert code(chinese) == code(english) != []
    assert links(chinese) == [other.get(link, link) for link in links(english)]
    told = [(name, default.replace("无", "none")) for name, default in settings_told(chinese)]
    assert told == settings_told(english)
    assert chinese.count("\n## ") == english.count("\n## ")


def test_readme_metadata_and_workflow_name_the_same_versions_of_python() -> None:
    """Only versions on which the tests were run; the workflow runs them on each."""
    found = [
        re.findall(pattern, text(name), re.MULTILINE)
        for name, pattern in (
            ("pyproject.toml", r'^    "Programming Language :: Python :: (3[.]\d+)"'),
            (".github/workflows/ci.yml", r'"(3[.]\d+)"'),
        )
    ]
    found += [
        re.findall(r"3[.]\d+", re.findall(r"^\| Python \|(.+)$", text(name), re.MULTILINE)[0])
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert found[0] == found[1] == found[2] == found[3] != []
