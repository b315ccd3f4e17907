"""What stands in `deploy/` names settings, commands and runbooks that are there."""

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from config.settings import Settings

ROOT: Final = Path(__file__).parents[2]
FILES: Final = [path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()]
PAGE: Final = (ROOT / "docs" / "operating.md").read_text("utf-8")
METRICS: Final = set(re.findall(r"`(voicecode_\w+)", (ROOT / "docs" / "monitoring.md").read_text("utf-8")))
NO_METRICS: Final = {"voicecode_account", "voicecode_apikey"}


@pytest.mark.parametrize("path", [*FILES, ROOT / "docker-compose.yml"], ids=lambda path: path.name)
def test_it_sets_what_can_be_set(path: Path) -> None:
    known = {f"VOICECODE_{name.upper()}" for name in Settings.model_fields} | {"VOICECODE_SECRETS_DIR"}
    assert set(re.findall(r"VOICECODE_[A-Z_]*[A-Z]", path.read_text("utf-8"))) <= known


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_metric_that_is_asked_for_is_explained(path: Path) -> None:
    text = path.read_text("utf-8")
    named = {name.removesuffix("_bucket") for name in re.findall(r"\bvoicecode_[a-z_]+\b", text)}
    assert named - NO_METRICS <= METRICS


def test_every_alert_names_a_runbook_that_is_there() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "voicecode.rules.yml").read_text("utf-8")
    named = re.findall(r"runbook_url: docs/operating\.md#(\S+)", rules)
    assert len(named) == rules.count("- alert:")
    assert [name for name in named if f"### {name}\n" not in PAGE] == []


def test_a_worker_has_the_time_that_it_needs_to_stop() -> None:
    """As in the compose file: an attempt, and an outcome that waits for Redis."""
    unit = (ROOT / "deploy" / "systemd" / "voicecode-worker.service").read_text("utf-8")
    pod = (ROOT / "deploy" / "kubernetes" / "worker.yaml").read_text("utf-8")
    settings = Settings()
    needed = settings.attempt_deadline_seconds + settings.shutdown_grace_seconds
    for text, pattern in ((unit, r"TimeoutStopSec=(\d+)"), (pod, r"terminationGracePeriodSeconds: (\d+)")):
        found = re.search(pattern, text)
        assert found is not None
        assert float(found[1]) > needed
    assert "[voicecode-health, --live]" in pod
    assert "[voicecode-health, --ready]" in pod


def test_every_container_is_read_only_and_its_logs_are_bounded() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    services, _, rest = text.partition("\nservices:\n")[2].partition("\nsecrets:\n")
    found = re.split(r"^  (\w+):\n", services, flags=re.MULTILINE)
    by_name = dict(zip(found[1::2], found[2::2], strict=True))
    assert set(by_name) == {"redis", "worker", "exporter", "console", "prometheus"}
    for name, service in by_name.items():
        for line in ("read_only: true", "no-new-privileges:true", "restart: unless-stopped", "*logging"):
            assert line in service, (name, line)
    assert "/tmp:mode=1777" in by_name["worker"]  # noqa: S108 - the container's own
    assert "--maxmemory 1gb --maxmemory-policy noeviction" in by_name["redis"]
    assert "max-size" in text
    # A secret that came by the environment would be written into the container's file system.
    assert set(re.findall(r"^    (\w+): \S+$", rest.partition("\nvolumes:")[0], re.MULTILINE)) == {"file"}


def test_the_image_is_built_of_all_that_the_project_installs() -> None:
    """`voicecode.py` was missing: then neither the command nor the health check starts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    installed = project["tool"]["setuptools"]
    packages = [name.rstrip("*") for name in installed["packages"]["find"]["include"]]
    modules = [f"{name}.py" for name in installed["py-modules"]]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert {*packages, *modules, "pyproject.toml", project["project"]["readme"]} - let_in == set()


def test_the_dashboard_has_a_query_in_every_panel() -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "voicecode.json").read_text("utf-8"))
    assert all(panel["targets"] for panel in board["panels"])
