//! Lines of several files in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read};

use crate::lines::{Line, Lines};
use crate::view::{View, begin};

/// A time as records have it, which sorts as times do.
pub(crate) type Moment = [u8; 24];

/// Reads several files at once, whichever has the earliest line next. Lines of one file keep their order, whatever their times
/// are; what has no time comes with what stands before it.
#[derive(Debug)]
pub struct Merge<R> {
    files: Vec<Lines<R>>,
    /// When the next line of each file is from.
    heads: BinaryHeap<Reverse<(Moment, usize)>>,
}

/// A file that cannot be read: its place among them.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Its place, from 0.
    pub file: usize,
    /// Why.
    pub error: io::Error,
}

impl<R: Read> Merge<R> {
    /// Begins with the first line of each.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn new(files: Vec<Lines<R>>) -> Result<Self, Unreadable> {
        let count = files.len();
        let mut merge = Self { files, heads: BinaryHeap::with_capacity(count) };
        for file in 0..count {
            merge.look_ahead(file, [b'0'; 24])?;
        }
        Ok(merge)
    }

    /// Hands the next line to `each`, with the place of its file and its time. `None` after the last one.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn next_line<T>(
        &mut self,
        each: impl FnOnce(usize, &[u8; 24], &Line<'_>) -> T,
    ) -> Result<Option<T>, Unreadable> {
        let Some(Reverse((time, file))) = self.heads.pop() else { return Ok(None) };
        let lines = self.files.get_mut(file);
        let next = lines.map(Lines::next_line).transpose();
        let line = next.map_err(|error| Unreadable { file, error })?.flatten();
        let taken = line.map(|line| each(file, &time, &line));
        self.look_ahead(file, time)?;
        Ok(taken)
    }

    fn look_ahead(&mut self, file: usize, before: Moment) -> Result<(), Unreadable> {
        let lines = self.files.get_mut(file);
        let next = lines.map(Lines::look_ahead).transpose();
        if let Some(line) = next.map_err(|error| Unreadable { file, error })?.flatten() {
            self.heads.push(Reverse((moment(line.bytes).unwrap_or(before), file)));
        }
        Ok(())
    }
}

/// When a line is from.
fn moment(line: &[u8]) -> Option<Moment> {
    if let Some((_, time)) = begin(line) {
        return time.try_into().ok();
    }
    format!("{:.3}", View::of(line)?.time?).into_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u32, n: &str) -> String {
        format!("{{\"v\":1,\"time\":\"2026-11-22T10:11:{second:02}.345Z\",\"decision\":\"{n}\"}}\n")
    }

    fn merged(files: &[String]) -> Vec<(usize, String)> {
        let lines = files.iter().map(|file| Lines::new(file.as_bytes())).collect();
        let mut merge = Merge::new(lines).unwrap();
        let mut all = Vec::new();
        while let Some(one) =
            merge.next_line(|file, _, line| (file, String::from_utf8(line.bytes.to_vec()).unwrap())).unwrap()
        {
            all.push(one);
        }
        all
    }

    #[test]
    fn the_earliest_line_of_all_files_comes_next() {
        let one = [line(10, "a"), line(12, "b"), line(11, "late"), line(20, "c")].concat();
        let two = [line(11, "d"), "foreign\n".to_owned(), line(13, "e"), line(30, "f")].concat();
        let three = r#"{ "time": "2026-11-22T12:11:12.5+02:00", "decision": "g" }"#.to_owned();
        let all = merged(&[one, two, three, String::new()]);
        let order: Vec<_> = all
            .iter()
            .map(|(file, line)| match serde_json::from_str::<serde_json::Value>(line) {
                Ok(record) => (*file, record["decision"].as_str().unwrap().to_owned()),
                Err(_) => (*file, line.clone()),
            })
            .collect();
        let order: Vec<_> = order.iter().map(|(file, name)| (*file, name.as_str())).collect();
        let expected = [
            (0, "a"),
            (1, "d"),
            (1, "foreign"),
            (0, "b"),
            (0, "late"),
            (2, "g"),
            (1, "e"),
            (0, "c"),
            (1, "f"),
        ];
        assert_eq!(order, expected);
    }
}
