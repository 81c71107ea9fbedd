//! The words of a segment as the text search keeps them, made here where there is no doubt about them.
//!
//! PostgreSQL's parser (documentation, "Parsers") asks of every character whether it belongs to an address, a path, a number
//! with a sign or a compound word, which takes twenty times as long as storing the row. Speech is mostly plain words between blanks
//! and punctuation, which have one reading only: those are cut here. Every other text is left to the server, and so are all
//! of them where the server's configuration does not do what is expected here.

use std::ops::Range;

use sqlx::PgConnection;

/// More words than this, or longer ones, are left to the server, which has bounds of its own: 256 places of a word that it keeps,
/// 2,047 bytes in a word.
const WORDS_MAX: usize = 255;
const WORD_BYTES_MAX: usize = 255;

/// Shows every letter and digit, and that words are neither stemmed nor left out.
const SPECIMEN: &str =
    "The quick BROWN fox, JUMPING; over 13 (lazy) Dogs: packs MY 'box' with 2456789 QUICKLY vexed gz. IT IS 0";

/// The search words of a text, as PostgreSQL sends and receives a `tsvector` in binary form (`tsvectorsend`): their number, then
/// each with a zero byte after it and its places. They are in order of their bytes. `None`: the server has to decide.
pub(super) fn search_words(text: &str) -> Option<Vec<u8>> {
    let mut lowered = text.as_bytes().to_vec();
    lowered.make_ascii_lowercase();
    let words = cut(&lowered)?;
    let mut places: Vec<(&[u8], u16)> = Vec::with_capacity(words.len());
    for (place, word) in (1..).zip(words) {
        places.push((&lowered[word], place));
    }
    places.sort_unstable();
    let mut vector = Vec::with_capacity(4 + lowered.len() + 5 * places.len());
    let mut distinct: i32 = 0;
    vector.extend(distinct.to_be_bytes());
    for group in places.chunk_by(|(one, _), (other, _)| one == other) {
        vector.extend(group[0].0);
        vector.push(0);
        vector.extend(u16::try_from(group.len()).ok()?.to_be_bytes());
        group.iter().for_each(|(_, place)| vector.extend(place.to_be_bytes()));
        distinct += 1;
    }
    vector[..4].copy_from_slice(&distinct.to_be_bytes());
    Some(vector)
}

/// Whether the server cuts and keeps words as this program does: its operator may have changed the configuration, and
/// languages differ in their small letters.
pub(super) async fn agree(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let theirs: Vec<u8> = sqlx::query_scalar("SELECT tsvectorsend(to_tsvector('simple'::regconfig, $1))")
        .bind(SPECIMEN)
        .fetch_one(connection)
        .await?;
    Ok(search_words(SPECIMEN).is_some_and(|ours| ours == theirs))
}

/// Where the words are, if there is no doubt: letters or digits between what separates words and does nothing else.
fn cut(lowered: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut words, mut at) = (Vec::with_capacity(lowered.len() / 5), 0);
    while let Some(&byte) = lowered.get(at) {
        let of_word: fn(&u8) -> bool = match byte {
            b'a'..=b'z' => u8::is_ascii_lowercase,
            b'0'..=b'9' => u8::is_ascii_digit,
            _ if separates(lowered, at) => {
                at += 1;
                continue;
            }
            _ => return None,
        };
        let length = lowered[at..].iter().take_while(|byte| of_word(byte)).count();
        let end = at + length;
        // A word of letters and digits is of another kind, whose number of words depends on what is in it.
        if length > WORD_BYTES_MAX || lowered.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        words.push(at..end);
        at = end;
    }
    (words.len() <= WORDS_MAX).then_some(words)
}

/// Punctuation that separates words, where it stands. A point or a colon within a word makes an address or a number of it, and
/// a dash a compound or a sign.
fn separates(text: &[u8], at: usize) -> bool {
    let blank = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b' ' | b'\n' | b'\t'));
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    match text[at] {
        b' ' | b'\n' | b'\t' | b',' | b';' | b'?' | b'!' | b'\'' | b'"' | b'(' | b')' => true,
        b'.' | b':' => blank(text.get(at + 1)),
        b'-' => blank(before) && blank(text.get(at + 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use super::*;

    fn words(text: &str) -> Option<Vec<(String, Vec<u16>)>> {
        let vector = search_words(text)?;
        let mut rest = &vector[4..];
        let mut words = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == 0).unwrap();
            let count = usize::from(u16::from_be_bytes(rest[end + 1..end + 3].try_into().unwrap()));
            let (places, after) = rest[end + 3..].split_at(2 * count);
            let places = places.chunks(2).map(|place| u16::from_be_bytes(place.try_into().unwrap())).collect();
            words.push((String::from_utf8(rest[..end].to_vec()).unwrap(), places));
            rest = after;
        }
        assert_eq!(vector[..4], i32::try_from(words.len()).unwrap().to_be_bytes());
        Some(words)
    }

    #[test]
    fn words_are_in_order_with_all_their_places() {
        let found = words("No, I said: \"no\" - not 'Nobody', 12 times.").unwrap();
        let expected: [(&str, &[u16]); 8] = [
            ("12", &[7]),
            ("i", &[2]),
            ("no", &[1, 4]),
            ("nobody", &[6]),
            ("not", &[5]),
            ("said", &[3]),
            ("times", &[8]),
            ("", &[]),
        ];
        assert_eq!(found, expected[..7].iter().map(|(w, p)| ((*w).to_owned(), p.to_vec())).collect::<Vec<_>>());
        assert_eq!(words(" ,. ").unwrap(), []);
        assert_eq!(words("").unwrap(), []);
    }

    #[test]
    fn what_has_more_than_one_reading_is_left_to_the_server() {
        for text in [
            "b2b", "2nd", "e-mail", "-5", "3.5", "a.b", "12:30", "a@b", "a/b", "a_b", "<b>", "x&y", "50%", "grüße",
            "über", "a\u{a0}b", "\0", "3,5.7",
        ] {
            assert_eq!(words(text), None, "{text:?}");
        }
        assert_eq!(words(&"a ".repeat(WORDS_MAX + 1)), None);
        assert!(words(&"a ".repeat(WORDS_MAX)).is_some());
        assert_eq!(words(&"a".repeat(WORD_BYTES_MAX + 1)), None);
    }
}
