//! Collects findings while the tree is walked, and sets allowed ones aside.

use std::collections::HashSet;

use crate::allowance::{self, Allowance};
use crate::finding::{Allowed, Finding, Report};
use crate::rule::{Part, Rule, Severity};
use crate::tree::{Node, Place, shortened};
use crate::{Options, rules};

/// The walk's memory.
pub(crate) struct Linter<'o> {
    pub(crate) options: &'o Options,
    findings: Vec<Finding>,
    allowed: Vec<Allowed>,
    allowances: Vec<Allowance>,
    /// Those of the messages that the walk is inside of.
    scope: Vec<usize>,
    /// Where in `scope` those of the innermost message begin.
    innermost: usize,
    /// Messages that were judged, by identity: an alias repeats places.
    judged: HashSet<*const Node>,
}

impl<'o> Linter<'o> {
    pub(crate) fn new(options: &'o Options) -> Self {
        Self {
            options,
            findings: Vec::new(),
            allowed: Vec::new(),
            allowances: Vec::new(),
            scope: Vec::new(),
            innermost: 0,
            judged: HashSet::new(),
        }
    }

    /// Notes a breach, unless it is allowed here.
    pub(crate) fn report(&mut self, rule: &'static Rule, place: Place, message: impl Into<String>) {
        self.report_as(rule, rule.severity, place, message.into());
    }

    /// Notes that something cannot be judged.
    pub(crate) fn unknown(&mut self, rule: &'static Rule, place: Place, message: impl Into<String>) {
        self.report_as(rule, Severity::Unknown, place, message.into());
    }

    fn report_as(&mut self, rule: &'static Rule, severity: Severity, place: Place, message: String) {
        if rule.allowable {
            let from = if rule.allowable_here_only { self.innermost } else { 0 };
            for index in self.scope.iter().skip(from).rev() {
                let Some(allowance) = self.allowances.get_mut(*index) else { continue };
                if allowance.rule == rule.id {
                    allowance.used = true;
                    let reason = allowance.reason.clone();
                    self.allowed.push(Allowed { rule, place, message, reason });
                    return;
                }
            }
        }
        self.findings.push(Finding { rule, severity, place, message });
    }

    /// Judges what is inside of `node`, under the allowances that its metadata name.
    pub(crate) fn within(&mut self, node: &Node, judge: impl FnOnce(&mut Self)) {
        let before = (self.scope.len(), self.innermost);
        self.innermost = self.scope.len();
        for allowance in allowance::of(node, self) {
            // A message can be come by twice: an upstream that is Exequatur too, an alias.
            let known = self
                .allowances
                .iter()
                .position(|known| known.place == allowance.place && known.rule == allowance.rule);
            self.scope.push(known.unwrap_or(self.allowances.len()));
            if known.is_none() {
                self.allowances.push(allowance);
            }
        }
        judge(self);
        self.scope.truncate(before.0);
        self.innermost = before.1;
    }

    /// Holds a message against every rule that is about one of its keys.
    pub(crate) fn keys(&mut self, part: Part, node: &Node) {
        for rule in rules::all() {
            let Some(key) = rule.key.filter(|key| key.part == part) else { continue };
            match node.at(key.path) {
                Some(value) if (key.holds)(value, self.options) => {}
                Some(value) => {
                    let mut message = format!("`{}` is `{}`", key.path, value.shown());
                    if let Some(bound) = key.bound {
                        message.push_str("; ");
                        message.push_str(&bound(self.options));
                    }
                    self.report(rule, value.place, message);
                }
                None if !key.required => {}
                None => {
                    let place = node.nearest(key.path).place;
                    if key.default_holds {
                        let message =
                            format!("`{}` is not said, and stands only by Envoy's default", key.path);
                        self.report_as(rule, Severity::Weak, place, message);
                    } else {
                        self.report(rule, place, format!("`{}` is missing", key.path));
                    }
                }
            }
        }
    }

    /// Whether one of these was found, and is not allowed.
    pub(crate) fn found(&self, rules: &[&Rule]) -> bool {
        self.findings.iter().any(|finding| rules.iter().any(|rule| rule.id == finding.rule.id))
    }

    /// Notes that a message was looked at by the rules for its kind.
    pub(crate) fn judged(&mut self, node: &Node) {
        self.judged.insert(std::ptr::from_ref(node));
    }

    pub(crate) fn was_judged(&self, node: &Node) -> bool {
        self.judged.contains(&std::ptr::from_ref(node))
    }

    /// Everything, in the order of the file; allowances that allowed nothing are findings.
    pub(crate) fn finish(mut self) -> Report {
        for allowance in std::mem::take(&mut self.allowances).into_iter().filter(|allowance| !allowance.used)
        {
            let message =
                format!("`{}` is allowed here, and nothing here needs it", shortened(&allowance.rule));
            self.report(&allowance::UNUSED, allowance.place, message);
        }
        let key = |rule: &Rule, place: Place, message: &str| (place, rule.id, message.to_owned());
        self.findings.sort_by_cached_key(|finding| key(finding.rule, finding.place, &finding.message));
        self.findings.dedup_by_key(|finding| key(finding.rule, finding.place, &finding.message));
        self.allowed.sort_by_cached_key(|allowed| key(allowed.rule, allowed.place, &allowed.message));
        self.allowed.dedup_by_key(|allowed| key(allowed.rule, allowed.place, &allowed.message));
        Report { findings: self.findings, allowed: self.allowed }
    }
}
