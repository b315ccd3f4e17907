"""What stands in `deploy/`, by the programs that read it: Kubernetes' schemas and systemd."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from benchmarks.venvs import bin_of
from tests.integrations.prometheus import DEPLOY, run

pytestmark = pytest.mark.integrations
MANIFESTS: Final = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
RELEASES: Final = ("1.29", "1.37")
"""The oldest and the newest release whose schemas are tried."""


def validated(manifest: Path, release: str) -> subprocess.CompletedProcess[str]:
    program = str(bin_of("kubernetes") / "kubernetes-validate")
    command = [program, "--strict", "-k", release, str(manifest)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_fits_the_published_schemas(manifest: Path, release: str, tmp_path: Path) -> None:
    done = validated(manifest, release)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / manifest.name
    wrong.write_text(manifest.read_text().replace("readOnlyRootFilesystem", "readOnlyRoot"))
    assert validated(wrong, release).returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    """With a program that is there in place of the one that is installed later."""
    copy = tmp_path / unit.name
    there = re.sub(r"^(ExecStart=)\S+", rf"\g<1>{sys.executable}", unit.read_text(), flags=re.MULTILINE)
    copy.write_text(there)
    command = [str(shutil.which("systemd-analyze")), "verify", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    run("systemd-analyze", "security", "--offline=true", "--threshold=30", str(copy), cwd=tmp_path)
