"""`helm test`: what the pod is, who lets it in and for how long, and its very commands against a running Exequatur."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import hardening
import mounts
from objects import FULL, SELECTOR, find
from rendering import CHART, NAMESPACE, Object, Refused, changed, render, schema_problems, values

TESTER = {"app.kubernetes.io/name": "exequatur-test", "app.kubernetes.io/instance": "gate"}
FILES = "/run/secrets/exequatur-test"
OWN_TLS = {"existingSecret": "exequatur-grpc-tls", "clientCa": {"existingSecret": "envoys-ca"}}
TOKEN = {"existingSecret": "tester", "key": "token"}
REFUSED: list[tuple[str, Any, str]] = [
    ("redis", {}, "tests.permit.url is empty"),
    ("certificates", {"permit": {"url": "https://a/b"}}, "tests.tls.clientSecret is empty"),
    ("operators", {"permit": {"url": "https://a/b"}, "tls": {"clientSecret": "x"}}, "tests.tls.ca.existingSecret is empty"),
    ("public", {}, "tests.deny.url is empty"),
    ("embedded", {"tls": {"clientSecret": "x"}}, "tests.tls is for a listener with TLS"),
    ("embedded", {"permit": {"url": "http://a/b"}}, "tests/permit/url"),
    ("embedded", {"deny": {"reason": "not so"}}, "tests/deny/reason"),
    ("embedded", {"permit": {"headers": ["x"]}}, "tests/permit/headers/0"),
]


def on(given: Object, tests: Object) -> Object:
    return changed(given, "tests", {"enabled": True, **tests})


def secured() -> Object:
    """TLS of one's own, with clients' certificates, and a permit to a token."""
    given = changed(changed(values("embedded"), "grpc", {"tls": OWN_TLS}), "image/pullSecrets", ["registry"])
    tls = {"ca": {"existingSecret": "envoys-ca", "key": "ca.crt"}, "clientSecret": "exequatur-grpc-tls"}
    return on(given, {"tls": tls})


def check() -> list[str]:
    wrong = []
    for name, given in {"plain": on(values("embedded"), {}), "secured": secured()}.items():
        wrong += [f"helm test, {name}: {line}" for line in problems(render(given), given)]
    with_token = on(values("redis"), {"permit": {"url": "https://api.example.com/notes/1", "token": TOKEN}})
    rendered = render(with_token)
    (container, _) = find(rendered, "Pod", f"{FULL}-test")["spec"]["containers"]
    if container["args"][-4:] != ["--token-file", f"{FILES}/token", "--expect", "permit"]:
        wrong.append(f"helm test: a token is given as {container['args']}")
    wrong += [f"helm test: {line}" for line in problems(rendered, with_token)]
    silent = changed(with_token, "networkPolicy", {"enabled": False})
    if [found for found in render(silent) if found["kind"] == "NetworkPolicy"]:
        wrong.append("helm test: a NetworkPolicy where there is none else would shut out everybody")
    for case, tests, said in REFUSED:
        try:
            public = changed(values("embedded"), "config/routes", [values("embedded")["config"]["routes"][1]])
            render(on(public if case == "public" else values(case), tests))
        except Refused as refused:
            wrong += [] if said in str(refused) else [f"tests = {tests}: `{said}` is not in `{refused}`"]
        else:
            wrong.append(f"{case} with tests = {tests} is rendered")
    return wrong


def missed(chart: Path) -> bool:
    """Whether this changed chart is noticed."""
    given = secured()
    try:
        return bool(problems(render(given, chart=chart), given, chart))
    except Exception:  # noqa: BLE001 (what cannot be rendered or read any more was noticed)
        return True


def problems(rendered: list[Object], given: Object, chart: Path = CHART) -> list[str]:
    wrong = []

    def same(what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            wrong.append(f"{what} is {got!r}, not {wanted!r}")

    # Nothing else changes by it.
    others = [found for found in rendered if found["metadata"]["name"] != f"{FULL}-test"]
    same("the rest", others, render(changed(given, "tests", {}), chart=chart))
    pod, policy = find(rendered, "Pod", f"{FULL}-test"), find(rendered, "NetworkPolicy", f"{FULL}-test")
    for found in (pod, policy):
        wrong.extend(schema_problems(found))
        same("when it is there", found["metadata"]["annotations"]["helm.sh/hook"], "test")
        same("whose it is", (found["metadata"]["namespace"], found["metadata"]["labels"]["helm.sh/chart"]), (NAMESPACE, chart_label(rendered)))
    wrong.extend(hardening.problems(pod["spec"]))
    serving = find(rendered, "Deployment")["spec"]["template"]["spec"]
    same("what it is pulled with", pod["spec"].get("imagePullSecrets"), serving.get("imagePullSecrets"))
    for container in pod["spec"]["containers"]:
        for key in ("image", "imagePullPolicy"):
            same(f"its {key}", container.get(key), serving["containers"][0][key])
    for volume in pod["spec"].get("volumes", []):
        same("the mode of its files", volume["projected"]["defaultMode"], 0o440)
    same("how long it is kept", pod["metadata"]["annotations"].get("helm.sh/hook-delete-policy"), "before-hook-creation")
    files = {"name": "files", "mountPath": FILES, "readOnly": True}
    for container in pod["spec"]["containers"]:
        same("what is mounted", container.get("volumeMounts", []), [files] if pod["spec"].get("volumes") else [])
    same("whether it is tried again", pod["spec"]["restartPolicy"], "Never")
    labels = pod["metadata"]["labels"]
    same("its labels", TESTER.items() <= labels.items() and not SELECTOR.items() <= labels.items(), True)
    wanted = {
        "podSelector": {"matchLabels": SELECTOR},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": 9191}], "from": [{"podSelector": {"matchLabels": TESTER}}]}],
    }
    same("who is let in, and where", policy["spec"], wanted)
    ends = policy["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
    same("for how long", sorted(ends), ["before-hook-creation", "hook-failed", "hook-succeeded"])
    same("before the pod", int(policy["metadata"]["annotations"]["helm.sh/hook-weight"]) < 0, True)
    same("what is asked", [one["name"] for one in pod["spec"]["containers"]], ["permit", "deny"])
    return wrong


def chart_label(rendered: list[Object]) -> str:
    return find(rendered, "Deployment")["metadata"]["labels"]["helm.sh/chart"]


def run(program: Path) -> list[str]:
    """The pod's own commands, and that they fail where the answer is another."""
    import running

    wrong = []
    for name, given in {"plain": on(values("embedded"), {}), "secured": secured()}.items():
        ports = dict(zip((9191, 9192, 9193), running.free_ports(3)))
        with tempfile.TemporaryDirectory(prefix="exequatur-chart-") as folder:
            there, here = running.Pod(Path(folder)), running.Pod(Path(folder)).here
            there.here = lambda text: re.sub(  # type: ignore[method-assign]
                r"0\.0\.0\.0:(\d+)", lambda found: f"127.0.0.1:{ports[int(found[1])]}", here(text)
            )
            there.mount(given)
            with running.Serving(program, there.configuration) as serving:
                wrong += serving.expect("ready")
                answers = asked(program, there, given, ports[9191])
                swapped = changed(given, "tests/permit/url", "https://api.example.com/notes/1")
                swapped = changed(swapped, "tests/deny/url", "https://api.example.com/healthz")
                answers |= {f"{which}, otherwise": told for which, told in asked(program, there, swapped, ports[9191]).items()}
                nobody = asked(program, there, given, ports[9193])
                answers |= {f"{which}, of nobody": told for which, told in nobody.items()}
                wrong += serving.stop()
        for which, (code, told) in answers.items():
            if (code == 0) != (which in ("permit", "deny")):
                wrong.append(f"helm test, {name}: {which}: {code}: {told}")
    return wrong


def asked(program: Path, there: Any, given: Object, port: int) -> dict[str, tuple[int, str]]:
    """What each container of the pod ends with, where its files are below `there` and the Service at that port."""
    import running

    spec = find(render(given), "Pod", f"{FULL}-test")["spec"]
    for volume in spec.get("volumes", []):
        target = there.folder / FILES.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        mounts.mount(mounts.payload(volume, {}, running.SECRETS, True), target)
    found = {}
    for container in spec["containers"]:
        words = [re.sub(r"^/run/", f"{there.folder}/run/", word) for word in container["args"]]
        words = [re.sub(r"//gate-exequatur\.edge\.svc:9191$", f"//localhost:{port}", word) for word in words]
        command = [program, *container["command"][1:], *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=running.PATIENCE_S)
        found[container["name"]] = (done.returncode, done.stdout)
    return found
