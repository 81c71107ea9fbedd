//! The size of a document before it is parsed: a parser that descends into brackets must not be given too many of them.

/// Brackets that may stand open at once. The parser takes 64 levels of selections; a value needs far fewer.
const NESTING_MAX: usize = 64;

/// Why a document is not even parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooLarge {
    /// More tokens than allowed.
    Tokens,
    /// More brackets open at once than any useful document has.
    Nesting,
}

/// Counts the tokens of a document (GraphQL specification, section 2.1.6) up to a limit. A character that begins no
/// token counts as one: the parser will refuse it.
pub(super) fn count(text: &str, most: usize) -> Result<usize, TooLarge> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut open) = (0, 0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += run(&bytes[at..], |byte| !matches!(byte, b'\r' | b'\n'));
                continue;
            }
            0xEF if bytes[at..].starts_with(b"\xEF\xBB\xBF") => {
                at += 3;
                continue;
            }
            b'"' => string(&bytes[at..]),
            b'.' if bytes[at..].starts_with(b"...") => 3,
            b'0'..=b'9' | b'-' => number(&bytes[at..]),
            byte if is_name(byte) => run(&bytes[at..], is_name),
            _ => 1,
        };
        match byte {
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        at += length;
        tokens += 1;
        if tokens > most {
            return Err(TooLarge::Tokens);
        }
        if open > NESTING_MAX {
            return Err(TooLarge::Nesting);
        }
    }
    Ok(tokens)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn run(bytes: &[u8], of: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !of(*byte)).unwrap_or(bytes.len())
}

fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize| run(bytes.get(from..).unwrap_or_default(), |byte| byte.is_ascii_digit());
    let mut end = usize::from(bytes[0] == b'-');
    end += digits(end);
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits(end + 1 + sign) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
        }
    }
    end.max(1)
}

/// Length of a string. One without an end is taken for its shortest beginning, so that nothing can hide in it.
fn string(bytes: &[u8]) -> usize {
    const BLOCK: &[u8] = b"\"\"\"";
    if bytes.starts_with(BLOCK) {
        let mut at = 3;
        while at < bytes.len() {
            if bytes[at..].starts_with(BLOCK) {
                return at + 3;
            }
            at += if bytes[at..].starts_with(b"\\\"\"\"") { 4 } else { 1 };
        }
        return 2;
    }
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\r' | b'\n' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_language_calls_tokens() {
        for (text, tokens) in [
            ("", 0),
            (" \t\n\r,\u{feff}# only a comment { [ (", 0),
            ("{ a }", 3),
            ("query A($b: Int = -1.5e+3) { c: d(e: $b) @f ...G }", 25),
            (r#"{ a(b: "x \" { y", c: "", d: """ " "" \""" { """) }"#, 14),
            ("{a#}\rb}", 4),
            ("1.2.3 -1-1", 5),
            (r#""""{"#, 3),
            (r#""{"#, 2),
            ("\u{e9}", 2),
        ] {
            assert_eq!(count(text, 100), Ok(tokens), "{text}");
        }
    }

    #[test]
    fn stops_at_the_limit() {
        assert_eq!(count("a b c", 3), Ok(3));
        assert_eq!(count("a b c d", 3), Err(TooLarge::Tokens));
        let nested = |levels: usize| format!("{}{}", "{".repeat(levels), "}".repeat(levels));
        assert_eq!(count(&nested(NESTING_MAX), 10_000), Ok(2 * NESTING_MAX));
        assert_eq!(count(&nested(NESTING_MAX + 1), 10_000), Err(TooLarge::Nesting));
        assert_eq!(count(&"[({".repeat(1_000_000), 10_000_000), Err(TooLarge::Nesting));
        // An unfinished block string hides nothing: the parser would read `""`, then a string, then what follows.
        assert_eq!(count(&format!("[\"\"\" x\" {}", "{x:".repeat(65)), 10_000), Err(TooLarge::Nesting));
    }
}
