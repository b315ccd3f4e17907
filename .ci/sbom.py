"""Write a CycloneDX list of what a worker installs, from requirements/image.txt, to stdout."""  # noqa: INP001 - a program

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str, required: str) -> list[dict[str, Any]]:
    """Return a component for each package that `lock` pins, with the hash of each of its files.

    What `required` does not pin is optional: it comes with an extra.
    """
    without_extras = {pin[1] for line in required.splitlines() if (pin := _PIN.match(line))}
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name, version, condition = pin.groups()
            found.append(
                {
                    "type": "library",
                    "name": name,
                    "version": version,
                    "scope": "required" if name in without_extras else "optional",
                    "purl": f"pkg:pypi/{name.lower()}@{version}",
                    "bom-ref": f"{name}=={version}",
                    "externalReferences": [],
                }
            )
            if condition:
                found[-1]["properties"] = [{"name": "python:marker", "value": condition}]
        elif digest := _HASH.search(line):
            # A component has one hash of a kind, so each file is a reference of its own.
            found[-1]["externalReferences"].append(
                {
                    "type": "distribution",
                    "url": found[-1]["purl"],
                    "hashes": [{"alg": "SHA-256", "content": digest[1]}],
                }
            )
    return found


def document() -> dict[str, Any]:
    """Return the whole list. It has no time in it: the same lock gives the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    image, runtime = (
        (ROOT / "requirements" / f"{name}.txt").read_text("utf-8") for name in ("image", "runtime")
    )
    listed = components(image, runtime)
    own = f"{project['name']}=={project['version']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": project["name"],
                "version": project["version"],
                "bom-ref": own,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": listed,
        "dependencies": [{"ref": own, "dependsOn": [part["bom-ref"] for part in listed]}],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")
