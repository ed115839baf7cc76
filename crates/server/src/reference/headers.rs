//! Every field that an answer has Envoy set or remove, and what Envoy is told beside them.

use std::fmt::Write as _;

use exequatur_decide::OVERRIDES;

use crate::wire::headers::{ALWAYS_REMOVED, IDENTITY};

/// `x-exequatur-<part>` of a permitted request: what it says, and when it is there.
const REQUEST: [(&str, &str, &str); 6] = [
    ("decision", "the decision's id, as in the record", "always"),
    ("agent", "who acts now: `<issuer>:<claim>`", "guarded routes"),
    ("user", "on whose behalf: `<issuer>:<claim>`", "the agent acts for a user"),
    ("tenant", "the token's tenant", "the token names one, or its issuer has one"),
    ("scopes", "the token's scopes, separated by commas", "it has any"),
    (
        "delegation",
        "the actors of `act`, the one that acts now first, separated by commas",
        "the token has `act`",
    ),
];

/// Fields of a permitted request's response, which the upstream's answer is given.
const RESPONSE: [(&str, &str, &str); 3] = [
    (
        "dpop-nonce",
        "the nonce for the next proof",
        "nonces are `required`, and the request came with a proof",
    ),
    (
        "ratelimit-policy",
        "each limit: its units, and the seconds in which as many come again",
        "limits apply to the route",
    ),
    (
        "ratelimit",
        "each limit: what is left, and the seconds until all of it is there again",
        "limits apply to the route",
    ),
];

/// Fields of a denial: status and body are in the table of reasons.
const DENIAL: [(&str, &str, &str); 9] = [
    ("content-type", "`application/problem+json`", "always"),
    ("cache-control", "`no-store`", "always"),
    (
        "www-authenticate",
        "a challenge: one field for each scheme that the route takes",
        "the reason has an OAuth error, or \"none\"; not on a hidden route that answers 404",
    ),
    ("dpop-nonce", "the nonce to come back with", "`dpop_nonce_required`, `dpop_nonce_invalid`"),
    ("access-control-expose-headers", "the names that scripts of other origins may read", "401 and 429"),
    ("retry-after", "seconds; never 0", "429 and 503"),
    ("ratelimit-policy", "as with a permit", "429 for a limit of the configuration"),
    (
        "ratelimit",
        "the limits that had no room, and the seconds until this request would find some",
        "429 for a limit of the configuration",
    ),
    ("grpc-status", "8", "429 for a caller that speaks gRPC; the others Envoy makes itself"),
];

/// Members of the dynamic metadata, in the namespace of the filter that asks (`envoy.filters.http.ext_authz`).
const METADATA: [(&str, &str, &str); 10] = [
    ("decision", "the decision's id", "always"),
    ("verdict", "`permit`, `deny`, `fault`", "always"),
    ("reason", "the reason, also where a hidden route says `not_found`", "no permit"),
    ("route", "the route's name", "one matched"),
    ("agent", "as in the request", "the token was verified"),
    ("user", "as in the request", "it acts for a user"),
    ("tenant", "as in the request", "the token has one"),
    ("federation", "the rule by which another tenant's resource was asked for", "one applies"),
    ("generation", "the number of the rules and policies that decided", "always"),
    ("policies", "a list of the ids of the policies that determined the answer", "always; perhaps empty"),
];

/// The page's tables, as sections of Markdown.
#[must_use]
pub fn headers() -> String {
    let mut out = String::new();
    table(&mut out, "Set on a permitted request", "x-exequatur-", &REQUEST);
    removed(&mut out);
    table(&mut out, "Set on a permitted request's response", "", &RESPONSE);
    table(&mut out, "Set on a denial", "", &DENIAL);
    table(&mut out, "Told to Envoy as dynamic metadata", "", &METADATA);
    out
}

fn table(out: &mut String, title: &str, prefix: &str, rows: &[(&str, &str, &str)]) {
    let _infallible = write!(out, "## {title}\n\n| name | value | when |\n| --- | --- | --- |\n");
    for (name, value, when) in rows {
        let _infallible = writeln!(out, "| `{prefix}{name}` | {value} | {when} |");
    }
    out.push('\n');
}

fn removed(out: &mut String) {
    out.push_str("## Removed from a permitted request\n\n| name | unless |\n| --- | --- |\n");
    out.push_str("| `authorization` | the route says `credentials: forward` |\n");
    for name in ALWAYS_REMOVED.into_iter().chain(OVERRIDES) {
        let _infallible = writeln!(out, "| `{name}` | |");
    }
    for part in IDENTITY {
        let _infallible = writeln!(
            out,
            "| `x-exequatur-{part}`, and with `_` or `.` for either `-` | it is set, and then in that spelling |"
        );
    }
    out.push('\n');
}

#[cfg(test)]
fn names(rows: &[(&'static str, &str, &str)]) -> std::collections::BTreeSet<&'static str> {
    rows.iter().map(|(name, _, _)| *name).collect()
}

/// Names that the page has: on a permit's response, on a denial, in the metadata.
#[cfg(test)]
pub(crate) fn said() -> [std::collections::BTreeSet<&'static str>; 3] {
    [names(&RESPONSE), names(&DENIAL), names(&METADATA)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::headers::permit_headers;

    /// What is set and removed is what the page says: no more, no less. What the rest says is tried beside what makes it
    /// ([`crate::wire::respond`]).
    #[test]
    fn the_lists_are_those_of_permits() {
        assert_eq!(REQUEST.map(|(part, _, _)| part), IDENTITY);
        let page = headers();
        let (_, after) = page.split_once("## Removed").unwrap();
        let (section, _) = after.split_once("\n## ").unwrap();
        let mut named = BTreeSet::new();
        for name in
            section.lines().filter_map(|row| row.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name)
        {
            if let Some(part) = name.strip_prefix("x-exequatur-") {
                let spelt =
                    ["-", "_", "."].map(|a| ["-", "_", "."].map(|b| format!("x{a}exequatur{b}{part}")));
                named.extend(spelt.into_iter().flatten());
            } else {
                named.insert(name.to_owned());
            }
        }
        assert_eq!(named, permit_headers().into_iter().collect());
    }

    /// The names of each table, for the tests of what makes them.
    #[test]
    fn no_name_stands_twice() {
        for rows in [&RESPONSE[..], &DENIAL, &METADATA] {
            let names: BTreeSet<_> = names(rows);
            assert_eq!(names.len(), rows.len());
        }
    }
}
