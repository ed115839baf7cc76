//! What Istio is given.

use super::Message;

/// An entry of `extensionProviders`. The others are telemetry.
pub(crate) const PROVIDERS: Message = Message {
    name: "ExtensionProvider",
    fields: &[
        "name",
        "envoy_ext_authz_grpc",
        "envoy_ext_authz_http",
        "zipkin",
        "lightstep",
        "datadog",
        "stackdriver",
        "opencensus",
        "skywalking",
        "opentelemetry",
        "prometheus",
        "envoy_file_access_log",
        "envoy_http_als",
        "envoy_tcp_als",
        "envoy_otel_als",
        "sds",
    ],
};

/// Istio's API 1.31.
pub(crate) const PROVIDER: Message = Message {
    name: "EnvoyExternalAuthorizationGrpcProvider",
    fields: &[
        "service",
        "port",
        "timeout",
        "fail_open",
        "clear_route_cache",
        "status_on_error",
        "include_request_body_in_check",
    ],
};

pub(crate) const POLICY: Message = Message {
    name: "AuthorizationPolicy",
    fields: &["selector", "targetRef", "targetRefs", "rules", "action", "provider"],
};

pub(crate) const ENVOY_FILTER: Message =
    Message { name: "EnvoyFilter", fields: &["workloadSelector", "targetRefs", "configPatches", "priority"] };
