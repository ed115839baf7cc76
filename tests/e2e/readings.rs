//! What a server may take a path for.

use std::collections::BTreeSet;

/// What a lenient upstream might take a target for: every reading that a server is known to make.
pub(crate) fn readings(target: &str) -> BTreeSet<String> {
    let path =
        target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split('?').next().unwrap_or(path).to_owned();
    let steps: [fn(&str) -> String; 9] = [
        decoded,
        |path| path.replace('\\', "/"),
        |path| {
            path.split('/').map(|part| part.split(';').next().unwrap_or(part)).collect::<Vec<_>>().join("/")
        },
        |path| path.split(['\0', '#', '?']).next().unwrap_or(path).to_owned(),
        str::to_lowercase,
        |path| format!("/{}", path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")),
        without_dots,
        |path| {
            path.split('/')
                .map(|part| part.trim_matches(|c: char| !c.is_ascii_graphic()))
                .collect::<Vec<_>>()
                .join("/")
        },
        |path| path.strip_suffix(".json").unwrap_or(path).to_owned(),
    ];
    let mut known = BTreeSet::from([path.clone()]);
    let mut new = vec![path];
    while let Some(path) = new.pop() {
        for step in steps {
            let read = step(&path);
            if known.insert(read.clone()) {
                new.push(read);
            }
        }
        assert!(known.len() < 10_000, "{target}");
    }
    known
}

/// Percent-decoded once; overlong forms of `.`, `/` and `\` too.
pub(crate) fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    for (overlong, plain) in
        [(&b"\xc0\xae"[..], b'.'), (b"\xc0\xaf", b'/'), (b"\xe0\x80\xae", b'.'), (b"\xe0\x80\xaf", b'/')]
    {
        while let Some(at) = bytes.windows(overlong.len()).position(|window| window == overlong) {
            bytes.splice(at..at + overlong.len(), [plain]);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}
