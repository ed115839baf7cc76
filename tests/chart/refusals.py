"""Values that must not be rendered, and what is said of each. Each differs from a good one by one thing."""

from typing import Any

from rendering import Object, Refused, changed, render, values



def without(key: str) -> Object:
    return {name: part for name, part in values("embedded")["config"].items() if name != key}


# Everything but somebody who may give orders.
ADMIN = values("operators")["admin"]
ADDED, MOUNTED = values("scaled")["extraVolumes"], values("scaled")["extraVolumeMounts"]
APPARMOR = "container.apparmor.security.beta.kubernetes.io/exequatur"
STREAM = {
    "name": "idp",
    "transmitter": "https://events.example.com",
    "audience": "https://gate.example.com",
    "jwks": {"file": "/mnt/vault/events"},
    "subjects_of": ["corp"],
    "delivery": {"push": {"authorization_file": "/mnt/vault/events-authorization"}},
}
OWN_TLS = {f"{which}_file": "/run/secrets/exequatur/nonce" for which in ("certificate", "key")}
# File, what is changed, to what, and what the refusal says.
REFUSED: list[tuple[str, str, Any, str]] = [
    # Nothing listens on the pod's address without TLS, unless somebody said that this is meant.
    ("embedded", "config/listen", {}, "config.listen.plaintext is not `accepted`"),
    ("embedded", "config/listen", None, "at '/config/listen'"),
    ("embedded", "config/listen/plaintext", "refused", "at '/config/listen/plaintext'"),
    ("embedded", "config/listen/plaintext", True, "at '/config/listen/plaintext'"),
    ("embedded", "config/listen/grpc", "127.0.0.1:9191", "config.listen.grpc is set by the chart"),
    ("embedded", "config/listen/public", "0.0.0.0:80", "config.listen.public is set by the chart"),
    ("embedded", "config/listen/metrics", "0.0.0.0:80", "config.listen.metrics is set by the chart"),
    ("embedded", "config/listen/admin", "unix:/run/exequatur/other.sock", "config.listen.admin is set by the chart"),
    ("embedded", "listenAddress", "192.0.2.1", "listenAddress"),
    # Nor does Envoy's port, without a word of its own.
    ("embedded", "grpc", {}, "grpc.plaintext is empty and the gRPC port has no TLS"),
    ("redis", "grpc/plaintext", "", "grpc.plaintext is empty and the gRPC port has no TLS"),
    ("redis", "grpc/plaintext", "accepted", "grpc/plaintext"),
    ("redis", "grpc/tls/existingSecret", "own", "grpc.plaintext is for a port without TLS"),
    ("operators", "grpc/plaintext", "mesh", "grpc.plaintext is for a port without TLS"),
    ("certificates", "grpc/plaintext", "trusted", "grpc.plaintext is for a port without TLS"),
    ("embedded", "sidecar", {"envoyUser": 1337}, "sidecar.envoyUser is for mode `sidecar`"),
    # A mesh, whole: encrypted, by identity, and with an address for its proxies.
    ("istio-sidecar", "grpc", {"plaintext": "trusted"}, "istio.enabled needs `grpc.plaintext: mesh`"),
    ("istio-sidecar", "service/headless", True, "istio.enabled needs `service.headless: false`"),
    ("istio-sidecar", "istio/principals/envoy", [], "istio.principals.envoy is empty"),
    ("istio-sidecar", "istio/principals/envoy", ["*"], "istio/principals/envoy/0"),
    ("istio-sidecar", "istio/principals/envoy", ["cluster.local/ns/documents/sa/*"], "istio/principals/envoy/0"),
    ("istio-ambient", "istio/principals/operators", [], "istio.principals.operators is empty"),
    ("istio-sidecar", "istio/principals/operators", ["cluster.local/ns/a/sa/b"], "istio.principals.operators is for admin.enabled"),
    ("istio-sidecar", "service/publicType", "LoadBalancer", "istio.enabled lets in nobody from outside the mesh"),
    ("istio-sidecar", "tests", {"enabled": True, "permit": {"url": "https://a/b"}}, "tests.enabled with istio.enabled"),
    ("istio-sidecar", "commonLabels", {"sidecar.istio.io/inject": "false"}, "commonLabels has sidecar.istio.io/inject"),
    ("istio-sidecar", "pod/labels", {"sidecar.istio.io/inject": "false"}, "pod.labels has sidecar.istio.io/inject"),
    (
        *("istio-sidecar", "pod/annotations", {"traffic.sidecar.istio.io/excludeInboundPorts": "9191"}),
        "pod.annotations has traffic.sidecar.istio.io/excludeInboundPorts",
    ),
    ("istio-ambient", "pod/labels", {"istio.io/dataplane-mode": "none"}, "pod.labels has istio.io/dataplane-mode"),
    ("redis", "istio", {"ambient": True}, "istio without istio.enabled"),
    ("redis", "istio", {"principals": {"envoy": ["cluster.local/ns/a/sa/b"]}}, "istio without istio.enabled"),
    # E-02: orders over TCP, with TLS, and by somebody.
    ("embedded", "config/admin", {"listen": "0.0.0.0:9191"}, "config.admin is set by the chart"),
    ("operators", "config/admin", None, "config.admin is set by the chart"),
    ("operators", "admin/tls/existingSecret", "", "admin.tls.existingSecret is empty"),
    ("operators", "admin/tls", {"clientCa": {"existingSecret": "operators-ca"}}, "admin.tls.existingSecret is empty"),
    ("operators", "admin/tls/clientCa/existingSecret", "", "admin.certificates without admin.tls.clientCa"),
    ("operators", "admin/ingressFrom", [], "admin.ingressFrom is empty"),
    ("operators", "admin/ingressFrom", [{}], "admin/ingressFrom"),
    ("embedded", "admin", {**ADMIN, "tokens": [], "certificates": []}, "nobody who may give orders"),
    ("operators", "admin/tokens/0/reach", "tenant", "admin/tokens/0/reach"),
    ("operators", "admin/tokens/0/roles", {"root": ["x"]}, "additional properties 'root' not allowed"),
    ("operators", "admin/tokens/0/roles", {}, "admin/tokens/0/roles"),
    ("operators", "admin/tokens/0/roles/reader", [], "admin/tokens/0/roles/reader"),
    ("operators", "admin/tokens/0/claim", [], "admin/tokens/0/claim"),
    ("operators", "admin/tokens/0/audience", "", "admin/tokens/0/audience"),
    ("operators", "admin/tokens/0/certificates", [], "additional properties 'certificates' not allowed"),
    ("operators", "admin/certificates/0/role", "operator", "admin/certificates/0/role"),
    ("operators", "admin/certificates/0/dns", "a.example.com", "admin/certificates/0"),
    ("operators", "admin/certificates/0/reach", {}, "admin/certificates/0/reach"),
    ("operators", "admin/certificates/0/reach", "own_tenant", "admin/certificates/0/reach"),
    ("operators", "admin/plaintext", "accepted", "additional properties 'plaintext' not allowed"),
    ("operators", "admin/enabled", "yes", "admin/enabled"),
    ("operators", "service/adminPort", 0, "service/adminPort"),
    # G06: the memory of used proofs is one process's.
    ("embedded", "replicas", 2, "replicas is 2 and there is no config.store.redis"),
    ("redis", "config/store", {}, "at '/config/store'"),
    ("redis", "config/store", {"embedded": {}}, "replicas is 3 and there is no config.store.redis"),
    ("redis", "config/store", None, "at '/config/store'"),
    ("redis", "storage/existingClaim", "records", "storage.existingClaim is for a single replica"),
    ("embedded", "replicas", 0, "replicas"),
    ("embedded", "replicas", "1", "replicas"),
    ("embedded", "replicas", 1.5, "replicas"),
    # Policies, in one place.
    ("embedded", "policies/existingConfigMap", "more", "policies.files and policies.existingConfigMap are both given"),
    ("embedded", "policies/files", None, "there are no policies"),
    ("storage", "policies/existingConfigMap", "", "there are no policies"),
    ("storage", "config/policies", "/etc/policies", "config.policies is set by the chart"),
    ("embedded", "policies/files/tests.yaml", "", "policies.files has `tests.yaml`"),
    ("embedded", "policies/files/configuration", "", "policies.files has `configuration`"),
    # Exequatur passes over such a name: the policy would not be there.
    ("embedded", "policies/files/.hidden.cedar", "", "policies.files has `.hidden.cedar`"),
    ("embedded", "policies/files/b.cedar", None, "at '/policies/files/b.cedar'"),
    ("embedded", "policies/files/long.cedar", "/" * 1_000_000, "more than fit into a ConfigMap"),
    # Secrets, by reference.
    (
        "embedded",
        "config/sender_constraint/dpop/nonce_secret_file",
        "/run/secrets/exequatur/nonces",
        "config.sender_constraint.dpop.nonce_secret_file names /run/secrets/exequatur/nonces, which no Secret",
    ),
    ("embedded", "config/sender_constraint/dpop/nonce_secret_file", "nonce", "nonce_secret_file names nonce, which"),
    ("embedded", "config/issuers/0/jwks/file", "/etc/keys", "config.issuers[0].jwks.file names /etc/keys, which"),
    ("storage", "config/issuers/0/ca_file", "/etc/ca", "config.issuers[0].ca_file names /etc/ca, which"),
    ("redis", "config/store/redis/url_file", "/etc/url", "config.store.redis.url_file names /etc/url, which"),
    ("embedded", "secrets/..", {"existingSecret": "corp", "key": "proxy"}, "secrets has `..`"),
    ("embedded", "secrets/nonce/value", "bm9uY2U=", "additional properties 'value' not allowed"),
    ("embedded", "secrets/nonce", {"key": "secret"}, "missing property 'existingSecret'"),
    ("embedded", "secrets/nonce/existingSecret", "", "secrets/nonce/existingSecret"),
    ("embedded", "secrets/nonce/key", "../key", "secrets/nonce/key"),
    # Records, where they can be written.
    ("embedded", "config/records/file", "/tmp/decisions", "config.records.file is neither /dev/stdout nor below"),
    ("embedded", "config/records/file", "/var/lib/exequatur/records", "storage.existingClaim is empty"),
    ("embedded", "config/records/mode", "required", "config.records.mode is `required`"),
    ("sinks", "config/records/sinks/1/file", "/tmp/x", "config.records.sinks[1].file is neither /dev/stdout nor below"),
    ("sinks", "config/records/sinks/1/file", "/var/lib/exequatur/x", "config.records.sinks[1].file is on the storage"),
    *[
        ("sinks", f"config/records/{key}", "/run/secrets/exequatur/x", f"config.records.{key.replace('/0/', '[0].').replace('/', '.')} names")
        for key in ("checkpoints/key_file", "checkpoints/previous_keys_file", "redaction/digest_key_file", "sinks/0/otlp/headers_file")
    ],
    # Each is called as its pod.
    ("redis", "config/replica", {"name": "gate"}, "config.replica.name would be the name of 3 replicas"),
    # Revocations, where they outlive the pod.
    ("embedded", "config/store/embedded/path", "./state", "config.store.embedded.path is not below"),
    ("embedded", "config/store/embedded/path", "/var/lib/exequatur/state", "storage.existingClaim is empty"),
    ("storage", "config/store/embedded/path", "/run/exequatur/state", "config.store.embedded.path is not below"),
    # Who may call.
    ("embedded", "networkPolicy/envoy", [], "networkPolicy.envoy is empty"),
    ("embedded", "networkPolicy/envoy", [{}], "networkPolicy/envoy"),
    ("redis", "networkPolicy/metrics", [{}], "networkPolicy/metrics"),
    ("redis", "networkPolicy/metrics", [{"pods": {}}], "networkPolicy/metrics"),
    # What is run.
    ("embedded", "image/repository", "", "image.repository is empty"),
    ("embedded", "image/digest", "sha256:0", "image/digest"),
    ("embedded", "service/grpcPort", 0, "service/grpcPort"),
    # What is not known, to the chart or to Exequatur.
    ("embedded", "config/rotues", [], "additional properties 'rotues' not allowed"),
    ("embedded", "config/issuers/0/audience", "x", "additional properties 'audience' not allowed"),
    ("embedded", "config/listen/grpc_peer", [1], "additional properties 'grpc_peer' not allowed"),
    ("embedded", "config/routes/0/access", "open", "at '/config/routes/0/access'"),
    ("embedded", "config/workers", "two", "at '/config/workers'"),
    *[("embedded", "config", without(key), f"config.{key} is missing") for key in ("issuers", "routes", "protected_resources")],
    ("embedded", "replicaCount", 1, "additional properties 'replicaCount' not allowed"),
    ("embedded", "image/name", "x", "additional properties 'name' not allowed"),
    ("embedded", "pod/hostNetwork", True, "additional properties 'hostNetwork' not allowed"),
    ("embedded", "monitoring/podMonitor/interval", "15", "monitoring/podMonitor/interval"),
    ("embedded", "extraArgs", ["--config=/tmp/x"], "additional properties 'extraArgs' not allowed"),
    ("embedded", "securityContext", {"runAsUser": 0}, "additional properties 'securityContext' not allowed"),
    ("embedded", "podSecurityContext", {"runAsNonRoot": False}, "additional properties 'runAsNonRoot' not allowed"),
    ("embedded", "podSecurityContext", {"seccompProfile": {}}, "additional properties 'seccompProfile' not allowed"),
    *[("embedded", f"podSecurityContext/{key}", 0, f"at '/podSecurityContext/{key}'") for key in ("runAsUser", "runAsGroup", "fsGroup")],
    ("embedded", "podSecurityContext/runAsUser", "1000", "at '/podSecurityContext/runAsUser'"),
    ("embedded", "fullnameOverride", "1e3", "at '/fullnameOverride'"),
    ("embedded", "fullnameOverride", "a" * 55, "at '/fullnameOverride'"),
    ("embedded", "pod/securityContext", {}, "additional properties 'securityContext' not allowed"),
    ("embedded", "pod/shareProcessNamespace", True, "additional properties 'shareProcessNamespace' not allowed"),
    ("embedded", "initContainers", [], "additional properties 'initContainers' not allowed"),
    ("embedded", "extraContainers", [], "additional properties 'extraContainers' not allowed"),
    # More pods by load: with a store that they share, and fewer only slowly.
    ("embedded", "autoscaling/enabled", True, "autoscaling.enabled and there is no config.store.redis"),
    ("redis", "autoscaling", {"enabled": True, "minReplicas": 4, "maxReplicas": 3}, "autoscaling.maxReplicas is 3"),
    ("scaled", "resources/requests", {"cpu": None}, "without resources.requests.cpu"),
    ("scaled", "autoscaling/minReplicas", 0, "autoscaling/minReplicas"),
    ("scaled", "autoscaling/behavior/scaleDown/stabilizationWindowSeconds", 10, "stabilizationWindowSeconds"),
    ("scaled", "autoscaling/behavior/scaleDown/policies", [], "scaleDown/policies"),
    ("scaled", "autoscaling/behavior/scaleDown/policies", [{"type": "Pods", "value": 9, "periodSeconds": 5}], "periodSeconds"),
    ("scaled", "autoscaling/behavior/scaleDown/selectPolicy", "Disabled", "selectPolicy"),
    ("scaled", "storage/existingClaim", "records", "storage.existingClaim is for a single replica"),
    ("scaled", "podDisruptionBudget/minAvailable", 3, "podDisruptionBudget.minAvailable is 3 of 3 pods"),
    ("redis", "podDisruptionBudget/minAvailable", 7, "podDisruptionBudget.minAvailable is 7 of 3 pods"),
    ("redis", "podDisruptionBudget/minAvailable", "67%", "podDisruptionBudget.minAvailable is 3 of 3 pods"),
    ("redis", "podDisruptionBudget/minAvailable", "100%", "podDisruptionBudget/minAvailable"),
    ("redis", "podDisruptionBudget/maxUnavailable", 0, "podDisruptionBudget/maxUnavailable"),
    # Policies of several places.
    ("redis", "policies/existingClaim", "notes", "policies.existingConfigMap and policies.existingClaim are both given"),
    ("scaled", "policies/files", {"a.cedar": ""}, "policies.files and policies.existingConfigMaps are both given"),
    ("scaled", "policies/existingConfigMaps/0/files", ["reading.cedar"], "has `reading.cedar` twice, of notes-schema and of"),
    ("scaled", "policies/existingConfigMaps/0/files", ["configuration"], "has `configuration` of notes-schema"),
    ("scaled", "policies/existingConfigMaps/0/files", ["../x.cedar"], "has `../x.cedar` of notes-schema"),
    ("scaled", "policies/existingConfigMaps/0/files", [], "existingConfigMaps/0/files"),
    ("scaled", "policies/existingConfigMaps/0", {"name": "notes-schema"}, "missing property 'files'"),
    # TLS, from one place.
    ("certificates", "certManager/issuerRef", {}, "certManager.issuerRef.name is empty"),
    ("certificates", "certManager/renewBefore", "3000h", "certManager.renewBefore is not shorter than duration"),
    ("certificates", "certManager/duration", "90d", "certManager/duration"),
    ("certificates", "config/listen/grpc_tls", OWN_TLS, "config.listen.grpc_tls is set by the chart"),
    ("operators", "grpc/tls/existingSecret", "more", "config.listen.grpc_tls is set by the chart"),
    ("certificates", "grpc/tls/clientCa", {}, "grpc.tls.clients without grpc.tls.clientCa.existingSecret"),
    ("certificates", "grpc/tls/clients", [{"uri": "spiffe://a/b", "dns": "c"}], "grpc/tls/clients/0"),
    ("certificates", "grpc/tls/clients", ["envoy"], "grpc/tls/clients/0"),
    ("embedded", "config/listen", {"plaintext": "accepted", "grpc_peers": [1]}, "config.listen.grpc_peers is for a Unix socket"),
    ("redis", "grpc/tls/clientCa/existingSecret", "envoys", "grpc.tls.clientCa without grpc.tls.existingSecret"),
    (
        *("redis", "certManager", {"enabled": True, "issuerRef": {"name": "a"}, "secret": "b"}),
        "additional properties 'secret' not allowed",
    ),
    # What goes out: to somebody.
    ("scaled", "networkPolicy/egress/redis/to", [], "networkPolicy.egress.redis.to is empty"),
    ("scaled", "networkPolicy/egress/issuers/to", [], "networkPolicy.egress.issuers.to is empty"),
    *[
        ("asks-nobody", f"config/{key}", value, "networkPolicy.egress.issuers.to is empty")
        for key, value in [
            ("issuers/0/jwks", {"discover": "oauth"}),
            ("issuers/0/jwks", "https://sts.example.com/jwks"),
            ("issuers/0/status_lists", {"uris": ["https://sts.example.com/lists/"]}),
            ("signals/0/jwks", "https://events.example.com/jwks"),
            ("signals/0", {key: part for key, part in STREAM.items() if key != "jwks"}),
            ("signals/0/delivery", {"poll": {"url": "https://events.example.com/poll"}}),
        ]
    ],
    ("scaled", "networkPolicy/egress/telemetry/to", [], "networkPolicy.egress.telemetry.to is empty"),
    ("scaled", "networkPolicy/egress/others/0/to", [], "networkPolicy.egress.others[0].to is empty"),
    ("scaled", "networkPolicy/egress/others/0/to", [{}], "networkPolicy/egress/others/0/to"),
    ("scaled", "networkPolicy/egress/redis/ports", [], "networkPolicy/egress/redis/ports"),
    ("scaled", "networkPolicy/enabled", False, "networkPolicy.egress.enabled without networkPolicy.enabled"),
    ("scaled", "networkPolicy/public", [], "networkPolicy.public is empty"),
    # What a platform adds: nothing that loosens, and nothing over what is there.
    ("scaled", "monitoring/podMonitor", {"enabled": True}, "are both enabled"),
    ("certificates", "serviceAccount/name", "", "serviceAccount.name is empty"),
    ("certificates", "serviceAccount/annotations", {"a": "b"}, "serviceAccount.annotations are for one that is created"),
    ("scaled", "resources/limits", {"memory": None}, "resources.limits.memory is missing"),
    ("scaled", "pod/annotations", {APPARMOR: "unconfined"}, "which changes what the pod is held to"),
    ("scaled", "service/publicType", "NodePort", "service/publicType"),
    ("scaled", "extraEnv/0/name", "LD_PRELOAD", "extraEnv has `LD_PRELOAD`"),
    ("scaled", "extraEnv/0/name", "PATH", "extraEnv has `PATH`"),
    ("scaled", "extraEnv/0/name", "SSL_CERT_FILE", "extraEnv has `SSL_CERT_FILE`"),
    ("scaled", "extraEnv/0/name", "SSLKEYLOGFILE", "extraEnv has `SSLKEYLOGFILE`"),
    ("scaled", "extraEnv/0/name", "GLIBC_TUNABLES", "extraEnv has `GLIBC_TUNABLES`"),
    ("scaled", "extraEnvFrom/0/prefix", "LD_", "extraEnvFrom has the prefix `LD_`"),
    *[
        ("scaled", "extraEnv/0/name", name, f"extraEnv has `{name}`, which changes what is run or trusted")
        for name in ("MALLOC_CONF", "_RJEM_MALLOC_CONF", "SSL_CERT_DIR", "ld_preload")
    ],
    *[
        ("scaled", "extraEnvFrom/0/prefix", prefix, f"extraEnvFrom has the prefix `{prefix}`")
        for prefix in ("SSL_", "MALLOC_", "GLIBC_")
    ],
    ("scaled", "extraEnvFrom/0", {"configMapRef": {"name": "site"}, "secretRef": {"name": "site"}}, "extraEnvFrom/0"),
    ("scaled", "extraEnvFrom/0/prefix", "L", "extraEnvFrom/0/prefix"),
    ("scaled", "extraVolumes/0", {"name": "vault", "hostPath": {"path": "/"}}, "extraVolumes/0"),
    ("scaled", "extraVolumes/0", {"name": "vault", "nfs": {"server": "x", "path": "/"}}, "extraVolumes/0"),
    ("scaled", "extraVolumes/0", {"name": "vault", "emptyDir": {}}, "extraVolumes/0"),
    (
        *("scaled", "extraVolumes/0", {"name": "vault", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
        "extraVolumes/0",
    ),
    ("scaled", "extraVolumes/0", {"name": "vault"}, "extraVolumes/0"),
    ("scaled", "extraVolumes", [*ADDED, ADDED[0]], "extraVolumes has `vault`, a volume that is there already"),
    ("scaled", "extraVolumes", [*ADDED, {**ADDED[0], "name": "secrets"}], "extraVolumes has `secrets`, a volume that is"),
    ("scaled", "extraVolumes", [*ADDED, {**ADDED[0], "name": "envoy"}], "extraVolumes has `envoy`, a volume that is"),
    ("scaled", "extraVolumeMounts/0/name", "secrets", "extraVolumeMounts names `secrets`"),
    ("scaled", "extraVolumeMounts", [*MOUNTED, MOUNTED[0]], "extraVolumeMounts has /mnt/vault twice"),
    ("scaled", "extraVolumeMounts/0/mountPath", "/etc/exequatur", "extraVolumeMounts/0/mountPath"),
    ("scaled", "extraVolumeMounts/0/mountPath", "/usr/local/bin", "extraVolumeMounts/0/mountPath"),
    ("scaled", "extraVolumeMounts/0/mountPath", "/mnt/../etc", "extraVolumeMounts/0/mountPath"),
    ("scaled", "extraVolumeMounts/0/readOnly", False, "extraVolumeMounts/0/readOnly"),
    ("scaled", "extraVolumeMounts/0/subPath", "x", "additional properties 'subPath' not allowed"),
    ("scaled", "extraVolumeMounts/0", {"name": "vault", "mountPath": "/mnt/vault"}, "missing property 'readOnly'"),
]


def asks_nobody() -> Object:
    """All keys are in files, so that egress to issuers is to nobody."""
    given = changed(values("scaled"), "networkPolicy/egress/issuers/to", [])
    return changed(changed(given, "config/issuers/0/jwks", {"file": "/mnt/vault/jwks"}), "config/signals", [STREAM])


def sinks_alone() -> Object:
    """Records of which no file is kept, with keys and headers from Secrets."""
    names = ["checkpoints", "previous", "digests", "headers"]
    files = [f"/run/secrets/exequatur/{name}" for name in names]
    records = {
        "mode": "best_effort",
        "checkpoints": {"key_file": files[0], "previous_keys_file": files[1]},
        "redaction": {"digest_key_file": files[2]},
        "sinks": [
            {"name": "collector", "otlp": {"endpoint": "https://otel.example.com:4317", "headers_file": files[3]}},
            {"name": "out", "file": "/dev/stdout"},
        ],
    }
    given = changed(values("embedded"), "config/records", records)
    return changed(given, "secrets", {**given["secrets"], **{name: {"existingSecret": "records", "key": name} for name in names}})


def check() -> list[str]:
    wrong = []
    made = {"asks-nobody": asks_nobody(), "sinks": sinks_alone()}
    for case, given in made.items():
        try:
            render(given)
        except Refused as refused:
            wrong.append(f"{case}: {refused}")
    for case, path, new, message in REFUSED:
        what = f"{case} with {path} = {str(new)[:60]!r}"
        try:
            render(changed(made.get(case) or values(case), path, new))
        except Refused as refused:
            said = str(refused)
            if message not in said:
                wrong.append(f"{what}: `{message}` is not in `{said}`")
            if said.count("\n- ") != 1:
                wrong.append(f"{what}: more is wrong than was changed: `{said}`")
        else:
            wrong.append(f"{what} is rendered")
    wrong += together() + nothing_to_make()
    return wrong


def nothing_to_make() -> list[str]:
    given = changed(values("certificates"), "grpc/tls/existingSecret", "own")
    try:
        render(changed(given, "admin/tls", {"existingSecret": "own"}))
    except Refused as refused:
        told = "each listener has an existingSecret: there is nothing to make"
        return [] if told in str(refused) else [f"`{told}` is not in `{refused}`"]
    return ["certManager with nothing to make is rendered"]


def together() -> list[str]:
    """All that is wrong is told at once: here, what nobody can choose for the reader."""
    try:
        render({})
    except Refused as refused:
        missing = ["image.repository", "config.listen.plaintext", "grpc.plaintext", "there are no policies", "networkPolicy.envoy"]
        return [f"without any value, `{part}` is not told" for part in missing if part not in str(refused)]
    return ["no value at all is rendered"]
