//! Every way to change a request. Which of them do no harm is said in `harmless.tsv`.

mod claims;
mod games;
mod harmless;
mod members;
mod proofs;
mod requests;
mod seals;
mod texts;
mod times;

use crate::operator::Operator;

pub(crate) fn all() -> Vec<Operator> {
    let mut all = texts::operators();
    all.extend(members::operators());
    all.extend(seals::operators());
    all.extend(claims::operators());
    all.extend(times::operators());
    all.extend(proofs::operators());
    all.extend(requests::operators());
    all.extend(games::operators());
    all.extend(harmless::operators());
    all
}
