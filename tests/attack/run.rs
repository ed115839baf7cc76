//! The attack: permitted requests, each changed in one to three ways, and the answers judged.

use std::collections::{BTreeMap, HashSet};

use crate::attempt::{Attempt, Wire};
use crate::dice::Dice;
use crate::mutations;
use crate::operator::{Change, Operator, Touches, Turn};
use crate::site::{Mood, Site};
use crate::verdict::{Verdict, nonce, read};

/// Changes of one permitted request, before another is drawn.
const PER_BASE: usize = 4;
/// What time goes by between requests, in milliseconds.
const TICK: i64 = 10;
/// Reasons that come after the proof was spent.
const SPENT: [&str; 3] = ["policy_forbid", "policy_no_permit", "policy_error"];
const HARMLESS: &str = include_str!("harmless.tsv");

/// How much, and of which choices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mutants: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) mutants: usize,
    /// Permitted requests that were sent unchanged.
    pub(crate) controls: usize,
    /// By operator, the reasons and how often; a harmless one's is `permitted`.
    pub(crate) table: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Tally {
    pub(crate) fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.table.values().flatten() {
            *all.entry(reason.as_str()).or_default() += count;
        }
        all
    }
}

/// The operators that do no harm, with the reason why.
pub(crate) fn harmless() -> BTreeMap<&'static str, &'static str> {
    let lines = HARMLESS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no reason: {line}"))).collect()
}

/// Says which choices were made, if it ends in a panic.
struct Choices(u64);

impl Drop for Choices {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: ATTACK_SEED={} ATTACK_MUTANTS={PER_BASE}", self.0);
        }
    }
}

/// Runs the attack.
///
/// # Panics
/// At the first answer that is wrong.
pub(crate) fn run(plan: Plan) -> Tally {
    let mut sites = Site::all();
    let operators = mutations::all();
    let harmless: HashSet<_> = harmless().into_keys().collect();
    let mut tally = Tally::default();
    let mut serial = 0;
    for seed in plan.seed.. {
        if tally.mutants >= plan.mutants {
            break;
        }
        let _choices = Choices(seed);
        let mut dice = Dice::new(seed);
        let site = &mut sites[[0, 0, 1, 2][dice.below(4)]];
        site.freshen();
        let base = Base::draw(site, &mut dice, &mut serial, &mut tally);
        let Some(mut base) = base else { continue };
        for _ in 0..PER_BASE {
            serial += 1;
            base.attempt.renew(serial);
            let chosen = choose(&operators, &mut dice);
            if !base.play(site, &chosen, &harmless, &mut dice, &mut serial, &mut tally) {
                break;
            }
        }
    }
    tally
}

/// One, two or three that cannot cancel each other; a game stands alone.
fn choose<'a>(operators: &'a [Operator], dice: &mut Dice) -> Vec<&'a Operator> {
    let wanted = [1, 1, 1, 1, 1, 2, 2, 3][dice.below(8)];
    let mut chosen: Vec<&Operator> = vec![dice.pick(operators)];
    while chosen.len() < wanted && !is_game(chosen[0]) {
        let next = dice.pick(operators);
        if is_game(next) || chosen.iter().any(|other| other.touches == next.touches) {
            continue;
        }
        chosen.push(next);
    }
    // What changes the spelling of members comes after what looks for them by name.
    chosen.sort_by_key(|operator| operator.touches == Touches::Form);
    chosen
}

fn is_game(operator: &Operator) -> bool {
    matches!(operator.change, Change::Game(_))
}

/// A permitted request.
#[derive(Clone)]
struct Base {
    attempt: Attempt,
    token: Option<String>,
    identity: BTreeMap<String, String>,
}

impl Base {
    /// Draws one and shows that it is permitted; `None` if the process was stopped meanwhile.
    fn draw(site: &mut Site, dice: &mut Dice, serial: &mut u64, tally: &mut Tally) -> Option<Self> {
        site.advance(TICK);
        let mut attempt = Attempt::draw(site, dice);
        *serial += 1;
        attempt.renew(*serial);
        let asked = site.mood != Mood::Settled && attempt.proof.is_some();
        if asked {
            let (token, proof) = signed(site, &attempt);
            let response = site.answer(attempt.write(token.as_deref(), proof.as_deref()).message());
            let verdict = read(&response, &secrets(&token, &proof));
            if verdict == Ok(Verdict::Late) {
                return None;
            }
            assert_eq!(verdict, Ok(Verdict::Deny("dpop_nonce_required".to_owned())), "{attempt:?}");
            let fresh = nonce(&response).expect("a nonce is handed out");
            attempt.carry_nonce(&fresh);
        }
        let base = Self { identity: attempt.identity(), token: attempt.sign_token(&site.ring.keys), attempt };
        base.control(site, tally).then_some(base)
    }

    /// The request as it is, with the proof that it has now. False if the process was stopped meanwhile.
    fn control(&self, site: &Site, tally: &mut Tally) -> bool {
        let token = &self.token;
        let proof = self.attempt.sign_proof(&site.ring.keys, token.as_deref().unwrap_or_default());
        let wire = self.attempt.write(token.as_deref(), proof.as_deref());
        let verdict = read(&site.answer(wire.message()), &secrets(token, &proof));
        if verdict == Ok(Verdict::Late) {
            return false;
        }
        assert_eq!(
            verdict,
            Ok(Verdict::Permit(self.identity.clone())),
            "unchanged, {:?}: {wire:?}",
            site.mood
        );
        tally.controls += 1;
        true
    }

    /// Applies the changes and judges the answer. False where another base is to be drawn.
    fn play(
        &self,
        site: &mut Site,
        chosen: &[&Operator],
        harmless: &HashSet<&str>,
        dice: &mut Dice,
        serial: &mut u64,
        tally: &mut Tally,
    ) -> bool {
        site.advance(TICK);
        let Some(played) = self.apply(site, chosen, dice, serial) else { return !is_game(chosen[0]) };
        let Played { wire, token, proof } = played;
        let verdict = read(&site.answer(wire.message()), &secrets(&token, &proof));
        let names: Vec<_> = chosen.iter().map(|operator| operator.name.as_str()).collect();
        let means_no_harm = names.iter().all(|name| harmless.contains(name));
        let label = match &verdict {
            Ok(Verdict::Permit(identity)) if means_no_harm && *identity == self.identity => {
                "permitted".to_owned()
            }
            Ok(Verdict::Deny(reason)) if !means_no_harm => reason.clone(),
            Ok(Verdict::Late) => return false,
            _ => panic!("{names:?} of {:?}, {:?}: {verdict:?}\n{}", self.attempt, site.mood, shown(&wire)),
        };
        tally.mutants += 1;
        for name in names {
            *tally.table.entry(name.to_owned()).or_default().entry(label.clone()).or_default() += 1;
        }
        if is_game(chosen[0]) {
            return false;
        }
        if dice.one_in(4) {
            // What was refused before it was admitted has not spent the proof (G10): the very same one is good.
            let mut again = self.clone();
            if label == "permitted" || SPENT.contains(&label.as_str()) {
                *serial += 1;
                again.attempt.renew(*serial);
            }
            return again.control(site, tally);
        }
        true
    }

    /// The changed request; `None` if a change does not apply.
    fn apply(
        &self,
        site: &mut Site,
        chosen: &[&Operator],
        dice: &mut Dice,
        serial: &mut u64,
    ) -> Option<Played> {
        if let Change::Game(play) = &chosen[0].change {
            *serial += 1;
            let wire = play(site, &self.attempt, dice, *serial)?;
            return Some(Played { wire, token: None, proof: None });
        }
        let ring = site.ring.clone();
        let mut turn = Turn { dice, ring: &ring, now: site.seconds(), mood: site.mood };
        let mut attempt = self.attempt.clone();
        for operator in chosen {
            if let Change::Unsigned(change) = &operator.change {
                let before = attempt.clone();
                if !change(&mut attempt, &mut turn) || attempt == before {
                    return None;
                }
            }
        }
        // What was signed before and did not change is not signed again.
        let mut token = if attempt.token == self.attempt.token {
            self.token.clone()
        } else {
            attempt.sign_token(&ring.keys)
        };
        for operator in chosen {
            if let Change::Token(change) = &operator.change {
                token = Some(change(token.as_deref()?, &mut turn)?);
            }
        }
        let mut proof = attempt.sign_proof(&ring.keys, token.as_deref().unwrap_or_default());
        for operator in chosen {
            if let Change::Proof(change) = &operator.change {
                proof = Some(change(proof.as_deref()?, &mut turn)?);
            }
        }
        let mut wire = attempt.write(token.as_deref(), proof.as_deref());
        for operator in chosen {
            if let Change::Wire(change) = &operator.change {
                let before = wire.clone();
                if !change(&mut wire, &mut turn) || wire == before {
                    return None;
                }
            }
        }
        Some(Played { wire, token, proof })
    }
}

struct Played {
    wire: Wire,
    token: Option<String>,
    proof: Option<String>,
}

fn signed(site: &Site, attempt: &Attempt) -> (Option<String>, Option<String>) {
    let token = attempt.sign_token(&site.ring.keys);
    let proof = attempt.sign_proof(&site.ring.keys, token.as_deref().unwrap_or_default());
    (token, proof)
}

fn secrets<'a>(token: &'a Option<String>, proof: &'a Option<String>) -> Vec<&'a str> {
    token.iter().chain(proof).map(String::as_str).collect()
}

/// The request, so that a person can read it.
fn shown(wire: &Wire) -> String {
    let headers = wire.headers.iter().map(|(name, value)| format!("  {name}: {}", value.escape_ascii()));
    let headers: Vec<_> = headers.collect();
    format!("{:?} {:?} {:?}\n{}", wire.method, wire.host, wire.target, headers.join("\n"))
}
