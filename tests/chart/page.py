"""The values that docs/how-to/kubernetes.md shows: the whole file is rendered, and each excerpt over it."""

import copy
import re

from rendering import KUBERNETES, ROOT, Object, Refused, render, schema_problems, values, yaml

PAGE = ROOT / "docs/how-to/kubernetes.md"
# What an excerpt needs that stands elsewhere on the page.
NEEDS: dict[str, Object] = {"networkPolicy": {"config": {"store": values("redis")["config"]["store"]}, "secrets": values("redis")["secrets"]}}


def check() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    (whole,) = re.findall(r"^```yaml values\.yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    excerpts = [yaml.safe_load(one) for one in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "{{" not in one]
    base = yaml.safe_load(whole)
    wrong = [] if len(excerpts) >= 5 else [f"kubernetes.md has only {len(excerpts)} excerpts of values"]
    for excerpt in [{}, *excerpts]:
        given = merged(base, excerpt)
        for key in excerpt:
            given = merged(given, NEEDS.get(key, {}))
        try:
            for version in KUBERNETES:
                for found in render(given, version=version):
                    wrong += schema_problems(found, version) if "." not in found["apiVersion"].partition("/")[0] else []
        except Refused as refused:
            wrong.append(f"kubernetes.md shows {', '.join(excerpt) or 'values'} that are refused: {refused}")
    return wrong


def merged(base: Object, more: Object) -> Object:
    """As Helm merges a second file of values."""
    result = copy.deepcopy(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result
