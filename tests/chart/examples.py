"""The manifests of examples/{istio,envoy-gateway,agentgateway} against the published schemas of what reads them.

The schemas are extracts (schemas/*.json name their source and version; schemas/make.py makes them): of CustomResourceDefinitions, of Istio's
MeshConfig and of agentgateway's configuration; Kubernetes' own objects are judged as the chart's are. An unknown key is refused everywhere but where the schema itself takes any. Rules in CEL
are not evaluated: only an API server does that.
"""

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

from rendering import ROOT, Loader, Object, schema_problems, yaml

# After rendering.py, which says where it is installed.
from jsonschema import Draft202012Validator  # isort: skip

SCHEMAS = ROOT / "tests/chart/schemas"
FOLDERS = ["istio", "envoy-gateway", "agentgateway"]
# By these a schema takes keys that it does not name.
OPEN = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
STRANGE = "notKnownToAnybody"


def documents(folder: str) -> list[Object]:
    files = sorted((ROOT / "examples" / folder).glob("*.yaml"))
    return [found for file in files for found in yaml.load_all(file.read_text(encoding="utf-8"), Loader) if found]


def check() -> list[str]:
    wrong = []
    for folder in FOLDERS:
        found = documents(folder)
        wrong += [] if found else [f"examples/{folder} has no manifest"]
        for document in found:
            if document.get("apiVersion") == "v1":  # Kubernetes' own; rendering.py sees to it that its schemas notice something
                wrong += [f"examples/{folder}: {line}" for line in schema_problems(document)]
                continue
            wrong += [f"examples/{folder}: {line}" for line in problems(document)]
            wrong += [f"examples/{folder}: {line}" for line in unnoticed(document)]
    return wrong


@functools.cache
def extracts() -> Object:
    return {folder: json.loads((SCHEMAS / f"{folder}.json").read_text(encoding="utf-8")) for folder in FOLDERS}


def judge(document: Object) -> tuple[str, Draft202012Validator, Any]:
    """What it is, by which schema it is judged, and which part of it."""
    if "kind" in document:
        key = f"{document['apiVersion']}/{document['kind']}"
        return f"{document['kind']} {document['metadata']['name']}", resource(key), document
    if "meshConfig" in document:
        return "meshConfig", configuration("istio", "meshConfig"), document["meshConfig"]
    return "configuration", configuration("agentgateway", "configuration"), document


@functools.cache
def resource(key: str) -> Draft202012Validator:
    for extract in extracts().values():
        if schema := extract.get("resources", {}).get(key):
            # What every object has, some schemas do not repeat.
            version, _, kind = key.rpartition("/")
            usual = {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": {"type": "object"}}
            return Draft202012Validator(closed({**schema, "properties": {**schema["properties"], **usual}}))
    raise KeyError(key)


@functools.cache
def configuration(folder: str, key: str) -> Draft202012Validator:
    return Draft202012Validator(closed(extracts()[folder][key], published=True))


def closed(schema: Any, published: bool = False, branch: bool = False) -> Any:
    """With keys that are not named refused, as an API server does of a strict request; and nothing let through that was left out.
    `published`: the schema says itself where it is closed. `branch`: of an `anyOf` or the like, which only says more of the same."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("left-out"):
        return {"not": {}, "$comment": "left out of the extract: tests/chart/schemas/make.py"}
    result = {}
    for key, part in schema.items():
        if key in ("properties", "$defs"):
            result[key] = {name: closed(inner, published, branch) for name, inner in part.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            result[key] = [closed(inner, published, not published) for inner in part]
        elif key == "not":
            result[key] = part
        else:
            result[key] = closed(part, published, branch)
    if not published and not branch and "properties" in schema and "additionalProperties" not in schema and not any(schema.get(key) for key in OPEN):
        result["additionalProperties"] = False
    return result


def problems(document: Object) -> list[str]:
    try:
        name, validator, part = judge(document)
    except KeyError as error:
        return [f"there is no schema of {error}: tests/chart/schemas/make.py"]
    return [f"{name}, at {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(part)]


def unnoticed(document: Object) -> list[str]:
    """Into each object of it another key, and instead of each text and number a list: the schema has to say so, or be open there."""
    name, validator, part = judge(document)
    wrong = []
    for path, value in walk(part):
        if path[:1] == ("metadata",) or opened(path):
            continue
        broken = copy.deepcopy(part)
        if isinstance(value, dict):
            at(broken, path)[STRANGE] = 1
        elif path:
            at(broken, path[:-1])[path[-1]] = [[value]]
        if broken != part and validator.is_valid(broken):
            wrong.append(f"{name}: at {'/'.join(map(str, path))} anything would be taken")
    return wrong


def opened(path: tuple[Any, ...]) -> bool:
    """Where somebody else's configuration stands, or names are free."""
    return path[-1:] == ("matchLabels",) or path[-2:-1] == ("matchLabels",) or "value" in path or path[-1:] == ("labels",) or path[-2:-1] == ("labels",)


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value
