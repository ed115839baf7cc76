//! The trace that a request belongs to (W3C Trace Context, level 1 and 2): `traceparent`.

use std::fmt;

/// Bytes of version 00, and of the part of later versions that is understood.
const LENGTH: usize = 55;

/// A `traceparent` that holds. It is the caller's word, good for finding things and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// The trace.
    pub(crate) trace: TraceId,
    /// The span that the request was sent in.
    pub(crate) span: SpanId,
    /// Whether who sent it may have recorded it.
    pub(crate) sampled: bool,
}

/// A trace's id: 16 bytes that are not all zero. Shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 16]);

/// A span's id: 8 bytes that are not all zero. Shown as 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId([u8; 8]);

impl TraceParent {
    /// The trace that header fields name. Names are in lower case.
    ///
    /// `None` where there is no `traceparent`, more than one, or one that is not as section 3.2 of the specification has
    /// it: then the request belongs to no trace (section 4.3).
    pub(crate) fn of(headers: &[(String, Vec<u8>)]) -> Option<Self> {
        Self::only(
            headers.iter().filter(|(name, _)| name == "traceparent").map(|(_, value)| value.as_slice()),
        )
    }

    /// The trace that the only one of these values names.
    pub(super) fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value)
    }

    /// Reads `version "-" trace-id "-" parent-id "-" trace-flags`, in lower case. Of a later version that begins so, this
    /// much is read (section 3.2.4); `ff` is none.
    fn parse(value: &[u8]) -> Option<Self> {
        let known = value.get(..LENGTH)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let [version] = hex(parts.next()?)?;
        let (trace, span) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let [flags] = hex(parts.next()?)?;
        let whole = match (version, value.get(LENGTH)) {
            (0xff, _) => false,
            (_, None) => true,
            (version, Some(next)) => version != 0 && *next == b'-',
        };
        let (trace, span) = (TraceId::of(trace)?, SpanId::of(span)?);
        whole.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// So many bytes in lower-case hex, and nothing else.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

impl TraceId {
    /// `None` for zeros, which name nothing.
    pub(crate) fn of(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// As protocols carry it.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// `None` for zeros, which name nothing.
    pub(crate) fn of(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// As protocols carry it.
    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn parsed(value: &str) -> Option<(String, String, bool)> {
        TraceParent::parse(value.as_bytes())
            .map(|parent| (parent.trace.to_string(), parent.span.to_string(), parent.sampled))
    }

    #[test]
    fn a_traceparent_is_read() {
        for (version, flags, sampled, rest) in [
            ("00", "01", true, ""),
            ("00", "00", false, ""),
            // Flags that are not known yet say nothing of the first.
            ("00", "fe", false, ""),
            ("00", "ff", true, ""),
            ("01", "01", true, ""),
            ("cc", "01", true, "-what-the-future-will-be"),
            ("cc", "01", true, "-"),
        ] {
            let value = format!("{version}-{TRACE}-{SPAN}-{flags}{rest}");
            assert_eq!(parsed(&value), Some((TRACE.to_owned(), SPAN.to_owned(), sampled)), "{value}");
        }
        let small = format!("00-{:032x}-{:016x}-00", 1, 2);
        assert_eq!(parsed(&small), Some((format!("{:032x}", 1), format!("{:016x}", 2), false)));
    }

    #[test]
    fn what_is_none_names_no_trace() {
        let (zeros, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for value in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("FF-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-011"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("cc-{TRACE}-{SPAN}-011"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{TRACE}{SPAN}-01"),
            format!("00-{SPAN}-{TRACE}-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            // Two of them, as a proxy joins them.
            format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01é"),
        ] {
            assert_eq!(parsed(&value), None, "{value}");
        }
    }

    #[test]
    fn two_are_none() {
        let field = |name: &str| (name.to_owned(), format!("00-{TRACE}-{SPAN}-01").into_bytes());
        assert!(TraceParent::of(&[field("a"), field("traceparent")]).is_some());
        assert_eq!(TraceParent::of(&[field("tracestate")]), None);
        assert_eq!(TraceParent::of(&[field("traceparent"), field("a"), field("traceparent")]), None);
    }
}
