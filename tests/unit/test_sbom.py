"""`./run sbom`: what a worker installs, for those who look for known holes."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_list_has_every_pinned_package_with_all_of_its_hashes() -> None:
    shown = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "sbom.py")], capture_output=True, text=True, check=True
    ).stdout
    document, lock = json.loads(shown), (ROOT / "requirements" / "image.txt").read_text("utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[\S*\])?==([^\s;]+)", lock, re.MULTILINE)
    components = document["components"]

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert [(part["name"], part["version"]) for part in components] == pins
    assert {part["purl"] for part in components} >= {f"pkg:pypi/celery@{dict(pins)['celery']}"}
    hashes = [
        h["content"] for part in components for ref in part["externalReferences"] for h in ref["hashes"]
    ]
    assert hashes == re.findall(r"--hash=sha256:([0-9a-f]{64})", lock)
    scopes = {part["name"]: part["scope"] for part in components}
    assert (scopes["celery"], scopes["cryptography"]) == ("required", "optional")
