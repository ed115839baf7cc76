#!/usr/bin/env python3
"""Makes the extracts of published schemas that tests check lines of records against.

    git clone --branch 1.8.0 https://github.com/ocsf/ocsf-schema
    git clone --branch v9.4.0 https://github.com/elastic/ecs
    tests/tools/formats.py ocsf-schema ecs

Both are under Apache-2.0. What is kept of them: names of attributes, types, what is required, values of enumerations; of OCSF for the
classes and objects that are written, of ECS for the field sets that are. Needs PyYAML. With --check, says whether the extracts are as
they would be made."""

import argparse
import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parents[2] / "crates/audit/tests/formats/schemas"
OCSF = "1.8.0"
ECS = "9.4.0"
CLASSES = [
    "application/api_activity",
    "application/application_error",
    "application/application_lifecycle",
    "iam/authentication",
    "iam/entity_management",
    "network/http_activity",
]
OBJECTS = [
    "actor", "api", "authorization", "http_request", "http_response", "idp", "managed_entity", "metadata",
    "network_endpoint", "network_traffic", "policy", "product", "request", "resource_details", "service",
    "session", "trace", "user",
]
FIELD_SETS = [
    "@timestamp", "destination", "ecs", "error", "event", "gen_ai", "http", "log", "observer",
    "organization", "related", "rule", "source", "trace", "url", "user",
]
# Sets that are used again in others, of which nothing is written.
NESTED = ["as", "changes", "effective", "entity", "geo", "nat", "os", "risk"]


class Ocsf:
    def __init__(self, folder):
        self.folder = folder
        if self.read("version")["version"] != OCSF:
            sys.exit(f"not OCSF {OCSF}")
        dictionary = self.read("dictionary")
        self.dictionary, self.types = dictionary["attributes"], dictionary["types"]["attributes"]
        self.categories = self.read("categories")["attributes"]

    def read(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())

    def extends(self, kind, name):
        """The item's definition and those that it extends, the most general one first."""
        if kind == "objects":
            found = f"objects/{name}"
        else:
            (path,) = (self.folder / "events").rglob(f"{name}.json")
            found = str(path.relative_to(self.folder).with_suffix(""))
        item = self.read(found)
        parent = item.get("extends")
        return (self.extends(kind, parent) if parent else []) + [item]

    def attributes(self, chain):
        """What the item says of each attribute, over what it extends, over what profiles say."""
        merged = {}
        for item in chain:
            own = dict(item["attributes"])
            for include in own.pop("$include", []):
                profile = self.read(include.removesuffix(".json"))
                for name, attribute in profile["attributes"].items():
                    merge(merged.setdefault(name, {}), attribute | {"profile": profile["name"]})
            for name, attribute in own.items():
                merge(merged.setdefault(name, {}), attribute)
        return {name: self.attribute(name, said) for name, said in sorted(merged.items())}

    def attribute(self, name, said):
        whole = json.loads(json.dumps(self.dictionary[name]))
        merge(whole, said)
        kept = {"type": whole["type"]}
        if whole.get("is_array"):
            kept["array"] = True
        if whole.get("requirement") in ("required", "recommended"):
            kept["requirement"] = whole["requirement"]
        if whole.get("profile"):
            kept["profile"] = whole["profile"]
        if "@deprecated" in whole:
            kept["deprecated"] = whole["@deprecated"]["since"]
        if "enum" in whole:
            kept["enum"] = {value: of["caption"] for value, of in sorted(whole["enum"].items())}
            if "sibling" in whole:
                kept["sibling"] = whole["sibling"]
        return kept

    def constraints(self, chain):
        """The most special ones count alone."""
        return next((item["constraints"] for item in reversed(chain) if item.get("constraints")), {})

    def extract(self):
        classes, objects = {}, {}
        for path in CLASSES:
            chain = self.extends("events", path.split("/")[1])
            category = next(item["category"] for item in reversed(chain) if "category" in item)
            uid = self.categories[category]["uid"] * 1000 + chain[-1]["uid"]
            profiles = sorted({profile for item in chain for profile in item.get("profiles", [])})
            attributes = self.attributes(chain)
            attributes["class_uid"]["enum"] = {str(uid): chain[-1]["caption"]}
            attributes["category_uid"]["enum"] = {str(uid // 1000): self.categories[category]["caption"]}
            classes[str(uid)] = {
                "profiles": profiles,
                "constraints": self.constraints(chain),
                "attributes": attributes,
            }
        for name in OBJECTS:
            chain = self.extends("objects", name)
            objects[name] = {"constraints": self.constraints(chain), "attributes": self.attributes(chain)}
        used = {a["type"] for item in [*classes.values(), *objects.values()] for a in item["attributes"].values()}
        types = {
            name: {key: of[key] for key in ("type", "max_len", "range") if key in of} | ({"regex": True} if "regex" in of else {})
            for name, of in sorted(self.types.items())
            if name in used
        }
        source = "https://github.com/ocsf/ocsf-schema, Apache-2.0, by tests/tools/formats.py"
        return {"version": OCSF, "source": source, "classes": classes, "objects": objects, "types": types}


def merge(into, over):
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def ecs(folder):
    if (folder / "version").read_text().strip() != ECS:
        sys.exit(f"not ECS {ECS}")
    flat = yaml.safe_load((folder / "generated/ecs/ecs_flat.yml").read_text())
    fields = {}
    for name, of in sorted(flat.items()):
        parts = name.split(".")
        if parts[0] not in FIELD_SETS or any(part in NESTED for part in parts[1:-1]) or of["type"] == "object":
            continue
        kept = {"type": of["type"]}
        if "array" in of.get("normalize", []):
            kept["array"] = True
        if of.get("required"):
            kept["required"] = True
        if "allowed_values" in of:
            kept["allowed"] = {value["name"]: value.get("expected_event_types", []) for value in of["allowed_values"]}
        fields[name] = kept
    source = "https://github.com/elastic/ecs, Apache-2.0, by tests/tools/formats.py"
    return {"version": ECS, "source": source, "fields": fields}


def laid_out(value, depth=0, most=130):
    """JSON, an object in one line where it fits there."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or (len(flat) + depth <= most and depth > 0):
        return flat
    inner = ",\n".join(f"{' ' * (depth + 1)}{json.dumps(key)}: {laid_out(of, depth + 1)}" for key, of in value.items())
    return f"{{\n{inner}\n{' ' * depth}}}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("ocsf", type=pathlib.Path)
    parser.add_argument("ecs", type=pathlib.Path)
    arguments = parser.parse_args()
    made = {"ocsf.json": Ocsf(arguments.ocsf).extract(), "ecs.json": ecs(arguments.ecs)}
    for name, extract in made.items():
        text = laid_out(extract) + "\n"
        if arguments.check and (HERE / name).read_text() != text:
            sys.exit(f"{name} is not as it would be made")
        if not arguments.check:
            (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
