//! A name that is looked for, in each form in which it may have been recorded.

use memchr::memmem::Finder;

use crate::redaction::{DigestKey, Digested};
use crate::text::Text;

/// What a digest begins with.
const DIGEST: &str = "hmac:";

/// Whether it is no name but its digest.
pub(crate) fn is_digest(name: &str) -> bool {
    name.starts_with(DIGEST)
}

/// The forms of one name.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// An identity: as it is, cut as records are, and by its digests.
    pub(crate) fn of(name: &str, kinds: &[Digested], key: Option<&DigestKey>) -> Self {
        let mut forms = vec![Text::from(name).as_str().to_owned()];
        if !is_digest(name) {
            let digests = key
                .into_iter()
                .flat_map(|key| kinds.iter().map(move |kind| key.digest(*kind, name.as_bytes())));
            forms.extend(digests);
        }
        Self(forms)
    }

    /// A word that is never digested.
    pub(crate) fn exact(text: &str) -> Self {
        Self(vec![Text::from(text).as_str().to_owned()])
    }

    /// Whether this is the name.
    pub(crate) fn are_of(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.0.iter().any(|form| form == text))
    }

    /// Whether it is no digest itself.
    pub(crate) fn are_plain(&self) -> bool {
        self.0.first().is_some_and(|form| !is_digest(form))
    }

    /// Each form as a whole JSON string. One that has to be escaped is left out: a line that has it has a backslash.
    pub(crate) fn whole(&self) -> Vec<Finder<'static>> {
        self.finders(|form| format!("\"{form}\""))
    }

    /// The same, of strings that end so.
    pub(crate) fn ends(&self) -> Vec<Finder<'static>> {
        self.finders(|form| format!("{form}\""))
    }

    fn finders(&self, needle: impl Fn(&str) -> String) -> Vec<Finder<'static>> {
        let bare = self.0.iter().filter(|form| !form.chars().any(must_be_escaped));
        bare.map(|form| Finder::new(needle(form).as_bytes()).into_owned()).collect()
    }
}

/// RFC 8259 section 7.
const fn must_be_escaped(c: char) -> bool {
    matches!(c, '"' | '\\' | '\0'..='\u{1f}')
}
