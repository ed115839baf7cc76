//! A figure: what was measured, against what, and the floor it must keep.

use serde_json::{Map, Value, json};

/// How a figure is held against its floor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Floor {
    fn kept(self, value: f64) -> bool {
        match self {
            Self::AtLeast(floor) => value >= floor,
            Self::AtMost(floor) => value <= floor,
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The subject's own value.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What it is compared with, in the same unit.
    pub(crate) ceiling: Option<f64>,
    /// The median over the pairs of the two.
    pub(crate) ratio: Option<f64>,
    /// The distance of the highest from the lowest measurement, as a share of the median.
    pub(crate) spread: f64,
    pub(crate) floor: Option<Floor>,
}

impl Figure {
    /// A figure of pairs (ceiling, subject), the ratio of each being given by `ratio`.
    pub(crate) fn of_pairs(
        name: &'static str,
        unit: &'static str,
        pairs: &[(f64, f64)],
        ratio: impl Fn(f64, f64) -> f64,
        floor: Floor,
    ) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(ceiling, subject)| ratio(*ceiling, *subject)).collect();
        Self {
            name,
            value: median(pairs.iter().map(|pair| pair.1)),
            unit,
            ceiling: Some(median(pairs.iter().map(|pair| pair.0))),
            ratio: Some(median(ratios.iter().copied())),
            spread: spread(&ratios),
            floor: Some(floor),
        }
    }

    /// A figure that stands for itself.
    pub(crate) fn alone(
        name: &'static str,
        unit: &'static str,
        values: &[f64],
        floor: Option<Floor>,
    ) -> Self {
        let value = median(values.iter().copied());
        Self { name, value, unit, ceiling: None, ratio: None, spread: spread(values), floor }
    }

    /// Whether the floor is kept, by the ratio where there is one.
    pub(crate) fn kept(&self) -> bool {
        self.floor.is_none_or(|floor| floor.kept(self.ratio.unwrap_or(self.value)))
    }

    /// The line.
    pub(crate) fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let floor = match self.floor {
            Some(Floor::AtLeast(floor)) => format!(">= {floor}"),
            Some(Floor::AtMost(floor)) => format!("<= {floor}"),
            None => "-".to_owned(),
        };
        format!(
            "{:<24} {:>12.2} {:<12} {:>10} {:>7} {:>6.1}% {:>9}  {}",
            self.name,
            self.value,
            self.unit,
            number(self.ceiling),
            number(self.ratio),
            self.spread * 100.0,
            floor,
            if self.kept() { "kept" } else { "NOT KEPT" },
        )
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    format!(
        "{:<24} {:>12} {:<12} {:>10} {:>7} {:>7} {:>9}",
        "figure", "value", "unit", "ceiling", "ratio", "spread", "floor"
    )
}

/// All of them, as they are written to `figures.json`.
pub(crate) fn document(figures: &[Figure]) -> Value {
    let figures = figures.iter().map(|figure| {
        let Figure { name, value, unit, ceiling, ratio, spread, floor: _ } = figure;
        let value =
            json!({ "value": value, "unit": unit, "ceiling": ceiling, "ratio": ratio, "spread": spread });
        ((*name).to_owned(), value)
    });
    Value::Object(figures.collect::<Map<_, _>>())
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn spread(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    // All the same, all nothing too.
    if high <= low { 0.0 } else { (high - low) / median(values.iter().copied()) }
}
