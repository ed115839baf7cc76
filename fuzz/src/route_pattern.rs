//! Path patterns and templates of routes: read, or refused with a reason that can be shown.

use exequatur_decide::{PathPattern, Template};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match PathPattern::parse(text) {
        Ok(pattern) => {
            assert!(text.starts_with('/'));
            assert_eq!(PathPattern::parse(text), Ok(pattern));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match Template::parse(text) {
        Ok(template) => {
            let braces = |brace: char| text.matches(brace).count();
            assert_eq!(braces('{'), braces('}'));
            assert_eq!(template.parameters().count(), braces('{'));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
