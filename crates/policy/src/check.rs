use crate::question::Principals;
use crate::set::PolicySet;
use crate::shape::AttributeKind;

/// Why a route and a schema do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteMisfit {
    /// The schema has no such action.
    #[error("the schema has no action `{action}`{}", suggestion(near))]
    ActionUnknown {
        /// As the route says it.
        action: String,
        /// The most similar action of the schema.
        near: Option<String>,
    },
    /// The action does not apply to the resource type.
    #[error("the action `{action}` does not apply to `{kind}`{}", suggestion(near))]
    ResourceUnknown {
        /// As the route says it.
        action: String,
        /// The resource type, as the route says it.
        kind: String,
        /// The most similar resource type that the action applies to.
        near: Option<String>,
    },
    /// The route asks about the user, and the action takes agents alone.
    #[error(
        "the action `{action}` does not apply to users: `principal: [Exequatur::Agent, Exequatur::User]`"
    )]
    UserUnknown {
        /// As the route says it.
        action: String,
    },
    /// The resource type has no such attribute.
    #[error("`{kind}` has no attribute `{attribute}`{}", suggestion(near))]
    AttributeUnknown {
        /// The resource type.
        kind: String,
        /// As the route says it.
        attribute: String,
        /// The most similar attribute.
        near: Option<String>,
    },
    /// The route gives no value to an attribute that the resource type requires.
    #[error("`{kind}` requires the attribute `{attribute}`")]
    AttributeMissing {
        /// The resource type.
        kind: String,
        /// The attribute.
        attribute: String,
    },
    /// The attribute's type is one that a route cannot give a value of.
    #[error("the attribute `{attribute}` of `{kind}` is of a type that a route cannot give")]
    AttributeType {
        /// The resource type.
        kind: String,
        /// The attribute.
        attribute: String,
    },
}

fn suggestion(near: &Option<String>) -> String {
    near.as_ref().map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

impl PolicySet {
    /// Checks what a route says about its action and resource, so that no request finds out later.
    /// `attributes` are the names that the route gives values to; `tenant` among them means that the
    /// route gives the resource's tenant, which every resource type takes.
    ///
    /// # Errors
    /// Every misfit.
    pub fn knows(&self, action: &str, kind: &str, attributes: &[&str]) -> Result<(), Vec<RouteMisfit>> {
        let Some(slices) = self.slices.action(action) else {
            let near = nearest(action, self.slices.action_names());
            return Err(vec![RouteMisfit::ActionUnknown { action: action.to_owned(), near }]);
        };
        let Some(slice) = slices.on(kind) else {
            let near = nearest(kind, slices.kinds());
            let (action, kind) = (action.to_owned(), kind.to_owned());
            return Err(vec![RouteMisfit::ResourceUnknown { action, kind, near }]);
        };
        let declared = &slice.resource.attributes;
        let mut misfits = Vec::new();
        for attribute in attributes.iter().filter(|name| **name != "tenant") {
            let (kind, attribute) = (kind.to_owned(), (*attribute).to_owned());
            match declared.get(&attribute) {
                Some(found) if found.kind.is_some() => {}
                Some(_) => misfits.push(RouteMisfit::AttributeType { kind, attribute }),
                None => {
                    let near = nearest(&attribute, declared.keys().map(String::as_str));
                    misfits.push(RouteMisfit::AttributeUnknown { kind, attribute, near });
                }
            }
        }
        for (name, attribute) in declared {
            if attribute.required && !attributes.contains(&name.as_str()) {
                misfits
                    .push(RouteMisfit::AttributeMissing { kind: kind.to_owned(), attribute: name.clone() });
            }
        }
        if misfits.is_empty() { Ok(()) } else { Err(misfits) }
    }

    /// Checks that an action can be asked about for `principals`.
    ///
    /// # Errors
    /// [`RouteMisfit::UserUnknown`]; nothing of an action that there is not, which [`Self::knows`] tells.
    pub fn takes(&self, action: &str, principals: Principals) -> Result<(), RouteMisfit> {
        let agents_alone = self.slices.action(action).is_some_and(|slices| !slices.takes_users);
        match principals {
            Principals::Both if agents_alone => Err(RouteMisfit::UserUnknown { action: action.to_owned() }),
            Principals::Both | Principals::Agent => Ok(()),
        }
    }

    /// The type of an attribute, for those who have to make a value of it from text. None where
    /// [`Self::knows`] would refuse.
    pub fn attribute_kind(&self, action: &str, kind: &str, attribute: &str) -> Option<&AttributeKind> {
        self.slices.action(action)?.on(kind)?.resource.attributes.get(attribute)?.kind.as_ref()
    }
}

/// The candidate that is most likely meant: the fewest edits, at most a third of the word.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let bound = word.chars().count().div_ceil(3);
    let scored = candidates.map(|candidate| (edits(word, candidate), candidate));
    let (_, best) = scored.filter(|(distance, _)| *distance <= bound).min()?;
    Some(best.to_owned())
}

/// Levenshtein distance without regard to case.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, a) in a.to_lowercase().chars().enumerate() {
        let mut next = vec![index.saturating_add(1)];
        for ((above_left, above), b) in row.iter().zip(row.iter().skip(1)).zip(&b) {
            let left = next.last().copied().unwrap_or(0);
            let substituted = above_left.saturating_add(usize::from(a != *b));
            next.push(substituted.min(above.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
