#!/usr/bin/env python3
"""sbom.py prints what is linked into `exequatur`: a CycloneDX 1.6 bill of materials.

From `cargo tree` and `cargo metadata`, for both architectures, with the checksums of Cargo.lock. What only takes part in building has the scope
`excluded`. The same commit gives the same bytes. aws-lc's and jemalloc's C sources are part of their crates.
"""

import json
import subprocess
import tomllib
import uuid
from datetime import UTC, datetime
from typing import Any

from archive import ROOT, epoch

TARGETS = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl")
PROGRAM = "exequatur-cli"
NAMESPACE = uuid.UUID("b3b1f9a2-6f0c-5d0e-9c6b-6b0d5a1f7e11")
Object = dict[str, Any]


def metadata(target: str) -> Object:
    words = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)


def tree(target: str, edges: str) -> dict[str, set[str]]:
    """What is built of the program, each with what it needs. `cargo metadata` would name what features leave out, too."""
    words = ["cargo", "tree", "--locked", "--package", PROGRAM, "--target", target, "--edges", edges, "--prefix", "depth", "--format", " {p}"]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, set[str]] = {}
    above: list[str] = []
    for line in said.splitlines():
        if line:
            depth, name, version, *_ = line.split()
            package = named(name, version.removeprefix("v"))
            found.setdefault(package, set())
            del above[int(depth) :]
            if above:
                found[above[-1]].add(package)
            above.append(package)
    return found


def named(name: str, version: str) -> str:
    return f"pkg:cargo/{name}@{version.replace('+', '%2B')}"


def reference(package: Object) -> str:
    return named(package["name"], package["version"])


def component(package: Object, checksums: dict[tuple[str, str], str], linked: bool) -> Object:
    said: Object = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "scope": "required" if linked else "excluded",
    }
    if checksum := checksums.get((package["name"], package["version"])):
        said["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        # The slash is what cargo once took for `OR`.
        said["licenses"] = [{"expression": package["license"].replace(" / ", "/").replace("/", " OR ")}]
    if package["source"]:
        said["purl"] = reference(package)
    if package["repository"] and package["repository"].startswith("https://"):
        said["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return said


def gathered() -> tuple[dict[str, Object], set[str], dict[str, set[str]], Object]:
    """The packages, those that are linked, who depends on whom, and the program."""
    packages: dict[str, Object] = {}
    linked: set[str] = set()
    edges: dict[str, set[str]] = {}
    for target in TARGETS:
        known = {reference(package): package for package in metadata(target)["packages"]}
        linked |= set(tree(target, "normal,no-proc-macro"))
        for package, needs in tree(target, "normal,build").items():
            packages[package] = known[package]
            edges.setdefault(package, set()).update(needs)
    (program,) = [package for package in packages.values() if package["name"] == PROGRAM]
    return packages, linked, edges, program


def bill() -> Object:
    """The whole document."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    checksums = {(each["name"], each["version"]): each["checksum"] for each in lock["package"] if "checksum" in each}
    channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text(encoding="utf-8"))["toolchain"]["channel"]
    packages, linked, edges, program = gathered()
    standard = {
        "type": "library",
        "bom-ref": "rust-std",
        "name": "rust-std",
        "version": channel,
        "description": "Rust's standard library, with the musl that it brings",
        "scope": "required",
    }
    top = reference(program)
    edges[top] = edges[top] | {"rust-std"}
    said: Object = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": top,
                "name": "exequatur",
                "version": program["version"],
                "licenses": [{"expression": program["license"]}],
            },
        },
        "components": [component(packages[name], checksums, name in linked) for name in sorted(packages) if name != top] + [standard],
        "dependencies": [{"ref": name, "dependsOn": sorted(edges[name])} for name in sorted(edges)] + [{"ref": "rust-std"}],
    }
    said["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps(said, sort_keys=True))}"
    return said


if __name__ == "__main__":
    print(json.dumps(bill(), indent=1, sort_keys=True))
