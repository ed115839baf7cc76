//! What happens in a world, by chance: mostly what is right, and each thing wrong now and then.

use std::collections::BTreeSet;

use crate::dice::Dice;
use crate::facts::{
    ACTIONS, Actions, Generation, Id, Issuer, KINDS, Limits, Path, Policy, Route, Sender, Things, Token, User,
};
use crate::model::Model;
use crate::worlds::real::Bench;
use crate::worlds::{Event, NoncePlan, Plan, ProofPlan, START, SchemePlan};

const API: &str = "https://api.example.com";
pub(crate) const FILES: &str = "https://files.example.com";
pub(crate) const UP: &str = "https://up.example.com";
pub(crate) const HOSTS: &[(&str, &str)] = &[("api.example.com", API), ("files.example.com", FILES)];
/// Of agents; the keys of issuers begin at ten times their number plus ten.
pub(crate) const AGENTS: [Id; 4] = [0, 1, 2, 3];
pub(crate) const PUBLISHED: Id = 4;

pub(crate) fn issuers() -> Vec<Issuer> {
    let issuer = |name, audiences, tenants, leeway, lifetime| Issuer {
        name,
        audiences,
        tenants,
        leeway,
        lifetime,
        keys: BTreeSet::new(),
    };
    vec![
        issuer("corp", &[API, FILES, UP], &["acme", "globex"], 5, 900),
        issuer("partner", &[API], &["globex"], 0, 300),
        issuer("late", &[API, FILES, UP], &["acme", "globex"], 0, 900),
    ]
}

/// What a world begins with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) generation: usize,
    pub(crate) nonces: Option<i64>,
    pub(crate) limits: Limits,
    /// How long the store has known of every proof.
    pub(crate) known_for: i64,
}

impl Setting {
    pub(crate) fn model(&self, bench: &Bench) -> Model {
        let mut issuers = issuers();
        for (issuer, first) in issuers.iter_mut().zip([10, 20]) {
            issuer.keys = BTreeSet::from([first, first + 1, first + 2]);
        }
        let generation = bench.facts(self.generation);
        Model::new(issuers, HOSTS, generation, self.nonces, self.limits.clone(), START - self.known_for)
    }
}

pub(crate) fn setting(dice: &mut Dice, generations: usize) -> Setting {
    let few = dice.one_in(8);
    Setting {
        generation: dice.below(generations),
        nonces: dice.one_in(3).then_some(30),
        limits: if few {
            Limits { key: 3, tenant: 3, all: 3 }
        } else {
            Limits { key: 90, tenant: 90, all: 100 }
        },
        known_for: *dice.pick(&[3600, 3600, 3600, 20, 0]),
    }
}

pub(crate) fn history(dice: &mut Dice, generations: usize) -> Vec<Event> {
    let mut history = vec![Event::Issue(token(dice))];
    for _ in 0..6 + dice.below(14) {
        history.push(match dice.below(20) {
            0..=2 => Event::Issue(token(dice)),
            3..=5 => Event::Again(dice.below(3)),
            6 | 7 => Event::Time(
                *dice.pick(&[1, 1, 1, 4, 4, 9, 9, 15, 16, 16, 20, 29, 30, 31, 60, 65, 66, 100, 300, 900]),
            ),
            8 => match dice.below(8) {
                0 | 1 => Event::Time(*dice.pick(&[-1, -2, -1, -30])),
                2 => Event::Restart,
                3 | 4 => rotation(dice),
                _ => Event::Reload(dice.below(generations)),
            },
            _ => Event::Present(plan(dice)),
        });
    }
    history
}

fn rotation(dice: &mut Dice) -> Event {
    let issuer = dice.below(2);
    let first = if issuer == 0 { 10 } else { 20 };
    let kept = 1 + dice.below(15);
    let keys = (0..PUBLISHED).filter(|key| kept & (1 << key) != 0).map(|key| first + key);
    Event::Rotate(issuer, keys.collect())
}

/// Each of the dozen things that can be wrong with a request is so once in this many times.
const RARELY: usize = 48;

/// One of these, but now and then one of those.
fn mostly<T: Clone>(dice: &mut Dice, right: &[T], wrong: &[T]) -> T {
    let of = if dice.one_in(RARELY) { wrong } else { right };
    dice.pick(of).clone()
}

fn token(dice: &mut Dice) -> Token {
    let issuer = mostly(dice, &[Some(0), Some(0), Some(1)], &[None, Some(2)]);
    let first = if issuer == Some(1) { 20 } else { 10 };
    let signer = mostly(dice, &[first, first + 1, first + 2], &[first + 3, 30 - first, AGENTS[0]]);
    let names_key = mostly(dice, &[Some(signer), Some(signer), None], &[Some(first), Some(first + 3)]);
    let binding = dice.below(8);
    let (leeway, lifetime) = if issuer == Some(1) { (0, 300) } else { (5, 900) };
    let issued = mostly(dice, &[-10, -1, 0], &[60, 61, -100]);
    let fits = [issued + lifetime, issued + 100, issued + 20];
    let mut scopes = vec!["read", "write", "item:7"];
    if dice.one_in(10) {
        scopes.remove(dice.below(3));
    }
    Token {
        id: 0,
        issuer,
        signer,
        names_key,
        agent: mostly(dice, &["a1", "a2"], &["a3"]),
        user: mostly(dice, &[Some("u1"), Some("u2"), None], &[Some("u3")]),
        tenant: mostly(
            dice,
            if issuer == Some(1) { &[Some("globex")] } else { &[Some("globex"), Some("acme")] },
            &[None, Some("evil"), Some("acme")],
        ),
        scopes,
        audience: mostly(
            dice,
            if issuer == Some(1) { &[API] } else { &[API, API, FILES, UP] },
            &["https://api.example.com/", "x", UP],
        ),
        issued,
        expires: mostly(dice, &fits, &[issued + lifetime + 1, issued, -leeway, 1 - leeway, 0]),
        not_before: mostly(dice, &[None, Some(issued)], &[Some(leeway), Some(leeway + 1)]),
        key: (binding < 5 || binding == 7).then(|| *dice.pick(&AGENTS[..3])),
        certificate: (binding == 5 || binding == 7).then(|| Id::from(dice.one_in(2))),
        actors: mostly(
            dice,
            &[vec![], vec![], vec!["h1"], vec!["h1", "h2"]],
            &[vec!["h2"], vec!["h3", "h2", "h1"]],
        ),
        may_act: mostly(dice, &[None, None, None, Some("h1")], &[Some("h2"), Some("a1")]),
    }
}

/// The routes that take tokens, `up` last.
pub(crate) const ROUTES: [&str; 5] = ["documents", "notes", "vault", "lists", "up"];

fn plan(dice: &mut Dice) -> Plan {
    let route = mostly(dice, &ROUTES, &["open", "nothing"]);
    Plan {
        token: mostly(dice, &[0, 0, 0, 1], &[2]),
        scheme: mostly(dice, &[SchemePlan::Fitting], &[SchemePlan::Other, SchemePlan::None]),
        method: mostly(dice, &["GET"], &["POST", "DELETE"]),
        host: mostly(dice, &[HOSTS[0].0, HOSTS[0].0, HOSTS[1].0], &["evil.example.com"]),
        path: Path {
            route,
            tenant: dice.text(&["acme", "globex"]),
            kind: dice.text(&["plain", "secret", "odd"]),
            id: dice.text(&["7", "7", "7", "7", "7", "8"]),
        },
        fitting: !dice.one_in(8),
        certificate: mostly(dice, &[None], &[Some(None), Some(Some(0)), Some(Some(1))]),
        proof: proof(dice),
    }
}

fn proof(dice: &mut Dice) -> ProofPlan {
    let mut proof =
        ProofPlan { age: mostly(dice, &[0, 0, 1, -5], &[65, 66, -10, -11, 30]), ..ProofPlan::default() };
    proof.nonce = mostly(
        dice,
        &[NoncePlan::Fitting],
        &[NoncePlan::None, NoncePlan::Foreign, NoncePlan::Any(0), NoncePlan::Any(1), NoncePlan::Any(2)],
    );
    if dice.one_in(6) {
        let agent = *dice.pick(&AGENTS);
        match dice.below(9) {
            0 => proof.missing = true,
            1 => proof.shows = Some(agent),
            2 => proof.signer = Some(agent),
            3 | 4 => proof.id_of = Some(dice.below(3)),
            5 => proof.method = Some("POST"),
            6 => proof.host = Some(HOSTS[1].0),
            7 => proof.item = Some("8"),
            _ => proof.other_token = true,
        }
    }
    proof
}

/// Routes and policies by chance.
pub(crate) fn generation(dice: &mut Dice) -> Generation {
    let mut routes = Vec::new();
    let route = |name, sender, forward| Route {
        name,
        methods: &["GET"],
        public: false,
        sender,
        scopes: vec!["read"],
        item_scope: false,
        forward,
        action: "Use",
        of: "Item",
        user: User::Any,
        both: false,
    };
    routes.push(Route { methods: &["GET", "POST"], ..route("documents", Sender::Dpop, None) });
    routes.push(Route { item_scope: true, ..route("notes", *dice.pick(&[Sender::Any, Sender::Mtls]), None) });
    routes.push(route("vault", *dice.pick(&[Sender::Mtls, Sender::Dpop]), None));
    let lists = vec![dice.text(&["read", "write"])];
    routes.push(Route { scopes: lists, ..route("lists", Sender::None, None) });
    routes.push(route("up", Sender::Any, Some(UP)));
    if dice.one_in(2) {
        routes.push(Route { public: true, ..route("open", Sender::None, None) });
    }
    if dice.one_in(4) {
        routes.remove(dice.below(5));
    }
    for route in &mut routes {
        (route.action, route.of) = (dice.text(&ACTIONS), dice.text(&KINDS));
        (route.user, route.both) = match dice.below(16) {
            0 => (User::Refused, false),
            1 => (User::Required, false),
            2 | 3 => (User::Required, true),
            _ => (User::Any, false),
        };
    }
    let mut policies: Vec<_> = (0..1 + dice.below(8)).map(|number| policy(number, dice)).collect();
    if !dice.one_in(6) {
        policies.push(Policy { id: "most".to_owned(), ..Policy::default() });
    }
    Generation { routes, policies }
}

fn policy(number: usize, dice: &mut Dice) -> Policy {
    let forbid = dice.one_in(2);
    // A forbid that says little would leave nothing to permit.
    let often = if forbid { 3 } else { 4 };
    let mut maybe = |of: &[&'static str]| dice.one_in(often).then(|| dice.text(of));
    let (agent, user) = (
        maybe(&["corp:a1", "corp:a2", "partner:a1", "corp:a3"]),
        maybe(&["corp:u1", "partner:u1", "corp:u3"]),
    );
    let (tenant, scope) = (maybe(&["acme", "globex"]), maybe(&["write", "item:7"]));
    let constraint = maybe(&["bearer", "dpop", "mtls", "dpop_mtls"]);
    let (actor, route) = (maybe(&["corp:h1", "corp:h2", "partner:h1"]), maybe(&["documents", "lists", "up"]));
    let kind = Some(dice.text(&["plain", "secret", "odd"])).filter(|_| forbid || dice.one_in(2));
    let fails = dice.one_in(16);
    let actions = dice.one_in(2).then(|| actions(dice));
    let things = dice.one_in(2).then(|| things(dice));
    let person =
        (agent.is_none() && dice.one_in(4)).then(|| dice.text(&["corp:u1", "corp:u2", "partner:u1"]));
    let prior = (forbid && dice.one_in(4)).then(|| dice.text(&["corp:h2", "corp:h1", "partner:h2"]));
    let client = dice.one_in(6).then(|| dice.text(&["corp:a1", "corp:a2", "partner:a1"]));
    let agents_of =
        (agent.is_none() && person.is_none() && dice.one_in(4)).then(|| dice.text(&["acme", "globex"]));
    Policy {
        id: format!("p{number}"),
        forbid,
        fails,
        actions,
        things,
        agents_of,
        agent,
        person,
        user,
        kind,
        tenant,
        scope,
        constraint,
        actor,
        prior,
        client,
        route,
    }
}

fn actions(dice: &mut Dice) -> Actions {
    const SOME: [&[&str]; 3] = [&["Use", "Drop"], &["Keep"], &["Drop", "Keep", "Use"]];
    match dice.below(4) {
        0 | 1 => Actions::One(dice.text(&ACTIONS)),
        2 => Actions::Group,
        _ => Actions::OneOf(SOME[dice.below(SOME.len())]),
    }
}

fn things(dice: &mut Dice) -> Things {
    let (kind, tenant) = (dice.text(&KINDS), dice.text(&["acme", "globex"]));
    match dice.below(4) {
        0 => Things::All(kind),
        1 => Things::One(kind, dice.text(&["7", "8", "acme"])),
        2 => Things::Of(tenant),
        _ => Things::AllOf(kind, tenant),
    }
}
