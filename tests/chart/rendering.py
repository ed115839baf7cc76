"""Renders the chart, with Helm's own library, and judges what Helm and Kubernetes' schemas can say of it."""

import copy
import functools
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "exequatur"
sys.path.insert(0, subprocess.check_output([ROOT / "tests/tools/helm.sh"], text=True).strip())

import helm_python as helm  # noqa: E402
import kubernetes_validate as kubernetes  # noqa: E402
import kubernetes_validate.utils as validation  # noqa: E402
import yaml  # noqa: E402
from helm_python import _native as native  # noqa: E402

NAME, NAMESPACE = "gate", "edge"
# The oldest that Chart.yaml allows, the one with `preStop.sleep`, one between, and the newest that the schemas are there for.
OLDEST, NEWEST = "1.28", "1.37"
KUBERNETES = [OLDEST, "1.30", "1.33", NEWEST]
# Kinds of others, whose schemas are not among those of Kubernetes (addons.py).
ADDONS = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "Certificate"}
# And of Istio (examples.py).
MESH = {"PeerAuthentication", "AuthorizationPolicy", "DestinationRule"}
Object = dict[str, Any]
# The same files are asked for again and again.
validation.schema_contents = functools.cache(validation.schema_contents)
validation.all_versions = functools.cache(validation.all_versions)
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What Helm says of a chart that need not be heeded.
HARMLESS = {"icon is recommended"}


class Refused(Exception):
    """Helm's words, where values were not rendered."""


def values(name: str) -> Object:
    """The values of `ci/<name>.yaml`."""
    return yaml.load((CHART / "ci" / f"{name}.yaml").read_text(encoding="utf-8"), Loader)


def metadata() -> Object:
    return yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))


def cases() -> list[str]:
    return sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def changed(value: Object, path: str, new: Any) -> Object:
    """A copy in which one thing differs. Parts of the path are separated by `/`."""
    result = copy.deepcopy(value)
    *parts, last = path.split("/")
    at = result
    for part in parts:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    at[int(last) if isinstance(at, list) else last] = new
    return result


def render(
    given: Object, name: str = NAME, version: str = NEWEST, chart: Path = CHART, namespace: str = NAMESPACE
) -> list[Object]:
    """What would be applied to a cluster of that version."""
    texts = rendered_texts(given, name, version, chart, namespace)
    texts = [text for path, text in texts.items() if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.load_all(text, Loader) if found]


def rendered_texts(
    given: Object, name: str = NAME, version: str = NEWEST, chart: Path = CHART, namespace: str = NAMESPACE
) -> dict[str, str]:
    # The library's own `render` has no argument for the version.
    options = json.dumps({"name": name, "namespace": namespace, "kube_version": f"v{version}.0"})
    try:
        return json.loads(native.call_string("helm_render", loaded(chart)._raw(), json.dumps(given), options))
    except helm.HelmError as error:
        raise Refused(str(error)) from error


@functools.cache
def loaded(chart: Path) -> helm.Chart:
    return helm.Chart.load(chart)


def check() -> list[str]:
    wrong = []
    for case in cases():
        given = values(case)
        report = helm.lint(CHART, given, strict=True)
        said = [message for message in report["messages"] if message["error"] not in HARMLESS]
        wrong += [f"{case}: helm lint: {message}" for message in [*said, *report["errors"]]]
    # Helm itself refuses others; the library does not.
    if metadata()["kubeVersion"] != f">={OLDEST}.0-0":
        wrong.append(f"kubeVersion is {metadata()['kubeVersion']}, and the oldest that is judged is {OLDEST}")
    wrong += packaged_problems()
    wrong += validator_problems()
    wrong += closed_problems()
    cargo = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    if f'\nversion = "{metadata()["appVersion"]}"\n' not in cargo:
        wrong.append("appVersion in Chart.yaml is not the version in Cargo.toml")
    return wrong


def schema_problems(found: Object, version: str = NEWEST) -> list[str]:
    try:
        judged = kubernetes.validate(found, version, strict=True)
    except (kubernetes.ValidationError, kubernetes.SchemaNotFoundError) as error:
        return [f"Kubernetes {version}, {found.get('kind')}: {error.message}"]
    return [] if judged == version else [f"there are no schemas of Kubernetes {version}"]


def packaged_problems() -> list[str]:
    """The chart as it is handed on renders the same, and has nothing of the tests."""
    with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
        archive = Path(helm.package(CHART, destination=folder))
        with tarfile.open(archive) as opened:
            names = {name.removeprefix("exequatur/") for name in opened.getnames()}
        same = render(values("operators"), chart=archive) == render(values("operators"))
    wrong = [] if same else ["the packaged chart renders something else"]
    wrong += [f"the package has {name}" for name in names if name.startswith(("ci/", "examples/"))]
    wanted = {"Chart.yaml", "README.md", "values.schema.json", "rules/exequatur.yaml", "dashboards/exequatur-state.json"}
    return wrong + [f"the package lacks {name}" for name in sorted(wanted - names)]


def validator_problems() -> list[str]:
    """The schemas are worth something only if they notice an unknown key and a wrong type."""
    service = next(found for found in render(values("embedded")) if found["kind"] == "Service")
    broken = {
        "an unknown key": changed(service, "spec/port", []),
        "a wrong type": changed(service, "spec/ports", "9191"),
    }
    return [f"the schemas of Kubernetes take {what}" for what, found in broken.items() if not schema_problems(found)]


def closed_problems() -> list[str]:
    """Each object of values.schema.json is closed, but for those that are somebody else's; and it knows values.yaml."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    wrong = []

    def walk(at: str, node: Object, default: Any) -> None:
        known = node.get("properties", {})
        if known and node.get("additionalProperties") is not False:
            wrong.append(f"values.schema.json is open at `{at or '.'}`")
        if known and at != "config" and set(known) - {"global"} != set(default):
            wrong.append(f"values.yaml and values.schema.json have other keys at `{at or '.'}`")
        for key, value in known.items():
            if isinstance(default, dict) and key in default:
                walk(f"{at}.{key}".lstrip("."), value, default[key])

    walk("", schema, defaults)
    return wrong
