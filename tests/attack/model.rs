//! The decision once more, as plain rules over plain data: what must be permitted, and of what is refused, why.
//!
//! It knows nothing of the real parts: no text is parsed, no signature checked, nothing cached, sliced or bounded in
//! memory. Times are whole seconds. Reasons come in the order of the vocabulary's rules: route, token, proof and
//! binding, nonce, tenant, scopes, sender, replay, policies; within the token claims before dates before the
//! signature before the audience, within the proof method, target, time, token, signature.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{
    AGE, ALGORITHMS, Actions, Credentials, FUTURE, Generation, Id, Identity, Issuer, Limits, Nonce, Outcome,
    Policy, Proof, Reason, Request, Route, SKEW, Sender, TOKEN_AHEAD, TOUCH, Things, Token, User,
};

/// What is remembered of a proof that was used.
#[derive(Clone, Debug)]
struct Used {
    until: i64,
    tenant: (&'static str, Option<&'static str>),
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) issuers: Vec<Issuer>,
    /// The hosts and their resources' identifiers.
    pub(crate) hosts: &'static [(&'static str, &'static str)],
    pub(crate) generation: Generation,
    /// Oldest nonce that is taken where each proof needs one.
    pub(crate) nonces: Option<i64>,
    pub(crate) limits: Limits,
    pub(crate) epoch: u32,
    complete_since: i64,
    latest: i64,
    used: BTreeMap<(Id, Id), Used>,
}

impl Model {
    pub(crate) fn new(
        issuers: Vec<Issuer>,
        hosts: &'static [(&'static str, &'static str)],
        generation: Generation,
        nonces: Option<i64>,
        limits: Limits,
        complete_since: i64,
    ) -> Self {
        let (latest, used) = (complete_since, BTreeMap::new());
        Self { issuers, hosts, generation, nonces, limits, epoch: 0, complete_since, latest, used }
    }

    /// The store starts anew and knows nothing.
    pub(crate) fn restart(&mut self, now: i64) {
        self.epoch += 1;
        (self.complete_since, self.latest) = (now, now);
        self.used.clear();
    }

    /// What the store sees of the time: a step back of more than a second begins another epoch.
    fn observe(&mut self, now: i64) {
        if self.latest - now > 1 {
            self.epoch += 1;
            self.complete_since = self.complete_since.max(self.latest);
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        self.used.retain(|_, used| used.until >= self.latest);
    }

    pub(crate) fn decide(&mut self, request: &Request, now: i64) -> Outcome {
        let (mut policies, mut nonce) = (BTreeSet::new(), None);
        let decision = self.line(request, now, &mut policies, &mut nonce);
        Outcome { decision, policies, nonce }
    }

    fn line(
        &mut self,
        request: &Request,
        now: i64,
        policies: &mut BTreeSet<String>,
        nonce: &mut Option<Nonce>,
    ) -> Result<Option<Identity>, Reason> {
        let (_, resource) =
            self.hosts.iter().find(|(host, _)| *host == request.host).ok_or("host_unknown")?;
        let route = self
            .generation
            .routes
            .iter()
            .find(|route| route.name == request.path.route && route.methods.contains(&request.method));
        let route = route.ok_or("route_unmatched")?.clone();
        if route.public {
            return Ok(None);
        }
        let (token, proof, dpop) = match &request.credentials {
            Credentials::None => return Err("credentials_missing"),
            Credentials::Bearer(token) => (token, None, false),
            Credentials::Dpop(token, proof) => (token, proof.as_ref(), true),
        };
        let issuer = self.token(token, route.forward.unwrap_or(resource), now)?.clone();
        if dpop {
            check_proof(proof.ok_or("dpop_proof_missing")?, token, request, now)?;
        }
        let constraint = bound(token, proof, dpop, request.certificate)?;
        if let Some(proof) = proof {
            self.nonce(proof, request.host, now, nonce)?;
        }
        require(token, &route, request, constraint)?;
        if let Some(proof) = proof {
            // Tenants of one name are one, whichever issuer names them.
            let whose = if token.tenant.is_some() { "" } else { issuer.name };
            self.claim(proof, (whose, token.tenant), request.host, now, nonce)?;
        }
        let identity = identity(&issuer, token, &route);
        ask(&self.generation.policies, &identity, request, &route, constraint, policies)?;
        if let (Some(proof), Some(_)) = (proof, self.nonces) {
            *nonce = Some(self.fresh(proof.shows, request.host, now));
        }
        // Which client it is, nobody is told.
        Ok(Some(Identity { client: String::new(), ..identity }))
    }

    fn token(&self, token: &Token, audience: &str, now: i64) -> Result<&Issuer, Reason> {
        let issuer = token.issuer.and_then(|index| self.issuers.get(index)).ok_or("token_issuer_unknown")?;
        if issuer.keys.is_empty() {
            return Err("issuer_keys_unavailable");
        }
        if token.tenant.is_some_and(|tenant| !issuer.tenants.contains(&tenant)) {
            return Err("token_claim_invalid");
        }
        let lifetime = token.expires - token.issued;
        if lifetime <= 0 || lifetime > issuer.lifetime {
            return Err("token_claim_invalid");
        }
        if token.issued - now > TOKEN_AHEAD {
            return Err("token_not_yet_valid");
        }
        if now - token.expires >= issuer.leeway {
            return Err("token_expired");
        }
        if token.not_before.is_some_and(|from| from - now > issuer.leeway) {
            return Err("token_not_yet_valid");
        }
        let tried = issuer.keys.iter().filter(|key| **key % ALGORITHMS == token.signer % ALGORITHMS);
        let tried: Vec<_> = tried.filter(|key| token.names_key.is_none_or(|name| name == **key)).collect();
        if tried.is_empty() {
            return Err("token_key_unknown");
        }
        if !tried.contains(&&token.signer) {
            return Err("token_signature_invalid");
        }
        if token.audience != audience || !issuer.audiences.contains(&audience) {
            return Err("token_audience_mismatch");
        }
        Ok(issuer)
    }

    /// Whether the nonce is enough before anything is claimed.
    fn nonce(
        &mut self,
        proof: &Proof,
        host: &'static str,
        now: i64,
        fresh: &mut Option<Nonce>,
    ) -> Result<(), Reason> {
        let Some(max_age) = self.nonces else { return Ok(()) };
        match ours(proof, host, now) {
            Some((_, at)) if now - at <= max_age => Ok(()),
            _ => Err(self.ask_for_nonce(proof, host, now, fresh)),
        }
    }

    fn ask_for_nonce(
        &mut self,
        proof: &Proof,
        host: &'static str,
        now: i64,
        fresh: &mut Option<Nonce>,
    ) -> Reason {
        *fresh = Some(self.fresh(proof.shows, host, now));
        if proof.nonce.is_none() { "dpop_nonce_required" } else { "dpop_nonce_invalid" }
    }

    fn fresh(&mut self, key: Id, host: &'static str, now: i64) -> Nonce {
        self.observe(now);
        Nonce::Ours { epoch: self.epoch, key, host, at: now }
    }

    fn claim(
        &mut self,
        proof: &Proof,
        tenant: (&'static str, Option<&'static str>),
        host: &'static str,
        now: i64,
        fresh: &mut Option<Nonce>,
    ) -> Result<(), Reason> {
        self.observe(now);
        let until = proof.issued + AGE + SKEW;
        if until < self.latest {
            return Err("dpop_iat_out_of_window");
        }
        let of_epoch = ours(proof, host, now).is_some_and(|(epoch, _)| epoch == self.epoch);
        if !of_epoch && proof.issued <= self.complete_since + FUTURE + SKEW {
            return Err(self.ask_for_nonce(proof, host, now, fresh));
        }
        if self.used.contains_key(&(proof.shows, proof.id)) {
            return Err("dpop_replay");
        }
        if self.used.keys().filter(|(key, _)| *key == proof.shows).count() >= self.limits.key
            || self.used.values().filter(|used| used.tenant == tenant).count() >= self.limits.tenant
        {
            return Err("rate_limited");
        }
        if self.used.len() >= self.limits.all {
            return Err("replay_store_unavailable");
        }
        self.used.insert((proof.shows, proof.id), Used { until, tenant });
        Ok(())
    }
}

/// Epoch and time of a nonce that was made here for this key and host.
fn ours(proof: &Proof, at_host: &str, now: i64) -> Option<(u32, i64)> {
    match proof.nonce {
        Some(Nonce::Ours { epoch, key, host, at })
            if key == proof.shows && host == at_host && at - now <= 10 =>
        {
            Some((epoch, at))
        }
        _ => None,
    }
}

fn check_proof(proof: &Proof, token: &Token, request: &Request, now: i64) -> Result<(), Reason> {
    let checks = [
        (proof.method == request.method, "dpop_htm_mismatch"),
        (proof.host == request.host && proof.path == request.path, "dpop_htu_mismatch"),
        (now - proof.issued <= AGE + SKEW && proof.issued - now <= FUTURE, "dpop_iat_out_of_window"),
        (proof.token == token.id, "dpop_ath_mismatch"),
        (proof.signer == proof.shows, "dpop_signature_invalid"),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, reason)| Err(reason))
}

/// How the sender is constrained, if it holds what the token names.
fn bound(
    token: &Token,
    proof: Option<&Proof>,
    dpop: bool,
    certificate: Option<Id>,
) -> Result<&'static str, Reason> {
    match (token.key, dpop, proof) {
        (None, true, _) => return Err("token_binding_required"),
        (Some(_), false, _) => return Err("dpop_bound_token_as_bearer"),
        (Some(key), true, Some(proof)) if proof.shows != key => return Err("dpop_key_mismatch"),
        _ => {}
    }
    match (token.certificate, certificate) {
        (Some(_), None) => return Err("mtls_cert_missing"),
        (Some(own), Some(shown)) if own != shown => return Err("mtls_cert_mismatch"),
        _ => {}
    }
    Ok(match (token.key, token.certificate) {
        (None, None) => "bearer",
        (Some(_), None) => "dpop",
        (None, Some(_)) => "mtls",
        (Some(_), Some(_)) => "dpop_mtls",
    })
}

fn require(token: &Token, route: &Route, request: &Request, constraint: &str) -> Result<(), Reason> {
    if token.tenant != Some(request.path.tenant) {
        return Err("tenant_mismatch");
    }
    let item = format!("item:{}", request.path.id);
    let holds = |scope: &str| token.scopes.contains(&scope);
    if !route.scopes.iter().all(|scope| holds(scope)) || (route.item_scope && !holds(&item)) {
        return Err("scope_insufficient");
    }
    if token.may_act.is_some_and(|named| token.actors.first().is_some_and(|actor| *actor != named)) {
        return Err("actor_not_permitted");
    }
    match (route.user, token.user) {
        (User::Required, None) => return Err("user_required"),
        (User::Refused, Some(_)) => return Err("user_not_allowed"),
        _ => {}
    }
    let enough = match route.sender {
        Sender::None => true,
        Sender::Any => constraint != "bearer",
        Sender::Dpop => constraint.starts_with("dpop"),
        Sender::Mtls => constraint.ends_with("mtls"),
    };
    if enough { Ok(()) } else { Err("token_binding_required") }
}

fn identity(issuer: &Issuer, token: &Token, route: &Route) -> Identity {
    let scoped = |id: &str| format!("{}:{id}", issuer.name);
    Identity {
        agent: scoped(token.actors.first().copied().unwrap_or(token.agent)),
        client: scoped(token.agent),
        user: token.user.map(scoped),
        tenant: token.tenant.map(str::to_owned),
        scopes: token.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        actors: token.actors.iter().map(|actor| scoped(actor)).collect(),
        forwarded: route.forward.is_some(),
    }
}

/// Whether the policies permit it; `because` is which of them determined that.
fn ask(
    policies: &[Policy],
    who: &Identity,
    request: &Request,
    route: &Route,
    constraint: &str,
    because: &mut BTreeSet<String>,
) -> Result<(), Reason> {
    let mut asked = vec![Principal::Agent];
    asked.extend(route.both.then_some(Principal::User));
    let about = |principal| {
        policies.iter().filter(move |policy| {
            concerns(policy, principal, who, request, route) && applies(policy, who, request, constraint)
        })
    };
    if asked.iter().any(|principal| about(*principal).any(|policy| policy.fails)) {
        return Err("policy_error");
    }
    let of = |forbid: bool| {
        let all = asked
            .iter()
            .flat_map(|principal| about(*principal))
            .filter(move |policy| policy.forbid == forbid);
        all.map(|policy| policy.id.clone()).collect::<BTreeSet<_>>()
    };
    let (forbids, permits) = (of(true), of(false));
    if !forbids.is_empty() {
        because.extend(forbids);
        return Err("policy_forbid");
    }
    if asked.iter().any(|principal| about(*principal).next().is_none()) {
        return Err("policy_no_permit");
    }
    because.extend(permits);
    Ok(())
}

/// Who is asked about.
#[derive(Clone, Copy)]
enum Principal {
    Agent,
    User,
}

/// Whether this is done by whom, is what and is with what the policy is about.
fn concerns(policy: &Policy, principal: Principal, who: &Identity, request: &Request, route: &Route) -> bool {
    let action = match policy.actions {
        None => true,
        Some(Actions::One(action)) => route.action == action,
        Some(Actions::Group) => TOUCH.contains(&route.action),
        Some(Actions::OneOf(actions)) => actions.contains(&route.action),
    };
    let thing = match policy.things {
        None => true,
        Some(Things::All(kind)) => route.of == kind,
        Some(Things::One(kind, id)) => route.of == kind && request.path.id == id,
        Some(Things::Of(tenant)) => request.path.tenant == tenant,
        Some(Things::AllOf(kind, tenant)) => route.of == kind && request.path.tenant == tenant,
    };
    let named = match principal {
        Principal::Agent => policy.person.is_none() && policy.agent.is_none_or(|agent| who.agent == agent),
        Principal::User => {
            policy.agent.is_none() && policy.person.is_none_or(|person| who.user.as_deref() == Some(person))
        }
    };
    action && thing && named && policy.agents_of.is_none_or(|tenant| who.tenant.as_deref() == Some(tenant))
}

fn applies(policy: &Policy, who: &Identity, request: &Request, constraint: &str) -> bool {
    policy.user.is_none_or(|user| who.user.as_deref() == Some(user))
        && policy.kind.is_none_or(|kind| request.path.kind == kind)
        && policy.tenant.is_none_or(|tenant| request.path.tenant == tenant)
        && policy.scope.is_none_or(|scope| who.scopes.iter().any(|own| own == scope))
        && policy.constraint.is_none_or(|named| named == constraint)
        && policy.actor.is_none_or(|actor| who.actors.first().is_some_and(|own| own == actor))
        && policy.prior.is_none_or(|prior| who.actors.iter().skip(1).any(|actor| actor == prior))
        && policy.client.is_none_or(|client| who.client == client)
        && policy.route.is_none_or(|route| request.path.route == route)
}
