//! As much of HPACK (RFC 7541) as this caller needs: literals out, `:status` in.

/// A literal field without indexing, its name in full, no Huffman coding (§6.2.2).
pub(crate) fn encode(name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    block.push(0);
    for text in [name, value] {
        integer(text.len(), block);
        block.extend(text);
    }
}

/// §5.1, with the seven-bit prefix of a string's length.
fn integer(value: usize, block: &mut Vec<u8>) {
    if value < 127 {
        block.push(u8::try_from(value).unwrap_or_default());
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap_or_default());
}

/// `:status`, which is the first field of an answer.
pub(crate) fn status(block: &[u8]) -> Option<u16> {
    // Updates of the table's size stand before the first field (§6.3); ours is 0, which is one byte.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let block = block.get(start..)?;
    // The static table: 8 is `:status: 200`, and so on (appendix A).
    match block {
        [0x88, ..] => Some(200),
        [0x89, ..] => Some(204),
        [0x8a, ..] => Some(206),
        [0x8b, ..] => Some(304),
        [0x8c, ..] => Some(400),
        [0x8d, ..] => Some(404),
        [0x8e, ..] => Some(500),
        // A literal whose name is entry 8.
        [0x48 | 0x08 | 0x18, length, text @ ..] => {
            let value = text.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 { std::str::from_utf8(value).ok()?.parse().ok() } else { digits(value) }
        }
        _ => None,
    }
}

/// Three digits in the Huffman code of appendix B: `0` to `2` in five bits, `3` to `9` in six.
fn digits(bytes: &[u8]) -> Option<u16> {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut status = 0;
    for _ in 0..3 {
        let five = (0..5).try_fold(0, |code, _| Some(code * 2 + bits.next()?))?;
        let digit = if five <= 2 { five } else { (five * 2 + bits.next()?).checked_sub(25)? + 3 };
        status = status * 10 + Some(digit).filter(|digit| *digit <= 9)?;
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_each_form() {
        assert_eq!(status(&[0x20, 0x88]), Some(200));
        assert_eq!(status(b"\x48\x03403"), Some(403));
        // RFC 7541, C.6.1 and C.6.2: 302 and 307.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), Some(307));
        assert_eq!(status(&[0x82]), None);
    }
}
