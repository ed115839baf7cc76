//! "Did you mean": the known word nearest to one that is not known.

/// A hint: the nearest word, or all of them.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|candidate| (distance(word, candidate), candidate)).min();
    match near {
        Some((distance, candidate)) if distance <= 1 + word.chars().count() / 4 => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) | None => format!("known are: {}", known.join(", ")),
    }
}

/// How many characters must be inserted, deleted or replaced to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut above: Vec<_> = (0..=other.len()).collect();
    for (row, a) in one.chars().enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        let mut line = vec![left];
        for (b, up) in other.iter().zip(above.iter().skip(1)) {
            let replaced = diagonal + usize::from(a != *b);
            left = replaced.min(left + 1).min(up + 1);
            diagonal = *up;
            line.push(left);
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("polices", "policies", 1),
            ("abc", "acb", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        assert_eq!(hint("polices", &["routes", "policies"]), "did you mean `policies`?");
        assert_eq!(hint("xyz", &["routes", "policies"]), "known are: routes, policies");
    }
}
