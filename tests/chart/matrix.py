"""Each case with each switch, and with as many as go together: against Kubernetes' schemas (the newest; without switches and
with all, each version) and the restricted profile, and that no rule of a NetworkPolicy is open to everybody."""

import json
from typing import Any

import addons
import examples
import hardening
from objects import pod
from rendering import ADDONS, KUBERNETES, MESH, NEWEST, OLDEST, Object, cases, changed, render, schema_problems, values

PEERS = [{"podSelector": {"matchLabels": {"app": "other"}}}]
ADMIN = {**values("operators")["admin"], "tls": {"existingSecret": "exequatur-admin-tls", "clientCa": {"existingSecret": "operators-ca"}}}
EGRESS = {
    "enabled": True,
    "redis": {"to": PEERS},
    "issuers": {"to": PEERS},
    "telemetry": {"to": PEERS},
    "others": [{"to": PEERS, "ports": [3128]}],
}
# What is turned, each of them a list of paths and values; those that need Redis are told by the store.
SWITCHES: dict[str, list[tuple[str, Any]]] = {
    "as it is": [],
    "no network policy": [("networkPolicy/enabled", False), ("networkPolicy/egress", {})],
    "what goes out": [("networkPolicy/enabled", True), ("networkPolicy/envoy", PEERS), ("networkPolicy/egress", EGRESS)],
    "operators": [("admin", ADMIN)],
    "no operators": [("admin", {})],
    "own certificate": [
        *[("config/listen", {"plaintext": "accepted"}), ("certManager", {}), ("admin/tls/existingSecret", "exequatur-admin-tls")],
        ("istio", {}),
        ("grpc", {"tls": {"existingSecret": "exequatur-grpc-tls", "clientCa": {"existingSecret": "envoys-ca"}}}),
    ],
    "made certificates": [
        *[("config/listen", {"plaintext": "accepted"}), ("grpc", {}), ("istio", {})],
        ("certManager", {"enabled": True, "issuerRef": {"name": "internal"}}),
    ],
    "monitoring": [
        ("monitoring", {key: {"enabled": True, "labels": {"release": "p"}} for key in ("podMonitor", "rules", "dashboards")})
    ],
    "service monitor": [("monitoring", {"serviceMonitor": {"enabled": True}})],
    "IPv6": [("listenAddress", "[::]")],
    "an account of one's own": [("serviceAccount", {"create": False, "name": "shared"})],
    "a mesh": [("service/headless", False), ("commonLabels", {"team": "gate"})],
    "one policy of many": [("policies", {"existingConfigMaps": [{"name": "a", "files": ["a.cedar"]}]})],
    "policies of a claim": [("policies", {"existingClaim": "policies"})],
    "more added": [
        ("extraEnv", [{"name": "TZ", "value": "UTC"}]),
        ("pod/topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
    ],
    "by load": [("autoscaling", {"enabled": True}), ("podDisruptionBudget", {"maxUnavailable": "25%"})],
    "no budget": [("podDisruptionBudget", {"enabled": False})],
}
# These do not go together with others that come before them.
APART = {"as it is", "no network policy", "no operators", "own certificate", "service monitor", "policies of a claim", "no budget"}
ONLY_REDIS = {"by load"}


def check() -> list[str]:
    wrong: list[str] = []
    seen: dict[str, Object] = {}
    for case in cases():
        shared = "redis" in values(case)["config"].get("store", {})
        switches = [name for name in SWITCHES if shared or name not in ONLY_REDIS]
        together = [name for name in switches if name not in APART]
        for names in [*([name] for name in switches), together]:
            given = values(case)
            for path, new in [turn for name in names for turn in SWITCHES[name]]:
                given = changed(given, path, new)
            given = fitting(given)
            what = f"{case} with {', '.join(names)}"
            newest = render(given)
            wrong += [f"{what}: {line}" for line in hardening.problems(pod(newest)) + open_rules(newest)]
            judged = [(NEWEST, found) for found in newest]
            if names in (["as it is"], together):
                judged += [(version, found) for version in KUBERNETES[1:-1] for found in newest]
                oldest = render(given, version=OLDEST)
                wrong += [f"{what}: {line}" for line in apart_from(oldest, newest)]
                judged += [(OLDEST, found) for found in oldest]
            seen |= {f"{version} {json.dumps(found, sort_keys=True)}": found for version, found in judged}
    others = {text.partition(" ")[2]: found for text, found in seen.items() if found["kind"] in ADDONS}
    for text, found in seen.items():
        if found["kind"] in MESH:
            wrong += examples.problems(found)
        elif found["kind"] not in ADDONS:
            wrong += schema_problems(found, text.partition(" ")[0])
    return wrong + addons.check(list(others.values()))


def fitting(given: Object) -> Object:
    """In a mesh the port for orders has its own identities, where there is one."""
    if not given.get("istio"):
        return given
    operators = ["cluster.local/ns/operators/sa/console"] if given.get("admin", {}).get("enabled") else []
    return changed(given, "istio/principals/operators", operators)


def open_rules(rendered: list[Object]) -> list[str]:
    """An empty `from` or `to` is everybody."""
    wrong = []
    for policy in (found for found in rendered if found["kind"] == "NetworkPolicy"):
        for way, whom in [("ingress", "from"), ("egress", "to")]:
            for rule in policy["spec"].get(way, []):
                if not rule.get(whom) or not rule.get("ports") or {} in rule[whom]:
                    wrong.append(f"{policy['metadata']['name']} has an open rule: {rule}")
    for policy in (found for found in rendered if found["kind"] == "AuthorizationPolicy"):
        for rule in policy["spec"].get("rules", [{}]):
            names = [name for source in rule.get("from", [{}]) for name in source.get("source", {}).get("principals", ["*"])]
            ports = [port for to in rule.get("to", [{}]) for port in to.get("operation", {}).get("ports", [])]
            if not names or any("*" in name for name in names) or not ports:
                wrong.append(f"{policy['metadata']['name']} has an open rule: {rule}")
    return wrong


def apart_from(oldest: list[Object], newest: list[Object]) -> list[str]:
    """`preStop.sleep` is not rendered for clusters that do not know it, and nothing else differs."""
    (container,) = pod(newest)["containers"]
    if container.pop("lifecycle", None) is None:
        return [f"nothing is waited for on Kubernetes {NEWEST}"]
    same = oldest == newest
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    return [] if same else [f"what is rendered for Kubernetes {OLDEST} differs by more than the time before a stop"]
