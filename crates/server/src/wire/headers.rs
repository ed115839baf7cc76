//! The closed lists of header names: what a permit sets, and what it removes.

use std::sync::LazyLock;

use exequatur_decide::OVERRIDES;
use exequatur_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use exequatur_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};

/// The last part of each name that a permit may set: `x-exequatur-<part>`.
pub(crate) const IDENTITY: [&str; 6] = ["decision", "agent", "user", "tenant", "scopes", "delegation"];

/// Every spelling of every name that a permit may set.
static OURS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names = Vec::new();
    for part in IDENTITY {
        for first in ['-', '_', '.'] {
            for second in ['-', '_', '.'] {
                names.push(format!("x{first}exequatur{second}{part}"));
            }
        }
    }
    names
});

/// Removed from every permitted request, whatever its route, as [`OVERRIDES`] are, which would change what was
/// judged (B-06, B-07): a proof is never the upstream's to see, and the partial-body mark is between Envoy and us
/// (M5).
pub(crate) const ALWAYS_REMOVED: [&str; 2] = ["dpop", "x-envoy-auth-partial-body"];

/// A field that replaces every other of its name.
///
/// Both `append: false` and `OVERWRITE_IF_EXISTS_OR_ADD`: only the pair means overwriting on every Envoy
/// version, since older ones look at the one and newer ones at the other (N06, G21).
pub(crate) fn overwrite(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }),
        append: Some(false),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: false,
    }
}

/// What to remove: everything of ours that is not set, in each spelling that an upstream might take for the
/// same name (`-`, `_`, `.`), and the closed list. Never a name that is set: removal comes last in Envoy.
pub(crate) fn removals(set: &[HeaderValueOption], keep_authorization: bool) -> Vec<String> {
    let is_set =
        |name: &str| set.iter().any(|option| option.header.as_ref().is_some_and(|header| header.key == name));
    let ours = OURS.iter().filter(|name| !is_set(name)).cloned();
    let mut names = Vec::with_capacity(OURS.len() + ALWAYS_REMOVED.len() + OVERRIDES.len() + 1);
    names.extend(ours);
    if !keep_authorization {
        names.push("authorization".to_owned());
    }
    names.extend(ALWAYS_REMOVED.into_iter().chain(OVERRIDES).map(str::to_owned));
    names
}

/// Every name that a permit may set or remove: what Envoy's mutation rules have to let through, and no more.
pub fn permit_headers() -> Vec<String> {
    removals(&[], false)
}

/// Percent-encodes all but letters, digits and `-._~:/@+`: no control character, space, comma or quote
/// reaches a header value, and the encoding can be undone.
pub(crate) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/@+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for nibble in [byte >> 4, byte & 0x0f] {
                encoded
                    .extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two lists never name the same header: Envoy removes last.
    #[test]
    fn nothing_is_both_set_and_removed() {
        let all: Vec<_> =
            IDENTITY.iter().map(|part| overwrite(&format!("x-exequatur-{part}"), "v".into())).collect();
        for count in 0..=all.len() {
            let set = &all[..count];
            let removed = removals(set, false);
            for option in set {
                assert!(!removed.contains(&option.header.as_ref().unwrap().key));
            }
            assert_eq!(removed.len(), 6 * 9 - count + 1 + ALWAYS_REMOVED.len() + OVERRIDES.len());
        }
        assert!(!removals(&[], true).contains(&"authorization".to_owned()));
    }

    /// N06: Envoy's mutation rules are made from it, so it is neither shorter nor longer than what a permit changes.
    #[test]
    fn envoy_is_told_every_name() {
        let named = permit_headers();
        assert_eq!(named.len(), 6 * 9 + 1 + ALWAYS_REMOVED.len() + OVERRIDES.len());
        let others = ["authorization", "dpop", "x-envoy-auth-partial-body", "x-http-method-override"];
        for name in IDENTITY.iter().map(|part| format!("x-exequatur-{part}")).chain(others.map(str::to_owned))
        {
            assert!(named.contains(&name), "{name}");
        }
    }

    /// N06, G21
    #[test]
    fn overwriting_is_said_in_both_ways() {
        let option = overwrite("a", "b".into());
        assert_eq!(option.append, Some(false));
        assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encode("corp:crm-bot"), "corp:crm-bot");
        assert_eq!(encode("a b,c\r\n%é\""), "a%20b%2Cc%0D%0A%25%C3%A9%22");
    }
}
