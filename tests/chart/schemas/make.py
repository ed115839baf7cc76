#!/usr/bin/env python3
"""make.py ISTIO_API ENVOY_GATEWAY AGENTGATEWAY: makes the extracts in this folder from clones of the three repositories.

Each is the published schema of the version that SOURCES names, without descriptions, without status, and without what no example uses
where that is large: there it says `left-out`, and an example that comes to use it fails until this is run again. The tests need no clone.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import examples
from generated import compact
from rendering import yaml

SOURCES = {
    "istio": ("https://github.com/istio/api", "v1.30.3"),
    "envoy-gateway": ("https://github.com/envoyproxy/gateway", "v1.9.0"),
    "agentgateway": ("https://github.com/agentgateway/agentgateway", "v1.4.1"),
}
LICENCE = "Apache-2.0"
CRDS = "charts/gateway-helm/charts/crds/crds"
# Of each extract, the files with CustomResourceDefinitions.
DEFINED = {
    "istio": ["kubernetes/customresourcedefinitions.gen.yaml"],
    "envoy-gateway": [
        *(f"{CRDS}/generated/gateway.envoyproxy.io_{kind}.yaml" for kind in ("securitypolicies", "clienttrafficpolicies", "envoypatchpolicies")),
        f"{CRDS}/gatewayapi-crds.yaml",
    ],
}
WORDS = {"description", "default", "example", "examples", "format", "title", "$schema"}
# Bytes of what no example uses, above which it is left out.
MOST = 1000
LEFT_OUT = {"left-out": True}
SCALARS = {
    **dict.fromkeys(("string", "bytes", "google.protobuf.StringValue"), {"type": "string"}),
    **dict.fromkeys(("bool", "google.protobuf.BoolValue"), {"type": "boolean"}),
    **dict.fromkeys(("int32", "int64", "uint32", "uint64", "google.protobuf.UInt32Value", "google.protobuf.Int32Value"), {"type": "integer"}),
    **dict.fromkeys(("float", "double", "google.protobuf.DoubleValue"), {"type": "number"}),
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"},
}
Schema = dict[str, Any]


class Clone:
    def __init__(self, folder: str, tag: str) -> None:
        self.folder, self.tag = folder, tag

    def text(self, path: str) -> str:
        words = ["git", "-C", self.folder, "show", f"{self.tag}:{path}"]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def slim(value: Any) -> Any:
    """Without words for readers, and without rules that only an API server evaluates."""
    if isinstance(value, list):
        return [slim(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if key not in WORDS and not (key.startswith("x-kubernetes-") and key not in examples.OPEN)}
    return {
        key: {name: slim(item) for name, item in part.items()} if key in ("properties", "$defs") else slim(part)
        for key, part in kept.items()
    }


def cut(schema: Any, used: list[Any], defs: Schema, seen: dict[str, list[Any]]) -> Any:
    """Keeps what `used` uses and what is small. What is used of each of `defs` is gathered in `seen`."""
    if not isinstance(schema, dict):
        return schema
    if not used and (len(json.dumps(schema)) > MOST or "$ref" in json.dumps(schema)):
        return LEFT_OUT
    result = {}
    for key, part in schema.items():
        if key == "properties":
            result[key] = {name: cut(inner, [one[name] for one in used if isinstance(one, dict) and name in one], defs, seen) for name, inner in part.items()}
        elif key == "additionalProperties" and isinstance(part, dict):
            known = schema.get("properties", {})
            inside = [item for one in used if isinstance(one, dict) for name, item in one.items() if name not in known]
            result[key] = cut(part, inside, defs, seen)
        elif key == "items":
            result[key] = cut(part, [item for one in used if isinstance(one, list) for item in one], defs, seen)
        elif key in ("anyOf", "oneOf", "allOf"):
            result[key] = [cut(branch, used, defs, seen) for branch in part]
        else:
            result[key] = part
    if "$ref" in schema:
        seen.setdefault(schema["$ref"].rpartition("/")[2], []).extend(one for one in used if one not in seen.get(schema["$ref"].rpartition("/")[2], []))
    return result


def with_defs(root: Schema, used: list[Any]) -> Schema:
    """The same for a schema with definitions, of which those that are reached are kept."""
    defs = root.pop("$defs")
    seen: dict[str, list[Any]] = {}
    whole = cut(root, used, defs, seen)
    made: Schema = {}
    counts: dict[str, int] = {}
    while counts != (now := {name: len(there) for name, there in seen.items()}):
        counts = now
        for name in list(seen):
            made[name] = cut(defs[name], list(seen[name]), defs, seen)
    return {**whole, "$defs": dict(sorted(made.items()))}


def resources(name: str, clone: Clone) -> Schema:
    """Of each kind that an example has, by `apiVersion/kind`."""
    made = {}
    there = [found for found in examples.documents(name) if "kind" in found]
    for path in DEFINED[name]:
        for definition in yaml.safe_load_all(clone.text(path)):
            if not definition or definition["kind"] != "CustomResourceDefinition":
                continue
            kind, group = definition["spec"]["names"]["kind"], definition["spec"]["group"]
            for version in definition["spec"]["versions"]:
                key = f"{group}/{version['name']}/{kind}"
                used = [found for found in there if f"{found['apiVersion']}/{found['kind']}" == key]
                if used and version["served"]:
                    schema = slim(version["schema"]["openAPIV3Schema"])
                    schema["properties"].pop("status", None)
                    made[key] = cut(schema, used, {}, {})
    return made


def messages(text: str) -> Schema:
    """The messages and enums of a .proto file, as definitions."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    defs: Schema = {}
    where: list[tuple[str, str]] = []
    field = re.compile(r"\s*(repeated )?(?:map\s*<\s*string\s*,\s*([\w.]+)\s*>|([\w.]+)) (\w+) = \d+[^;]*;", re.DOTALL)
    at = 0
    while at < len(text):
        if opened := re.compile(r"\s*(message|enum|oneof) (\w+)\s*\{").match(text, at):
            where.append((opened[1], opened[2]))
            path = ".".join(name for kind, name in where if kind != "oneof")
            if opened[1] != "oneof":
                defs[path] = {"enum": []} if opened[1] == "enum" else {"type": "object", "additionalProperties": False, "properties": {}}
            at = opened.end()
        elif closed := re.compile(r"\s*\}").match(text, at):
            where = where[:-1]
            at = closed.end()
        elif where and where[-1][0] == "enum" and (value := re.compile(r"\s*(\w+)\s*=\s*-?\w+[^;]*;").match(text, at)):
            if value[1] != "option":
                defs[".".join(name for _, name in where)]["enum"].append(value[1])
            at = value.end()
        elif where and (found := field.match(text, at)) and (found[3] or found[2]) not in ("option", "reserved"):
            path = ".".join(name for kind, name in where if kind != "oneof")
            kind = {"unresolved": [path, found[2] or found[3]]}
            kind = {"type": "array", "items": kind} if found[1] else kind
            kind = {"type": "object", "additionalProperties": kind} if found[2] else kind
            first, *others = found[4].split("_")
            defs[path]["properties"][first + "".join(part.capitalize() for part in others)] = kind
            at = found.end()
        else:
            # Anything else: up to the end of the statement.
            at = re.compile(r"[^;{}]*(?:;|\{[^{}]*\}|\Z)|.", re.DOTALL).match(text, at).end()
    return {path: resolved(schema, defs) for path, schema in defs.items()}


def resolved(schema: Any, defs: Schema) -> Any:
    if isinstance(schema, dict) and "unresolved" in schema:
        path, name = schema["unresolved"]
        if name in SCALARS:
            return SCALARS[name]
        parts = path.split(".")
        for depth in range(len(parts), -1, -1):
            inner = ".".join([*parts[:depth], name])
            if inner in defs:
                return {"$ref": f"#/$defs/{inner}"}
        return LEFT_OUT
    if isinstance(schema, dict):
        return {key: resolved(part, defs) for key, part in schema.items()}
    return schema


def main() -> None:
    for (name, (source, tag)), folder in zip(SOURCES.items(), sys.argv[1:], strict=True):
        clone = Clone(folder, tag)
        made: Schema = {"source": f"{source} {tag}, {LICENCE}, by tests/chart/schemas/make.py"}
        if name in DEFINED:
            made["resources"] = resources(name, clone)
        if name == "istio":
            defs = messages(clone.text("mesh/v1alpha1/config.proto"))
            used = [found["meshConfig"] for found in examples.documents(name) if "meshConfig" in found]
            made["meshConfig"] = with_defs({"$defs": defs, "$ref": "#/$defs/MeshConfig"}, used)
        if name == "agentgateway":
            made["configuration"] = with_defs(slim(json.loads(clone.text("schema/config.json"))), examples.documents(name))
        (HERE / f"{name}.json").write_text(f"{compact(made)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
