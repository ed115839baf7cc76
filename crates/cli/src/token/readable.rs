//! A token for people.

use exequatur_token::json::{Object, Value};
use jiff::{SignedDuration, Timestamp};

use super::decoded::{Decoded, to_json};
use super::judged::Judgement;
use crate::output::{in_one_line, plain};

/// Longest value that is shown whole, in characters of its JSON.
const MOST: usize = 600;
/// Longest name of a member that is shown whole.
const MOST_OF_A_NAME: usize = 40;
/// Claims that are seconds since 1970 (RFC 7519 §4.1; OpenID Connect Core §2).
const DATES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];

/// Header and claims. The first line says whether anything of it was verified.
pub(super) fn token(decoded: &Decoded, now: Timestamp, judged: Option<&Judgement>) -> String {
    let mut lines = vec![match judged {
        None => "NOT VERIFIED: this is what the token says, whoever made it.".to_owned(),
        Some(judged) if judged.signature_holds() => "The signature holds, see below.".to_owned(),
        Some(_) => "NOT VERIFIED, see below: this is what the token says, whoever made it.".to_owned(),
    }];
    for (title, part) in [("header", &decoded.header), ("claims", &decoded.claims)] {
        match part {
            Ok(object) => {
                lines.push(title.to_owned());
                members(object, now, &mut lines);
            }
            Err(error) => lines.push(format!("{title}: {error}")),
        }
    }
    lines.push(match &decoded.signature {
        Ok(bytes) => format!("signature: {bytes} bytes, not shown"),
        Err(error) => format!("signature: {error}"),
    });
    lines.join("\n")
}

fn members(object: &Object, now: Timestamp, lines: &mut Vec<String>) {
    for (name, value) in object.iter() {
        let date = if DATES.contains(&name) { date(value, now) } else { None };
        let value = in_one_line(&to_json(value), MOST);
        let date = date.map_or_else(String::new, |date| format!("  {date}"));
        lines.push(format!("  {:<10} {value}{date}", plain(name, MOST_OF_A_NAME)));
    }
}

/// The instant, and how far it is from now.
fn date(value: &Value, now: Timestamp) -> Option<String> {
    let at = Timestamp::from_second(value.as_number()?.as_i64()?).ok()?;
    let ahead = at.duration_since(now);
    let relative = match ahead.as_secs() {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(ahead)),
        _ => format!("{} ago", span(ahead.abs())),
    };
    Some(format!("{at}, {relative}"))
}

/// The two largest units: `3 d 4 h`.
fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (1.., _, _) => format!("{days} d {hours} h"),
        (_, 1.., _) => format!("{hours} h {minutes} min"),
        (_, _, 1..) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{seconds} s"),
    }
}

/// The steps, and what came of them.
pub(super) fn judgement(judged: &Judgement) -> String {
    let mut lines: Vec<_> = judged
        .steps
        .iter()
        .map(|step| match &step.outcome {
            Ok(what) => format!("{:<10} holds  {}", step.name.as_str(), plain(what, MOST)),
            Err((reason, what)) => {
                format!("{:<10} FAILS  {reason}: {}", step.name.as_str(), plain(what, MOST))
            }
        })
        .collect();
    lines.push(if judged.holds() {
        "Exequatur would accept it. Proof, revocation, scopes and policies are judged per request.".to_owned()
    } else {
        "Exequatur would refuse it.".to_owned()
    });
    lines.join("\n")
}
