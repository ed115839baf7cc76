//! E-10, as a property: whatever is done to a long log is found, where it was done.

use std::num::NonZeroU32;

use io::Read as _;

use super::*;

const RECORDS: u64 = 100_000;
/// A copy of the verifier is kept at each so many lines, so that one change costs no more than these.
const STEP: usize = 100;
const CHANGES: usize = 3_000;

/// Repeats itself for a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}

/// A log, where its lines begin, and the verifier as it is before each `STEP`th of them.
struct World<'k> {
    bytes: Vec<u8>,
    begins: Vec<usize>,
    before: Vec<Verifier<'k>>,
}

impl<'k> World<'k> {
    fn new(log: Log, keys: &'k PublicKeys) -> Self {
        let (mut begins, mut before, mut offset) = (Vec::new(), Vec::new(), 0);
        let mut verifier = Verifier::new(Some(keys), Vec::new());
        verifier.begin_file("log");
        for (number, line) in log.lines().iter().enumerate() {
            if number % STEP == 0 {
                before.push(verifier.clone());
            }
            let place = (u64::try_from(number + 1).unwrap(), u64::try_from(offset).unwrap());
            verifier.line(&line[..line.len() - 1], &End::OfLine, place).unwrap();
            begins.push(offset);
            offset += line.len();
        }
        assert!(verifier.finish().unwrap().unvouched.is_empty());
        Self { bytes: log.bytes, begins, before }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= offset) - 1
    }

    fn line(&self, number: usize) -> std::ops::Range<usize> {
        let end = self.begins.get(number + 1).copied().unwrap_or(self.bytes.len());
        self.begins[number]..end
    }

    /// What a log comes to that has `middle` in place of a range of bytes: the line that is bad, or the first one that nothing
    /// vouches for, from 0.
    fn judged(&self, range: std::ops::Range<usize>, middle: &[u8]) -> Option<usize> {
        let snapshot = self.line_of(range.start.min(self.bytes.len() - 1)) / STEP;
        let first = snapshot * STEP;
        let changed = [&self.bytes[self.begins[first]..range.start], middle, &self.bytes[range.end..]];
        let mut verifier = self.before[snapshot].clone();
        // Joined by the reader, not copied: most is never read.
        let [before, middle, after] = changed;
        let mut reader = io::BufReader::with_capacity(1 << 16, before.chain(middle).chain(after));
        let mut line = Vec::new();
        for number in first.. {
            let end = next_line(&mut reader, &mut line).unwrap();
            if matches!(end, End::OfFile) && line.is_empty() {
                break;
            }
            let place = (u64::try_from(number + 1).unwrap(), 0);
            if let Err(failed) = verifier.line(&line, &end, place) {
                return Some(usize::try_from(failed.0.0.line).unwrap() - 1);
            }
        }
        if let Err(failed) = verifier.none_set_aside() {
            return Some(usize::try_from(failed.0.0.line).unwrap() - 1);
        }
        let report = verifier.finish().unwrap();
        let first = report.unvouched.first()?.from.as_ref()?.line;
        Some(usize::try_from(first).unwrap() - 1)
    }
}

/// The checkpoint or header at or before a line, after which lines are no longer vouched for.
fn since_checkpoint(world: &World<'_>, line: usize) -> usize {
    let is_checkpoint = |number: &usize| {
        world.bytes[world.line(*number)].windows(15).take(60).any(|bytes| bytes == b"\"checkpoint\":{\"")
    };
    (0..line).rev().find(is_checkpoint).map_or(0, |number| number + 1)
}

#[test]
fn any_change_of_a_long_log_is_found_where_it_is() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::new(Some(key));
    log.checkpoints.records = NonZeroU32::new(1_000).unwrap();
    log.begin(Begin::Run);
    log.records(RECORDS);
    log.close(Closes::Run);
    let world = World::new(log, &keys);
    let (lines, length) = (world.begins.len(), world.bytes.len());
    let mut random = Random(7);
    for n in 0..CHANGES {
        let offset = random.below(length);
        let line = world.line_of(offset);
        // Lines at the edges are rare, and are tried more often.
        let line = if n % 50 == 0 {
            lines - 1
        } else if n % 50 == 1 {
            0
        } else {
            line
        };
        let offset =
            if n % 50 < 2 { world.line(line).start + random.below(world.line(line).len()) } else { offset };
        let byte = u8::try_from(random.below(255)).unwrap();
        let other = if byte < world.bytes[offset] { byte } else { byte + 1 };
        let found = |range, middle: &[u8]| world.judged(range, middle);
        let whole = world.line(line);
        match n % 7 {
            0 => assert_eq!(found(offset..offset + 1, &[other]), Some(line), "byte {offset} to {other}"),
            1 => assert_eq!(found(offset..offset + 1, b""), Some(line), "byte {offset} removed"),
            2 => {
                // A byte more before the line's break; the same one would be at another place.
                let put = if other == b'\n' { b' ' } else { other };
                assert_eq!(found(offset..offset, &[put]), Some(line), "byte {put} put in at {offset}");
            }
            3 if line + 1 < lines => assert_eq!(found(whole, b""), Some(line), "line {line} removed"),
            4 => {
                let copy = world.bytes[whole.clone()].to_vec();
                let to = random.below(lines);
                let place = world.line(to).start;
                assert_eq!(found(place..place, &copy), Some(to), "line {line} again before {to}");
                assert_eq!(found(whole.end..whole.end, &copy), Some(line + 1), "line {line} again");
            }
            5 => {
                let other = (line + 1 + random.below(300)).min(lines - 1);
                if other > line {
                    let (one, two) = (world.line(line), world.line(other));
                    let between = &world.bytes[one.end..two.start];
                    let swapped = [&world.bytes[two.clone()], between, &world.bytes[one.clone()]].concat();
                    assert_eq!(found(one.start..two.end, &swapped), Some(line), "lines {line} and {other}");
                }
            }
            6 | 3 => {
                let cut = found(offset..length, b"").unwrap();
                let expected = since_checkpoint(&world, line);
                let torn = offset > whole.start;
                // The piece of a line is told first; and a cut after a checkpoint is told at it.
                let allowed = if torn { line } else { expected.min(line.saturating_sub(1)) };
                assert_eq!(cut, allowed, "cut at {offset}, line {line}");
            }
            other => panic!("{other}"),
        }
    }
}
