use super::*;

fn full() -> Record<'static> {
    Record {
        generation: 7,
        trace: Some(Text::from("0af7651916cd43dd8448eb211c80319c")),
        route: Some(Text::from("read-document")),
        action: Some(Text::from("ReadDocument")),
        resource: Some(Resource {
            kind: Text::from("Document"),
            id: Text::from("42"),
            tenant: Some(Text::from("acme")),
        }),
        method: Some(Text::from("GET")),
        host: Some(Text::from("api.example.com")),
        path_template: Some(Text::from("/tenants/{tenant}/documents/{id}")),
        arguments: Some(Arguments { digest: Text::from("sha256:00"), of: Covered::Target }),
        parts: vec![
            Part {
                place: PartPlace::Header,
                name: Text::from("x-request-id"),
                value: PartValue::Value(Text::from("7")),
            },
            Part {
                place: PartPlace::Query,
                name: Text::from("page"),
                value: PartValue::Digest(Text::from("hmac:11")),
            },
        ],
        peer: Some(Text::from("192.0.2.7")),
        issuer: Some(Text::from("corp")),
        client: Some(Text::from("crm-bot")),
        agent: Some(Text::from("corp:crm-bot")),
        user: Some(Text::from("corp:alice")),
        tenant: Some(Text::from("acme")),
        federation: Some(Text::from("partners")),
        actors: vec![Text::from("sub-bot"), Text::from("crm-bot")],
        scopes: Some(Scopes {
            needed: vec![Text::from("read")],
            held: vec![Text::from("read"), Text::from("write")],
            more: 0,
        }),
        purpose: Some(Text::from("refund")),
        prompt_hash: Some(Text::from("sha-256:AA")),
        controls: Controls {
            status: Some(StatusCheck::Valid),
            token: Some(TokenCheck {
                digest: Some(Text::from("00112233445566778899aabbccddeeff")),
                cached: true,
                key_set: Some(Text::from("aa")),
                source: TokenSource::Introspection,
            }),
            introspection: Some(IntrospectionCheck::Active),
            sender_constraint: Some(SenderConstraintCheck {
                kind: SenderConstraint::DpopMtls,
                thumbprint: Some(Text::from("bb")),
            }),
            step_up: Some(RequirementCheck::Met),
            authorization_details: Some(RequirementCheck::Unmet),
            revocation: Some(RevocationCheck::Clear),
            replay: Some(ReplayCheck::Fresh),
            nonce: Some(NonceCheck::Ignored),
            limits: vec![Text::from("agent-burst")],
        },
        policy: Some(Policy { ids: vec![Text::from("owners-read")], set_hash: Text::from("cc") }),
        degraded: vec![Degraded::RevocationsStale, Degraded::KeysKept, Degraded::StatusListKept],
        observed: vec![Text::from("dpop_nonce_required")],
        timings_us: Timings { route: Some(1), authenticate: Some(80), total: 95, ..Timings::default() },
        ..bare()
    }
}

fn bare() -> Record<'static> {
    let time = "2026-11-22T10:11:12.345999Z".parse().unwrap();
    Record::new(time, Text::from("0192"), Verdict::Permit, Text::from("permitted"), 200)
}

/// The format is public: this line may gain fields, and must not change otherwise.
#[test]
fn a_full_record_is_this_line() {
    let expected = concat!(
        r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"0192","verdict":"permit","reason":"permitted","#,
        r#""status":200,"generation":7,"trace":"0af7651916cd43dd8448eb211c80319c","route":"read-document","action":"ReadDocument","#,
        r#""resource":{"type":"Document","id":"42","tenant":"acme"},"method":"GET","host":"api.example.com","#,
        r#""path_template":"/tenants/{tenant}/documents/{id}","#,
        r#""arguments":{"digest":"sha256:00","of":"target"},"#,
        r#""parts":[{"in":"header","name":"x-request-id","value":"7"},{"in":"query","name":"page","digest":"hmac:11"}],"peer":"192.0.2.7","issuer":"corp","#,
        r#""client":"crm-bot","agent":"corp:crm-bot","user":"corp:alice","tenant":"acme","#,
        r#""federation":"partners","actors":["sub-bot","crm-bot"],"#,
        r#""scopes":{"needed":["read"],"held":["read","write"]},"purpose":"refund","prompt_hash":"sha-256:AA","controls":{"#,
        r#""token":{"digest":"00112233445566778899aabbccddeeff","cached":true,"key_set":"aa","source":"introspection"},"#,
        r#""sender_constraint":{"kind":"dpop_mtls","thumbprint":"bb"},"introspection":"active","step_up":"met","authorization_details":"unmet","revocation":"clear","status":"valid","replay":"fresh","nonce":"ignored","limits":["agent-burst"]},"#,
        r#""policy":{"ids":["owners-read"],"set_hash":"cc"},"#,
        r#""degraded":["revocations_stale","keys_kept","status_list_kept"],"observed":["dpop_nonce_required"],"#,
        r#""timings_us":{"route":1,"authenticate":80,"total":95}}"#,
    );
    assert_eq!(serde_json::to_string(&full()).unwrap(), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let expected = concat!(
        r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"0192","verdict":"permit","reason":"permitted","#,
        r#""status":200,"generation":0,"timings_us":{"total":0}}"#,
    );
    assert_eq!(serde_json::to_string(&bare()).unwrap(), expected);
}

#[test]
fn a_line_stays_a_line_whatever_is_recorded() {
    let record = Record { user: Some(Text::from("corp:a\n{\"v\":1}\r\u{2028}\0\"")), ..bare() };
    let line = serde_json::to_string(&record).unwrap();
    assert!(!line.contains(['\n', '\r', '\0']), "{line}");
    let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(parsed["user"], "corp:a\n{\"v\":1}\r\u{2028}\0\"");
}

/// What a line says can be read again, whole.
#[test]
fn a_line_is_read_as_it_was_written() {
    for record in [full(), bare()] {
        let line = serde_json::to_string(&record).unwrap();
        let read: Record<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }
}
