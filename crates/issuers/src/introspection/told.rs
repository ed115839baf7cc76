//! What the log is told of questions that fail: it is what strangers' tokens may bring about, so that it is told seldom.

use std::time::Duration;

use tokio::time::Instant;

use super::outcome::IntrospectionError;

/// Between two lines of one kind.
const QUIET: Duration = Duration::from_secs(60);

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told {
    failure: Option<IntrospectionError>,
    failed_at: Option<Instant>,
    over_at: Option<Instant>,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// A failure of another kind than was told before.
    Failure(IntrospectionError),
    /// That which was told is over.
    Over,
}

impl Told {
    /// What is to be told of a question that ended at `now`: a failure once a minute at most, and so that it is over. What is held
    /// back is told by the next question that ends so, once the minute has passed.
    pub(super) fn of(&mut self, outcome: Option<IntrospectionError>, now: Instant) -> Option<News> {
        if outcome == self.failure {
            return None;
        }
        let last = if outcome.is_some() { &mut self.failed_at } else { &mut self.over_at };
        if last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            return None;
        }
        *last = Some(now);
        self.failure = outcome;
        Some(outcome.map_or(News::Over, News::Failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::DownloadError;

    const REFUSED: IntrospectionError = IntrospectionError::Download(DownloadError::Status(400));
    const BROKEN: IntrospectionError = IntrospectionError::Download(DownloadError::Status(500));

    #[test]
    fn what_is_new_is_told_at_once() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.of(None, now), None);
        assert_eq!(told.of(Some(BROKEN), now), Some(News::Failure(BROKEN)));
        assert_eq!(told.of(Some(BROKEN), now), None);
        assert_eq!(told.of(None, now), Some(News::Over));
        assert_eq!(told.of(None, now), None);
    }

    /// L04: a stranger's tokens of two kinds, in turn, are two lines a minute.
    #[test]
    fn a_stranger_does_not_fill_the_log() {
        let (mut told, start) = (Told::default(), Instant::now());
        let turns = [Some(REFUSED), None, Some(BROKEN), None];
        let tell = |told: &mut Told, second: u64| {
            let now = start + Duration::from_secs(second);
            turns.iter().filter(|turn| told.of(**turn, now).is_some()).count()
        };
        let lines: usize = (0..600).map(|second| tell(&mut told, second)).sum();
        assert_eq!(lines, 20);
    }

    /// What lasts is told in the end.
    #[test]
    fn what_was_held_back_is_told_later() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        assert!(told.of(Some(BROKEN), at(0)).is_some() && told.of(None, at(5)).is_some());
        assert_eq!(told.of(Some(BROKEN), at(10)), None);
        assert_eq!(told.of(Some(BROKEN), at(60)), Some(News::Failure(BROKEN)));
        assert_eq!(told.of(None, at(61)), None);
        assert_eq!(told.of(None, at(65)), Some(News::Over));
    }
}
