//! How large a YAML text becomes once it is a tree: what a loader would build is weighed before it builds it.
//!
//! An alias is copied wherever it is used, so that a few lines can become gigabytes, and `- - - -` nests with two
//! bytes a level. A loader that is handed such a text ends the process.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser};
use thiserror::Error;

/// Deepest nesting of maps and lists, aliases followed.
pub const MAX_DEPTH: usize = 64;
/// Most that all aliases of a text may add to it: a value weighs one and the bytes of its text.
pub const MAX_COPIED: usize = 1024 * 1024;

/// Why a text is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Excess {
    /// Above [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
    /// Above [`MAX_COPIED`].
    #[error("aliases make more than {MAX_COPIED} values and bytes of this text")]
    Copies,
}

/// Whether a loader may build a tree of `text`. What is no YAML is left for the loader to say.
///
/// # Errors
/// Why not, and where that is.
pub fn yaml_extent(text: &str) -> Result<(), (Excess, Marker)> {
    let mut scale = Scale::default();
    for next in Parser::new_from_str(text) {
        let Ok((event, span)) = next else { return Ok(()) };
        scale.put(&event).map_err(|excess| (excess, span.start))?;
    }
    Ok(())
}

/// What a value is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    weight: usize,
    /// Levels of maps and lists in it, itself included.
    depth: usize,
}

#[derive(Debug, Default)]
struct Scale {
    /// Maps and lists that are not finished, with their anchors.
    open: Vec<(usize, Extent)>,
    anchors: HashMap<usize, Extent>,
    copied: usize,
}

impl Scale {
    fn put(&mut self, event: &Event<'_>) -> Result<(), Excess> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.finish(*anchor, Extent { weight: text.len().saturating_add(1), depth: 0 })
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                self.open.push((*anchor, Extent { weight: 1, depth: 1 }));
                if self.open.len() > MAX_DEPTH { Err(Excess::Depth) } else { Ok(()) }
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, extent) = self.open.pop().unwrap_or_default();
                self.finish(anchor, extent)
            }
            Event::Alias(anchor) => {
                // Within its own anchor it is unknown, and the loader says so.
                let extent = self.anchors.get(anchor).copied().unwrap_or_default();
                self.copied = self.copied.saturating_add(extent.weight);
                if self.copied > MAX_COPIED {
                    return Err(Excess::Copies);
                }
                self.finish(0, extent)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// A value is whole: it becomes part of what it stands in. 0 is no anchor.
    fn finish(&mut self, anchor: usize, extent: Extent) -> Result<(), Excess> {
        if self.open.len().saturating_add(extent.depth) > MAX_DEPTH {
            return Err(Excess::Depth);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, extent);
        }
        if let Some((_, parent)) = self.open.last_mut() {
            parent.weight = parent.weight.saturating_add(extent.weight);
            parent.depth = parent.depth.max(extent.depth.saturating_add(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn excess(text: &str) -> Option<Excess> {
        yaml_extent(text).err().map(|(excess, _)| excess)
    }

    /// `levels` lists, each of nine times the one before.
    fn bomb(levels: usize) -> String {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..=levels {
            let nine = vec![format!("*a{}", level - 1); 9].join(", ");
            writeln!(text, "a{level}: &a{level} [{nine}]").unwrap();
        }
        text
    }

    #[test]
    fn aliases_that_multiply_are_not_followed() {
        assert_eq!(excess(&bomb(3)), None);
        assert_eq!(excess(&bomb(9)), Some(Excess::Copies));
        assert_eq!(excess(&bomb(40)), Some(Excess::Copies));
        let keys = bomb(9).replace("a9: &a9 [", "? [").replace(", *a8]", "]\n: x");
        assert_eq!(excess(&keys), Some(Excess::Copies), "{keys}");
    }

    #[test]
    fn a_long_text_counts_wherever_it_is_copied() {
        let long = |copies| format!("a: &a {}\nb: [{}]\n", "x".repeat(1023), vec!["*a"; copies].join(", "));
        assert_eq!(excess(&long(1024)), None);
        assert_eq!(excess(&long(1025)), Some(Excess::Copies));
    }

    #[test]
    fn nesting_has_an_end_in_every_style() {
        assert_eq!(excess(&format!("{}x", "- ".repeat(MAX_DEPTH))), None);
        assert_eq!(excess(&format!("{}x", "- ".repeat(MAX_DEPTH + 1))), Some(Excess::Depth));
        assert_eq!(excess(&format!("{}x", "- ".repeat(100_000))), Some(Excess::Depth));
        let flow = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(excess(&flow(MAX_DEPTH)), None);
        assert_eq!(excess(&flow(MAX_DEPTH + 1)), Some(Excess::Depth));
        // Two halves that are deep enough together only.
        let halves = format!("a: &a {}\nb: {}*a{}\n", flow(40), "[".repeat(30), "]".repeat(30));
        assert_eq!(excess(&halves), Some(Excess::Depth));
    }

    #[test]
    fn what_is_no_yaml_is_left_to_the_loader() {
        for text in ["", "a: [", "*a", "a: &a [*a]", "a: b: c", "\t- x"] {
            assert_eq!(excess(text), None, "{text}");
        }
    }

    #[test]
    fn the_place_is_told() {
        let (_, marker) = yaml_extent(&bomb(9)).unwrap_err();
        assert!(marker.line() > 5, "{marker:?}");
    }
}
