//! Random worlds: the same things happen to the model and to the real parts, which must decide alike.

mod draw;
mod real;

use crate::dice::Dice;
use crate::facts::{Credentials, Id, Nonce, Outcome, Path, Proof, Request, Token};
use crate::model::Model;
use crate::worlds::draw::Setting;
use crate::worlds::real::{Bench, Real, Texts};

/// The second at which every world begins.
pub(crate) const START: i64 = 1_800_000_000;

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A token is issued; its times are relative to now.
    Issue(Token),
    /// A request is sent.
    Present(Plan),
    /// The request before this many is sent once more, byte for byte.
    Again(usize),
    /// Time goes by; or is set back.
    Time(i64),
    /// An issuer publishes these keys.
    Rotate(usize, Vec<Id>),
    /// Other routes and policies.
    Reload(usize),
    /// The service starts anew.
    Restart,
}

/// A request, as far as it can be planned before its token exists.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Which token, from the latest.
    pub(crate) token: usize,
    pub(crate) scheme: SchemePlan,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: Path,
    /// At the place that the token is for: its tenant, its resource, a route that its binding is enough for.
    pub(crate) fitting: bool,
    /// Instead of the token's own.
    pub(crate) certificate: Option<Option<Id>>,
    pub(crate) proof: ProofPlan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemePlan {
    Fitting,
    Other,
    None,
}

/// What differs from the proof that fits.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProofPlan {
    pub(crate) missing: bool,
    pub(crate) shows: Option<Id>,
    pub(crate) signer: Option<Id>,
    /// The `jti` of the proof before this many.
    pub(crate) id_of: Option<usize>,
    pub(crate) method: Option<&'static str>,
    pub(crate) host: Option<&'static str>,
    pub(crate) item: Option<&'static str>,
    pub(crate) age: i64,
    pub(crate) other_token: bool,
    pub(crate) nonce: NoncePlan,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NoncePlan {
    /// The latest for this key and host, if there was one.
    #[default]
    Fitting,
    None,
    Foreign,
    /// The one before this many, for whomever it was.
    Any(usize),
}

/// What came of all worlds.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) worlds: usize,
    pub(crate) decisions: usize,
    pub(crate) permits: usize,
    pub(crate) reasons: std::collections::BTreeMap<String, usize>,
    /// Each decision of the last world: its reason, and the policies that determined it.
    pub(crate) last: Vec<(String, std::collections::BTreeSet<String>)>,
}

/// Which worlds are to happen. A world is its seed and its number: whichever come before it change nothing of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) seed: u64,
    /// The first one's number.
    pub(crate) first: u64,
    pub(crate) worlds: u64,
}

/// Lets these worlds happen.
///
/// # Panics
/// Where model and reality differ, with the shortest history found that shows it.
pub(crate) fn run(span: Span) -> Agreement {
    let Span { seed, first, worlds } = span;
    let mut bench = Bench::new(seed);
    let mut agreement = Agreement::default();
    for number in first..first + worlds {
        let mut dice = Dice::new(seed.wrapping_add(number));
        agreement.last.clear();
        let setting = draw::setting(&mut dice, bench.generations());
        let history = draw::history(&mut dice, bench.generations());
        if let Err(difference) = play(&mut bench, &setting, &history, Some(&mut agreement)) {
            let (history, difference) = shrink(&mut bench, &setting, history, difference);
            let story: Vec<_> = history.iter().map(|event| format!("  {event:?}")).collect();
            panic!(
                "to repeat: ATTACK_SEED={seed} ATTACK_FIRST={number} ATTACK_WORLDS=1\n{setting:?}\n{}\n{difference}",
                story.join("\n")
            );
        }
        agreement.worlds += 1;
    }
    agreement
}

/// Leaves out events as long as the difference stays.
fn shrink(
    bench: &mut Bench,
    setting: &Setting,
    mut history: Vec<Event>,
    mut difference: String,
) -> (Vec<Event>, String) {
    let mut at = 0;
    while at < history.len() {
        let mut shorter = history.clone();
        shorter.remove(at);
        match play(bench, setting, &shorter, None) {
            Err(same) => (history, difference) = (shorter, same),
            Ok(()) => at += 1,
        }
    }
    (history, difference)
}

/// Takes the request to where the token is good, as far as that is known without the rules.
fn fit(plan: &mut Plan, token: &Token) {
    plan.path.tenant = token.tenant.unwrap_or(plan.path.tenant);
    let host = draw::HOSTS.iter().find(|(_, resource)| *resource == token.audience);
    plan.host = host.map_or(plan.host, |(host, _)| host);
    plan.path.route = match (token.audience == draw::UP, token.key, token.certificate, plan.path.route) {
        (true, ..) => "up",
        (_, None, None, _) => "lists",
        (_, Some(_), _, "vault") if token.certificate.is_none() => "documents",
        (_, None, Some(_), "documents") => "vault",
        (.., "up") => "notes",
        (.., route) => route,
    };
}

/// A request as both see it.
struct Sent {
    request: Request,
    texts: Texts,
}

/// Everything that has happened in a world.
struct World<'a> {
    model: Model,
    real: Real<'a>,
    now: i64,
    tokens: Vec<(Token, String)>,
    sent: Vec<Sent>,
    nonces: Vec<(Nonce, String)>,
    proofs: Id,
}

fn play(
    bench: &mut Bench,
    setting: &Setting,
    history: &[Event],
    mut agreement: Option<&mut Agreement>,
) -> Result<(), String> {
    let model = setting.model(bench);
    let real = Real::new(bench, setting);
    model.issuers.iter().enumerate().for_each(|(index, issuer)| real.publish(index, &issuer.keys));
    let mut world = World {
        model,
        real,
        now: START,
        tokens: Vec::new(),
        sent: Vec::new(),
        nonces: Vec::new(),
        proofs: 0,
    };
    for event in history {
        let Some((expected, found)) = world.happen(event) else { continue };
        if expected != found {
            let request = world.sent.last().map(|sent| &sent.request);
            return Err(format!(
                "at {}: {request:#?}\nmodel: {expected:?}\nreal:  {found:?}",
                world.now - START
            ));
        }
        if let Some(agreement) = &mut agreement {
            agreement.decisions += 1;
            let reason = expected.decision.err().unwrap_or("permitted");
            agreement.permits += usize::from(reason == "permitted");
            *agreement.reasons.entry(reason.to_owned()).or_default() += 1;
            agreement.last.push((reason.to_owned(), expected.policies));
        }
    }
    Ok(())
}

impl World<'_> {
    /// The two decisions, if the event asks for one. A nonce is compared by whether there is one.
    fn happen(&mut self, event: &Event) -> Option<(Outcome, Outcome)> {
        match event {
            Event::Issue(token) => {
                let mut token = token.clone();
                token.id = Id::try_from(self.tokens.len()).expect("few");
                let times = [Some(&mut token.issued), Some(&mut token.expires), token.not_before.as_mut()];
                times.into_iter().flatten().for_each(|time| *time += self.now);
                let text = self.real.sign_token(&token);
                self.tokens.push((token, text));
            }
            Event::Time(seconds) => self.now += seconds,
            Event::Rotate(issuer, keys) => {
                let keys: std::collections::BTreeSet<_> = keys.iter().copied().collect();
                self.real.publish(*issuer, &keys);
                self.model.issuers[*issuer].keys = keys;
            }
            Event::Reload(index) => self.model.generation = self.real.reload(*index),
            Event::Restart => {
                self.model.restart(self.now);
                self.real.restart(self.now);
            }
            Event::Again(back) => {
                let index = self.sent.len().checked_sub(1 + back)?;
                return Some(self.send(index));
            }
            Event::Present(plan) => {
                let sent = self.plan(plan)?;
                self.sent.push(sent);
                return Some(self.send(self.sent.len() - 1));
            }
        }
        None
    }

    fn send(&mut self, index: usize) -> (Outcome, Outcome) {
        let sent = &self.sent[index];
        let expected = self.model.decide(&sent.request, self.now);
        let (mut found, text) = self.real.decide(&sent.request, &sent.texts, self.now);
        if let (Some(nonce), Some(text)) = (&expected.nonce, text) {
            self.nonces.push((nonce.clone(), text));
            found.nonce = Some(nonce.clone());
        }
        (expected, found)
    }

    fn plan(&mut self, plan: &Plan) -> Option<Sent> {
        let (token, token_text) = self.tokens.get(self.tokens.len().checked_sub(1 + plan.token)?)?.clone();
        let mut plan = plan.clone();
        if plan.fitting {
            fit(&mut plan, &token);
        }
        let (plan, path) = (&plan, plan.path.clone());
        let with_proof = match plan.scheme {
            SchemePlan::None => None,
            SchemePlan::Fitting => Some(token.key.is_some()),
            SchemePlan::Other => Some(token.key.is_none()),
        };
        let certificate = plan.certificate.unwrap_or(token.certificate);
        let mut texts = Texts { token: token_text, proof: None };
        let credentials = match with_proof {
            None => Credentials::None,
            Some(false) => Credentials::Bearer(token),
            Some(true) if plan.proof.missing => Credentials::Dpop(token, None),
            Some(true) => {
                let (proof, nonce) = self.proof(plan, &token, &path);
                let of = if plan.proof.other_token { "another token" } else { &texts.token };
                texts.proof = Some(self.real.sign_proof(&proof, of, nonce.as_deref()));
                Credentials::Dpop(token, Some(proof))
            }
        };
        Some(Sent {
            request: Request { method: plan.method, host: plan.host, path, credentials, certificate },
            texts,
        })
    }

    fn proof(&mut self, plan: &Plan, token: &Token, path: &Path) -> (Proof, Option<String>) {
        let differs = &plan.proof;
        let shows = differs.shows.or(token.key).unwrap_or(draw::AGENTS[0]);
        let earlier = differs.id_of.and_then(|back| self.sent.len().checked_sub(1 + back));
        let earlier = earlier.and_then(|index| match &self.sent[index].request.credentials {
            Credentials::Dpop(_, Some(proof)) => Some(proof.id),
            _ => None,
        });
        self.proofs += 1;
        let host = differs.host.unwrap_or(plan.host);
        let mut path = path.clone();
        path.id = differs.item.unwrap_or(path.id);
        let (nonce, text) = self.nonce(differs.nonce, shows, plan.host).unzip();
        let proof = Proof {
            shows,
            signer: differs.signer.unwrap_or(shows),
            id: earlier.unwrap_or(self.proofs),
            method: differs.method.unwrap_or(plan.method),
            host,
            path,
            issued: self.now - differs.age,
            token: if differs.other_token { Id::MAX } else { token.id },
            nonce,
        };
        (proof, text)
    }

    fn nonce(&self, plan: NoncePlan, shows: Id, at: &str) -> Option<(Nonce, String)> {
        match plan {
            NoncePlan::None => None,
            NoncePlan::Foreign => Some((Nonce::Foreign, "another-servers".to_owned())),
            NoncePlan::Any(back) => self.nonces.get(self.nonces.len().checked_sub(1 + back)?).cloned(),
            NoncePlan::Fitting => {
                let fits = |nonce: &Nonce| matches!(nonce, Nonce::Ours { key, host, .. } if *key == shows && *host == at);
                self.nonces.iter().rev().find(|(nonce, _)| fits(nonce)).cloned()
            }
        }
    }
}
