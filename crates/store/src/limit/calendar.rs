//! Calendar periods of UTC, in whole microseconds since 1970.
//!
//! Written out in arithmetic on whole numbers, so that a script can do the same.

/// A calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From :00.
    Minute,
    /// From :00:00.
    Hour,
    /// From midnight UTC.
    Day,
    /// From the first, midnight UTC.
    Month,
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

impl Period {
    /// The first microsecond of the period that `now` lies in, and the first after it.
    pub(crate) fn bounds(self, now: i64) -> (i64, i64) {
        match self {
            Self::Minute => even(now, 60 * SECOND),
            Self::Hour => even(now, 3_600 * SECOND),
            Self::Day => even(now, DAY),
            Self::Month => {
                let (year, month) = month_of(now.div_euclid(DAY));
                let next =
                    if month == 12 { (year.saturating_add(1), 1) } else { (year, month.saturating_add(1)) };
                (first_day(year, month).saturating_mul(DAY), first_day(next.0, next.1).saturating_mul(DAY))
            }
        }
    }

    /// How long the period lasts that `now` lies in; months differ.
    pub(super) fn length(self, now: i64) -> u64 {
        let (start, end) = self.bounds(now);
        end.abs_diff(start)
    }
}

fn even(now: i64, length: i64) -> (i64, i64) {
    let start = now.saturating_sub(now.checked_rem_euclid(length).unwrap_or_default());
    (start, start.saturating_add(length))
}

/// Year and month of a day since 1970, in years that begin with March, so that a leap day comes last: of the days
/// of such a year 153 make five months.
fn month_of(day: i64) -> (i64, i64) {
    // 1 March 0000, 719 468 days before 1970. Four centuries have 146 097 days.
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let leaps = (of_era / 1_460).saturating_sub(of_era / 36_524).saturating_add(of_era / 146_096);
    let year_of_era = of_era.saturating_sub(leaps) / 365;
    let of_year = of_era.saturating_sub(days_of_years(year_of_era));
    let month_from_march = of_year.saturating_mul(5).saturating_add(2) / 153;
    let year = era.saturating_mul(400).saturating_add(year_of_era);
    if month_from_march < 10 {
        (year, month_from_march.saturating_add(3))
    } else {
        (year.saturating_add(1), month_from_march.saturating_sub(9))
    }
}

/// The day since 1970 that a month begins with.
fn first_day(year: i64, month: i64) -> i64 {
    let (year, from_march) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.saturating_sub(1), month.saturating_add(9))
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = from_march.saturating_mul(153).saturating_add(2) / 5;
    era.saturating_mul(146_097)
        .saturating_add(days_of_years(year_of_era))
        .saturating_add(of_year)
        .saturating_sub(719_468)
}

/// Days of so many years, from the beginning of four centuries.
fn days_of_years(years: i64) -> i64 {
    years.saturating_mul(365).saturating_add(years / 4).saturating_sub(years / 100)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;

    /// The same by a library: truncation in UTC.
    fn by_jiff(period: Period, now: i64) -> (i64, i64) {
        let zoned = Timestamp::from_microsecond(now).unwrap().to_zoned(TimeZone::UTC);
        let date: Date = zoned.date();
        let midnight = |date: Date| date.to_zoned(TimeZone::UTC).unwrap().timestamp();
        let (start, end) = match period {
            Period::Month => {
                let first = date.first_of_month();
                (midnight(first), midnight(date.last_of_month().tomorrow().unwrap()))
            }
            Period::Day => (midnight(date), midnight(date.tomorrow().unwrap())),
            Period::Hour | Period::Minute => {
                let time = zoned.time();
                let minute = if period == Period::Hour { 0 } else { time.minute() };
                let start = date.at(time.hour(), minute, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
                let length = if period == Period::Hour { 3600 } else { 60 };
                (start, start + SignedDuration::from_secs(length))
            }
        };
        (start.as_microsecond(), end.as_microsecond())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// From the year 1 to 9000: leap years, centuries, before 1970.
        #[test]
        fn periods_are_those_of_the_calendar(now in -62_000_000_000_000_000_i64..221_000_000_000_000_000) {
            for period in [Period::Minute, Period::Hour, Period::Day, Period::Month] {
                prop_assert_eq!(period.bounds(now), by_jiff(period, now), "{:?}", period);
            }
        }
    }

    #[test]
    fn a_boundary_begins_the_next_period() {
        for text in
            ["2024-02-29T23:59:59.999999Z", "2100-02-28T23:59:59.999999Z", "2026-12-31T23:59:59.999999Z"]
        {
            let last = text.parse::<Timestamp>().unwrap().as_microsecond();
            for period in [Period::Minute, Period::Hour, Period::Day, Period::Month] {
                assert_eq!(period.bounds(last).1, last + 1, "{text} {period:?}");
                assert_eq!(period.bounds(last + 1).0, last + 1, "{text} {period:?}");
                assert_eq!(period.bounds(last + 1), by_jiff(period, last + 1), "{text} {period:?}");
            }
        }
    }
}
