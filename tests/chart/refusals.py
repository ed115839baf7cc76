"""Values that must not be rendered, and what is said of each. Each differs from a good one by one thing."""

from typing import Any

from rendering import Refused, changed, render, values

# Everything but somebody who may give orders.
ADMIN = values("operators")["admin"]
# File, what is changed, to what, and what the refusal says.
REFUSED: list[tuple[str, str, Any, str]] = [
    # Nothing listens on the pod's address without TLS, unless somebody said that this is meant.
    ("embedded", "config/listen", {}, "config.listen.plaintext is not `accepted`"),
    ("embedded", "config/listen", None, "at '/config/listen'"),
    ("embedded", "config/listen/plaintext", "refused", "config.listen.plaintext is not `accepted`"),
    ("embedded", "config/listen/plaintext", True, "config.listen.plaintext is not `accepted`"),
    ("embedded", "config/listen/grpc", "127.0.0.1:9191", "config.listen.grpc is set by the chart"),
    ("embedded", "config/listen/public", "0.0.0.0:80", "config.listen.public is set by the chart"),
    ("embedded", "config/listen/metrics", "0.0.0.0:80", "config.listen.metrics is set by the chart"),
    ("embedded", "config/listen/admin", "unix:/run/exequatur/other.sock", "config.listen.admin is set by the chart"),
    ("embedded", "listenAddress", "192.0.2.1", "listenAddress"),
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
    ("redis", "config/store", {}, "replicas is 3 and there is no config.store.redis"),
    ("redis", "config/store", None, "at '/config/store'"),
    ("redis", "config/store/redis", {}, "replicas is 3 and there is no config.store.redis"),
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
    # What is not known.
    ("embedded", "replicaCount", 1, "additional properties 'replicaCount' not allowed"),
    ("embedded", "image/name", "x", "additional properties 'name' not allowed"),
    ("embedded", "pod/hostNetwork", True, "additional properties 'hostNetwork' not allowed"),
    ("embedded", "monitoring/serviceMonitor", {}, "additional properties 'serviceMonitor' not allowed"),
    ("embedded", "monitoring/podMonitor/interval", "15", "monitoring/podMonitor/interval"),
    ("embedded", "networkPolicy/egress", [], "additional properties 'egress' not allowed"),
]


def check() -> list[str]:
    wrong = []
    for case, path, new, message in REFUSED:
        what = f"{case} with {path} = {str(new)[:60]!r}"
        try:
            render(changed(values(case), path, new))
        except Refused as refused:
            said = str(refused)
            if message not in said:
                wrong.append(f"{what}: `{message}` is not in `{said}`")
            if said.count("\n- ") != 1:
                wrong.append(f"{what}: more is wrong than was changed: `{said}`")
        else:
            wrong.append(f"{what} is rendered")
    wrong += together()
    return wrong


def together() -> list[str]:
    """All that is wrong is told at once: here, what nobody can choose for the reader."""
    try:
        render({})
    except Refused as refused:
        missing = ["image.repository", "config.listen.plaintext", "there are no policies", "networkPolicy.envoy"]
        return [f"without any value, `{part}` is not told" for part in missing if part not in str(refused)]
    return ["no value at all is rendered"]
