import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.store import scripts
from worker.store.scripts import Parameters, Script

ROOT = Path(__file__).parents[2] / "worker"
FILES = sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.lua"))
INCLUDED = {name for file in FILES for name in re.findall(r"-- @include (\S+)", scripts.read_file(file))}
SCRIPTS = [name for name in FILES if name not in INCLUDED]


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_names_each_argument_once_and_uses_the_name_from_then_on(name: str) -> None:
    text = without_comments(scripts.read_file(name))
    parameters = Parameters.of(name)
    count = len(parameters.names) + (parameters.rest is not None)

    assert text.count("ARGV") == count
    assert parameters.names[:2] == ("clock_offset", "version")
    for argument in (*parameters.names, *filter(None, [parameters.rest])):
        if argument not in {"clock_offset", "version"}:
            assert len(re.findall(rf"\b{argument}\b", text)) > 1, f"{argument} is named and never used"


@pytest.mark.parametrize("name", sorted(INCLUDED))
def test_what_scripts_include_takes_its_arguments_from_them(name: str) -> None:
    assert "ARGV" not in without_comments(scripts.read_file(name))


def test_arguments_are_sent_in_the_scripts_order_whatever_order_python_names_them_in() -> None:
    bind = Parameters(script="s", names=("clock_offset", "key", "token"), rest="tags").bind

    assert bind(token="t", tags=["a", "b"], clock_offset=0, key="k") == [0, "k", "t", "a", "b"]


def test_a_name_that_the_script_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match=r"s\.lua knows no lease"):
        Parameters(script="s", names=("key",), rest=None).bind(key="k", lease=15)


def test_a_name_that_python_does_not_give_is_asked_for() -> None:
    with pytest.raises(TypeError, match=r"s\.lua needs token"):
        Parameters(script="s", names=("key", "token"), rest=None).bind(key="k")


def test_locals_that_skip_an_argument_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "read_file", lambda _name: "local a = ARGV[1]\nlocal b = ARGV[3]\n")

    with pytest.raises(ValueError, match="in order, one local a line"):
        Parameters.of("s")


def test_a_script_hands_its_bound_arguments_to_the_client() -> None:
    class Client:
        def register_script(self, _text: str, /) -> Callable[..., Any]:
            return lambda *, keys, args: (keys, args)

    given = {name: f"value of {name}" for name in Parameters.of("ledger/refuse").names}

    assert Script(Client(), "ledger/refuse")(["k1"], **given) == (["k1"], list(given.values()))


@pytest.mark.parametrize("name", FILES)
def test_lua_keeps_the_widths_of_our_python(name: str) -> None:
    """110 columns for code, 100 for a line that is prose."""
    long = [
        line
        for line in scripts.read_file(name).splitlines()
        if len(line) > (100 if line.lstrip().startswith("--") else 110)
    ]
    assert long == []
