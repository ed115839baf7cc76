//! `Authorization` and `DPoP`: one credential or none, and nothing in it that was not sent.
//!
//! The input's first line is the request's target; each further line is a field, `name: value`.

use exequatur_decide::{Credentials, RequestPath};

/// The laws.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let target = lines.next().and_then(|line| str::from_utf8(line).ok());
    let Some(path) = target.and_then(|target| RequestPath::parse(target).ok()) else { return };
    let fields: Vec<(&str, &[u8])> = lines.filter_map(field).collect();
    let values = |wanted: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| *value).collect()
    };
    let (authorization, proofs) = (values("authorization"), values("dpop"));
    let Ok(credentials) = Credentials::parse(&fields, &path) else { return };
    assert!(!path.query_names("access_token"));
    let (token, proof) = match credentials {
        Credentials::None => {
            assert!(authorization.is_empty(), "a credential was not seen");
            return;
        }
        Credentials::Bearer { token } => (token, None),
        Credentials::Dpop { token, proof } => (token, Some(proof)),
    };
    let [value] = authorization[..] else { panic!("two credentials") };
    let value = str::from_utf8(value).expect("was read as text");
    assert!(value.ends_with(&format!(" {token}")) && !token.is_empty() && !value.contains(','));
    assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
    let scheme = value.split(' ').next().expect("a scheme").to_ascii_lowercase();
    assert_eq!(scheme, if proof.is_some() { "dpop" } else { "bearer" });
    if let Some(Ok(proof)) = proof {
        assert_eq!(proofs, [proof.as_bytes()], "not the one proof");
        assert!(!proof.contains(','));
    }
}

fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let value = &value[1..];
    Some((str::from_utf8(name).ok()?, value.strip_prefix(b" ").unwrap_or(value)))
}
