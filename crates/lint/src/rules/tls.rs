//! TLS of a listener: what a client certificate says is what Envoy has verified.

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, elsewhere, is_false};
use crate::rules::{fields, listener};
use crate::tree::{Node, shortened};

static TRUSTED_CA: Rule = Rule::new(
    Severity::Hole,
    "client-certificates",
    &["M01"],
    "client certificates are not asked for, so that tokens bound to one never pass; or each that is sent is believed",
    "validation_context: { trusted_ca: { filename: … } }",
)
.allowable()
.key(Key::must(
    Part::Tls,
    "common_tls_context.validation_context.trusted_ca",
    elsewhere,
    &[],
));
static UNTRUSTED: Rule = Rule::new(
    Severity::Hole,
    "untrusted-certificates",
    &["M06"],
    "a certificate is passed on that nobody vouches for: its names mean nothing",
    "VERIFY_TRUST_CHAIN; for self-signed certificates, a listener of their own that allows it",
)
.allowable()
.key(Key::may(
    Part::Tls,
    "common_tls_context.validation_context.trust_chain_verification",
    |node, _| node.is_member(&[("VERIFY_TRUST_CHAIN", 0)]),
    &["ACCEPT_UNTRUSTED"],
));
static EXPIRED: Rule = Rule::new(
    Severity::Hole,
    "expired-certificates",
    &["M06"],
    "a certificate that has run out still counts",
    "allow_expired_certificate: false",
)
.key(Key::may(
    Part::Tls,
    "common_tls_context.validation_context.allow_expired_certificate",
    is_false,
    &["true"],
));
static VALIDATION_UNKNOWN: Rule = Rule::new(
    Severity::Unknown,
    "certificate-validation",
    &["M06"],
    "how client certificates are verified is not in this file",
    "a `validation_context` with a `trusted_ca` in this file; or allow it",
)
.allowable();
static OLD_PROTOCOL: Rule = Rule::new(
    Severity::Hole,
    "old-tls",
    &["S06"],
    "TLS 1.0 and 1.1 are broken",
    "tls_params: { tls_minimum_protocol_version: TLSv1_2 }",
)
.key(Key::may(
    Part::Tls,
    "common_tls_context.tls_params.tls_minimum_protocol_version",
    |node, _| node.is_member(&[("TLS_AUTO", 0), ("TLSv1_2", 3), ("TLSv1_3", 4)]),
    &["TLSv1_0", "TLSv1_1"],
));
static OLD_MAXIMUM: Rule = Rule::new(
    Severity::Hole,
    "old-tls-only",
    &["S06"],
    "TLS 1.0 and 1.1 are broken",
    "leave `tls_maximum_protocol_version` out",
)
.key(Key::may(
    Part::Tls,
    "common_tls_context.tls_params.tls_maximum_protocol_version",
    |node, _| node.is_member(&[("TLS_AUTO", 0), ("TLSv1_2", 3), ("TLSv1_3", 4)]),
    &["TLSv1_1"],
));
static KEY_LOG: Rule = Rule::new(
    Severity::Hole,
    "tls-key-log",
    &["S06"],
    "the keys of every connection are written to a file",
    "leave `key_log` out",
)
.key(Key::may(Part::Tls, "common_tls_context.key_log", crate::rule::never, &["{ path: /tmp/keys }"]));
static SOCKET_UNKNOWN: Rule = Rule::new(
    Severity::Unknown,
    "transport-socket",
    &["M06"],
    "whether this transport verifies client certificates is not known here",
    "use `envoy.transport_sockets.tls`; or allow it",
)
.allowable();

pub(crate) static RULES: &[&Rule] = &[
    &TRUSTED_CA,
    &UNTRUSTED,
    &EXPIRED,
    &VALIDATION_UNKNOWN,
    &OLD_PROTOCOL,
    &OLD_MAXIMUM,
    &KEY_LOG,
    &SOCKET_UNKNOWN,
];

const TLS: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const QUIC: &str = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport";
const RAW: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// Judges the transport socket of a filter chain.
pub(crate) fn judge(socket: &Node, exposed: bool, linter: &mut Linter<'_>) {
    match socket.get("typed_config").and_then(Node::typed) {
        Some((TLS, context)) => judge_context(context, linter),
        Some((QUIC, transport)) => match transport.get("downstream_tls_context") {
            Some(context) => judge_context(context, linter),
            None => linter.report(&SOCKET_UNKNOWN, socket.place, "QUIC without its TLS"),
        },
        Some((RAW, _)) if !exposed => {}
        Some((RAW, _)) => listener::plaintext(socket, linter),
        Some((kind, _)) => {
            linter.report(&SOCKET_UNKNOWN, socket.place, format!("transport socket `{}`", shortened(kind)));
        }
        None => linter.report(&SOCKET_UNKNOWN, socket.place, "a transport socket without a `typed_config`"),
    }
}

fn judge_context(context: &Node, linter: &mut Linter<'_>) {
    let common = context.get("common_tls_context");
    fields::judge(&fields::TLS, context, linter);
    if let Some(common) = common {
        fields::judge(&fields::COMMON_TLS, common, linter);
        if let Some(validation) = common.get("validation_context") {
            fields::judge(&fields::VALIDATION, validation, linter);
        }
    }
    let dynamic = [
        "validation_context_sds_secret_config",
        "combined_validation_context",
        "validation_context_certificate_provider",
        "validation_context_certificate_provider_instance",
    ];
    let dynamic = common.and_then(|common| dynamic.iter().find_map(|key| common.get(key)));
    if let Some(dynamic) = dynamic {
        linter.report(
            &VALIDATION_UNKNOWN,
            dynamic.place,
            "client certificates are verified by what comes from elsewhere",
        );
    }
    // What is merged with it cannot take these back.
    if let Some(default) =
        common.and_then(|common| common.at("combined_validation_context.default_validation_context"))
    {
        let trust = default.get("trust_chain_verification");
        if let Some(trust) = trust.filter(|trust| !trust.is_member(&[("VERIFY_TRUST_CHAIN", 0)])) {
            linter.report(
                &UNTRUSTED,
                trust.place,
                format!("`trust_chain_verification` is `{}`", trust.shown()),
            );
        }
        if let Some(expired) = default.get("allow_expired_certificate").filter(|it| it.truth() != Some(false))
        {
            linter.report(&EXPIRED, expired.place, "`allow_expired_certificate` is not false");
        }
    }
    if let Some(custom) = context.at("common_tls_context.validation_context.custom_validator_config") {
        linter.report(&VALIDATION_UNKNOWN, custom.place, "client certificates are verified by an extension");
    }
    if let Some(handshaker) = context.at("common_tls_context.custom_handshaker") {
        linter.report(&VALIDATION_UNKNOWN, handshaker.place, "the handshake is that of an extension");
    }
    if dynamic.is_none() {
        linter.keys(Part::Tls, context);
    }
}
