//! Fields by which a caller asks an upstream to serve another method or path than the one that is judged (B-06,
//! B-07).

/// Names of such fields. They are removed from every permitted request.
pub const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-method",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether `name`, in lower case, is one of them as an upstream might read it that takes `_`, `.` and `-` for one
/// another (CGI and its heirs). There are too many of these to remove each, and no honest client sends one.
pub(crate) fn is_twin(name: &str) -> bool {
    name.contains(['_', '.'])
        && OVERRIDES.iter().any(|known| {
            known.len() == name.len()
                && known
                    .bytes()
                    .zip(name.bytes())
                    .all(|(known, byte)| known == byte || known == b'-' && matches!(byte, b'_' | b'.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_told_from_the_names_themselves() {
        for known in OVERRIDES {
            assert!(!is_twin(known), "{known}");
            assert!(is_twin(&known.replace('-', "_")), "{known}");
            assert!(is_twin(&known.replace('-', ".")), "{known}");
            assert!(is_twin(&known.replacen('-', "_", 1)), "{known}");
        }
        for other in ["", "x_methods", "y_method", "x_request_id", "_", "x-http_method-", "xx_method"] {
            assert!(!is_twin(other), "{other}");
        }
    }
}
