//! What Envoy Gateway and agentgateway are given.

use super::Message;

/// `ExtAuth` of Envoy Gateway 1.9.
pub(crate) const EXT_AUTH: Message = Message {
    name: "SecurityPolicy.extAuth",
    fields: &[
        "grpc",
        "http",
        "headersToExtAuth",
        "bodyToExtAuth",
        "timeout",
        "failOpen",
        "recomputeRoute",
        "includeRouteMetadata",
        "contextExtensions",
        "statusOnError",
    ],
};

/// Left out: `clientIPDetection` and the PROXY protocol, by which callers may choose their address, and `scheme`.
pub(crate) const CLIENT_TRAFFIC: Message = Message {
    name: "ClientTrafficPolicy",
    fields: &[
        "targetRef",
        "targetRefs",
        "targetSelectors",
        "tcpKeepalive",
        "tls",
        "path",
        "headers",
        "timeout",
        "connection",
        "http1",
        "http2",
        "grpc",
        "healthCheck",
    ],
};

pub(crate) const CLIENT_HEADERS: Message = Message {
    name: "ClientTrafficPolicy.headers",
    fields: &[
        "enableEnvoyHeaders",
        "disableRateLimitHeaders",
        "xForwardedClientCert",
        "withUnderscoresAction",
        "preserveXRequestID",
        "requestID",
        "earlyRequestHeaders",
        "lateResponseHeaders",
        "host",
        "maxRequestHeaderLimit",
    ],
};

/// Left out: trailers, and HTTP/1.0.
pub(crate) const CLIENT_HTTP1: Message = Message {
    name: "ClientTrafficPolicy.http1",
    fields: &["preserveHeaderCase", "disableSafeMaxConnectionDuration", "ignoredUpgradeTypes"],
};

/// Left out: whatever writes a header before it is judged.
pub(crate) const EARLY_HEADERS: Message =
    Message { name: "ClientTrafficPolicy.headers.earlyRequestHeaders", fields: &["removeOnMatch"] };

/// Left out: `mode`, which may take certificates that nobody vouches for, and expired ones.
pub(crate) const CLIENT_VALIDATION: Message = Message {
    name: "ClientTrafficPolicy.tls.clientValidation",
    fields: &["optional", "caCertificateRefs", "spkiHashes", "certificateHashes", "subjectAltNames", "crl"],
};

/// Left out: faults, other answers, and upgrades.
pub(crate) const BACKEND_TRAFFIC: Message = Message {
    name: "BackendTrafficPolicy",
    fields: &[
        "targetRef",
        "targetRefs",
        "targetSelectors",
        "mergeType",
        "retry",
        "timeout",
        "loadBalancer",
        "healthCheck",
        "circuitBreaker",
        "connection",
        "tcpKeepalive",
        "dns",
        "http2",
        "rateLimit",
        "compression",
        "requestBuffer",
        "proxyProtocol",
        "telemetry",
    ],
};

/// `ExtAuthz` of agentgateway 1.4.
pub(crate) const AGENT_AUTH: Message = Message {
    name: "extAuthz",
    fields: &[
        "host",
        "service",
        "backend",
        "policies",
        "protocol",
        "failureMode",
        "includeRequestHeaders",
        "includeRequestBody",
        "cache",
    ],
};
