//! More than one request: what happened before makes the last one wrong (D13, D18, A-35, A-39, G08, G11).

use crate::attempt::{Attempt, Wire, origin};
use crate::dice::Dice;
use crate::operator::{Change, Operator, Touches};
use crate::site::{Mood, Site};
use crate::verdict::{Verdict, nonce, read};

fn game(
    name: &str,
    play: impl Fn(&mut Site, &Attempt, &mut Dice, u64) -> Option<Wire> + 'static,
) -> Operator {
    Operator { name: format!("game: {name}"), touches: Touches::Time, change: Change::Game(Box::new(play)) }
}

/// The request as it is.
fn plain(site: &Site, attempt: &Attempt) -> Wire {
    let keys = &site.ring.keys;
    let token = attempt.sign_token(keys);
    let proof = attempt.sign_proof(keys, token.as_deref().unwrap_or_default());
    attempt.write(token.as_deref(), proof.as_deref())
}

/// A request that is permitted, sent.
fn spent(site: &Site, attempt: &Attempt) -> Option<Wire> {
    attempt.proof.as_ref()?;
    let wire = plain(site, attempt);
    permitted(site, &wire)?;
    Some(wire)
}

fn permitted(site: &Site, wire: &Wire) -> Option<()> {
    let verdict = read(&site.answer(wire.message()), &[]);
    if verdict == Ok(Verdict::Late) {
        return None;
    }
    assert!(matches!(verdict, Ok(Verdict::Permit(_))), "the first of a game: {verdict:?} to {wire:?}");
    Some(())
}

pub(crate) fn operators() -> Vec<Operator> {
    let mut operators = replays();
    operators.extend(ageing());
    operators.extend(moves());
    operators
}

fn replays() -> Vec<Operator> {
    vec![
        game("the same again", |site, attempt, _, _| spent(site, attempt)),
        game("the same again, written otherwise", |site, attempt, dice, _| {
            let mut wire = spent(site, attempt)?;
            match dice.below(6) {
                0 => wire.host = format!("{}:443", wire.host.to_ascii_uppercase()),
                1 => wire.raw = !wire.raw,
                2 => wire.headers.reverse(),
                3 => wire.target = format!("{}?again", wire.target.split('?').next().unwrap_or_default()),
                4 => wire.certificate = attempt.certificate.clone().map(|pem| pem.replace("%0A", "%0a")),
                _ => wire.headers.iter_mut().for_each(|(name, _)| *name = name.to_ascii_uppercase()),
            }
            Some(wire)
        }),
        game("the same proof, signed again", |site, attempt, dice, _| {
            spent(site, attempt)?;
            let mut again = attempt.clone();
            let proof = again.proof.as_mut()?;
            let htu = format!("{}{}", origin(&attempt.host).to_ascii_uppercase(), attempt.path);
            match dice.below(5) {
                0 => proof.payload.set("iat", site.seconds() + 5),
                1 => proof.payload.set("htu", htu),
                2 => proof.header.set("kid", "x"),
                3 => proof.payload.set("x", 1),
                _ => proof.payload.space = " ",
            }
            Some(plain(site, &again))
        }),
        game("the same proof with another token", |site, attempt, _, serial| {
            spent(site, attempt)?;
            let mut again = attempt.clone();
            again.token.as_mut()?.payload.set("jti", format!("other-{serial}"));
            Some(plain(site, &again))
        }),
        game("the same proof for another request", |site, attempt, _, _| {
            spent(site, attempt)?;
            let mut again = attempt.clone();
            if attempt.place.route == "notes" {
                return None;
            }
            again.path = attempt.path.replace("/7", "/8");
            again.name_target();
            Some(plain(site, &again))
        }),
    ]
}

fn ageing() -> Vec<Operator> {
    vec![
        game("the token expired since", |site, attempt, _, serial| {
            let mut short = attempt.clone();
            let exp = site.seconds() + 2;
            short.token.as_mut()?.payload.set("exp", exp);
            permitted(site, &plain(site, &short))?;
            site.advance(7_001);
            short.renew(serial);
            short.freshen_proof(site);
            Some(plain(site, &short))
        }),
        game("the proof is too old by now", |site, attempt, _, _| {
            attempt.proof.as_ref()?;
            let wire = plain(site, attempt);
            site.advance(66_000);
            Some(wire)
        }),
        game("a spent proof, at its last moment", |site, attempt, _, _| {
            if site.mood != Mood::Settled {
                return None;
            }
            let mut early = attempt.clone();
            early.proof.as_mut()?.payload.set("iat", site.seconds() + 9);
            let wire = spent(site, &early)?;
            // 9 ahead, 60 of age and 5 of skew, less what this second has gone already.
            site.advance(73_000);
            Some(wire)
        }),
        game("the nonce is too old by now", |site, attempt, _, serial| {
            if site.mood != Mood::Strict {
                return None;
            }
            let mut late = attempt.clone();
            late.proof.as_ref()?;
            site.advance(61_001);
            late.renew(serial);
            late.freshen_proof(site);
            Some(plain(site, &late))
        }),
        game("a spent proof, after a restart", |site, attempt, _, _| {
            if site.mood != Mood::Young {
                return None;
            }
            let wire = spent(site, attempt)?;
            site.restart();
            Some(wire)
        }),
    ]
}

fn moves() -> Vec<Operator> {
    vec![
        game("the token at the other resource", |site, attempt, _, serial| {
            if attempt.place.route == "upstream" {
                return None;
            }
            attempt.token.as_ref()?;
            permitted(site, &plain(site, attempt))?;
            let mut moved = attempt.clone();
            moved.host =
                if attempt.host.starts_with("api") { "files.example.com" } else { "api.example.com" }
                    .to_owned();
            moved.path = if attempt.place.route == "files" {
                "/tenants/acme/hidden/plain/7".to_owned()
            } else {
                "/files/plain/7".to_owned()
            };
            "GET".clone_into(&mut moved.method);
            moved.renew(serial);
            moved.name_target();
            Some(plain(site, &moved))
        }),
        game("the nonce of another key", |site, attempt, _, serial| {
            if site.mood == Mood::Settled {
                return None;
            }
            let other = attempt.by_another_agent(site, serial)?;
            Some(plain(site, &other))
        }),
        game("a stolen token under a bound scheme, proof by the thief", |site, attempt, _, serial| {
            let (mut stolen, thief) = (attempt.clone(), *site.ring.strangers.first()?);
            stolen.proof.as_ref()?;
            permitted(site, &plain(site, attempt))?;
            let key = &site.ring.keys[thief];
            let proof = stolen.proof.as_mut()?;
            proof.header.set("alg", key.alg);
            proof.header.set("jwk", key.jwk.clone());
            proof.seal = crate::jose::Seal::Key(thief);
            stolen.renew(serial);
            Some(plain(site, &stolen))
        }),
        game("asks for the nonce, and answers without it", |site, attempt, _, serial| {
            if site.mood == Mood::Settled {
                return None;
            }
            let mut without = attempt.clone();
            without.proof.as_mut()?.payload.remove("nonce");
            let wire = plain(site, &without);
            nonce(&site.answer(wire.message()))?;
            without.renew(serial);
            Some(plain(site, &without))
        }),
    ]
}
