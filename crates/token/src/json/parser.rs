//! Recursive descent over the text; the recursion is bounded by [`Limits::depth`].

use super::{JsonError, Limits, Number, Object, Value};

/// Reads the one value that `bytes` is.
///
/// # Errors
/// [`JsonError`], for anything but exactly one value within `limits`.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::TooLong);
    }
    let text = std::str::from_utf8(bytes).or(Err(JsonError::NotUtf8))?;
    if text.starts_with('\u{FEFF}') {
        return Err(JsonError::ByteOrderMark);
    }
    let mut parser = Parser { rest: text, members: limits.members };
    parser.skip_whitespace();
    let value = parser.value(limits.depth)?;
    parser.skip_whitespace();
    if parser.rest.is_empty() { Ok(value) } else { Err(JsonError::TrailingData) }
}

struct Parser<'a> {
    rest: &'a str,
    members: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.peek().ok_or(JsonError::UnexpectedEnd)? {
            '{' => Ok(Value::Object(self.object(depth)?)),
            '[' => Ok(Value::Array(self.array(depth)?)),
            '"' => Ok(Value::String(self.string()?)),
            '-' | '0'..='9' => Ok(Value::Number(self.number()?)),
            't' => self.literal("true", Value::Bool(true)),
            'f' => self.literal("false", Value::Bool(false)),
            'n' => self.literal("null", Value::Null),
            _ => Err(JsonError::UnexpectedCharacter),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, JsonError> {
        let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
        self.expect('{')?;
        self.skip_whitespace();
        let mut members = Vec::new();
        if self.take('}') {
            return Ok(Object { members });
        }
        loop {
            if members.len() >= self.members {
                return Err(JsonError::TooManyMembers);
            }
            let name = self.string()?;
            if name.contains('\0') {
                return Err(JsonError::NulInName);
            }
            self.skip_whitespace();
            self.expect(':')?;
            self.skip_whitespace();
            members.push((name, self.value(depth)?));
            self.skip_whitespace();
            if self.take('}') {
                break;
            }
            self.expect(',')?;
            self.skip_whitespace();
        }
        if has_duplicate(&members) {
            return Err(JsonError::DuplicateName);
        }
        Ok(Object { members })
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, JsonError> {
        let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
        self.expect('[')?;
        self.skip_whitespace();
        let mut elements = Vec::new();
        if self.take(']') {
            return Ok(elements);
        }
        loop {
            elements.push(self.value(depth)?);
            self.skip_whitespace();
            if self.take(']') {
                return Ok(elements);
            }
            self.expect(',')?;
            self.skip_whitespace();
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            let special = |c: char| matches!(c, '"' | '\\' | '\0'..='\u{1F}');
            let end = self.rest.find(special).ok_or(JsonError::UnexpectedEnd)?;
            let (plain, tail) = self.rest.split_at_checked(end).ok_or(JsonError::UnexpectedEnd)?;
            text.push_str(plain);
            self.rest = tail;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(_) | None => return Err(JsonError::ControlCharacter),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        match self.next().ok_or(JsonError::UnexpectedEnd)? {
            '"' => Ok('"'),
            '\\' => Ok('\\'),
            '/' => Ok('/'),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{C}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.unicode_escape(),
            _ => Err(JsonError::Escape),
        }
    }

    /// RFC 8259 §7: beyond the basic plane a character is written as a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.code_unit()?;
        let decoded = if (0xD800..=0xDBFF).contains(&first) {
            self.rest = self.rest.strip_prefix("\\u").ok_or(JsonError::Escape)?;
            let second = self.code_unit()?;
            char::decode_utf16([first, second]).next()
        } else {
            char::decode_utf16([first]).next()
        };
        match decoded {
            Some(Ok(c)) => Ok(c),
            Some(Err(_)) | None => Err(JsonError::Escape),
        }
    }

    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let (digits, tail) = self.rest.split_at_checked(4).ok_or(JsonError::Escape)?;
        // `from_str_radix` alone would take a leading plus sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(JsonError::Escape);
        }
        self.rest = tail;
        u16::from_str_radix(digits, 16).or(Err(JsonError::Escape))
    }

    /// RFC 8259 §6: no leading zero, no leading plus, digits on both sides of the point.
    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.rest;
        self.take('-');
        if !self.take('0') {
            self.digits()?;
        }
        if self.take('.') {
            self.digits()?;
        }
        if self.take('e') || self.take('E') {
            if !self.take('-') {
                self.take('+');
            }
            self.digits()?;
        }
        let text = start.strip_suffix(self.rest).ok_or(JsonError::Number)?;
        Ok(Number { text: text.to_owned() })
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let tail = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if tail.len() == self.rest.len() {
            return Err(JsonError::Number);
        }
        self.rest = tail;
        Ok(())
    }

    fn literal(&mut self, text: &str, value: Value) -> Result<Value, JsonError> {
        self.rest = self.rest.strip_prefix(text).ok_or(JsonError::UnexpectedCharacter)?;
        Ok(value)
    }

    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(tail) => {
                self.rest = tail;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), JsonError> {
        if self.take(wanted) {
            Ok(())
        } else if self.rest.is_empty() {
            Err(JsonError::UnexpectedEnd)
        } else {
            Err(JsonError::UnexpectedCharacter)
        }
    }
}

/// By sorting, so that an object with very many members costs no more than it should.
fn has_duplicate(members: &[(String, Value)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}
