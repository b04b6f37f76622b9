//! Views of a text that see through its spelling: without escapes, without case and separators, decoded. Every byte of
//! a view knows its place in the text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Named entities of HTML for signs.
const ENTITIES: [(&str, char); 34] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("sol", '/'),
    ("bsol", '\\'),
    ("plus", '+'),
    ("equals", '='),
    ("num", '#'),
    ("percnt", '%'),
    ("colon", ':'),
    ("semi", ';'),
    ("comma", ','),
    ("period", '.'),
    ("lowbar", '_'),
    ("hyphen", '-'),
    ("commat", '@'),
    ("excl", '!'),
    ("quest", '?'),
    ("dollar", '$'),
    ("ast", '*'),
    ("lpar", '('),
    ("rpar", ')'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("lcub", '{'),
    ("rcub", '}'),
    ("verbar", '|'),
    ("vert", '|'),
    ("grave", '`'),
    ("hat", '^'),
    ("tilde", '~'),
];
/// Longest escape that is recognised.
const ESCAPE_MAX_BYTES: usize = 12;
/// Shortest run that is decoded as base64; it stands for nine bytes.
const ENCODED_MIN_BYTES: usize = 12;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

pub(super) struct View {
    pub bytes: Vec<u8>,
    /// Start and end in the text, for each byte.
    pub from: Vec<(usize, usize)>,
}

impl View {
    /// The text as it is.
    pub fn of(text: &str) -> View {
        let mut view = View::empty();
        for (at, ch) in text.char_indices() {
            view.push(ch, (at, at + ch.len_utf8()));
        }
        view
    }

    fn empty() -> View {
        View { bytes: Vec::new(), from: Vec::new() }
    }

    fn push(&mut self, ch: char, from: (usize, usize)) {
        let mut bytes = [0; 4];
        for byte in ch.encode_utf8(&mut bytes).bytes() {
            self.bytes.push(byte);
            self.from.push(from);
        }
    }

    /// Characters with their places. A byte that belongs to no character stands for itself.
    fn chars(&self) -> impl Iterator<Item = (char, (usize, usize))> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = match *self.bytes.get(at)? {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0.. => 4,
                _ => 1,
            };
            let end = (at + length).min(self.bytes.len());
            let ch = std::str::from_utf8(&self.bytes[at..end]).ok().and_then(|text| text.chars().next());
            let end = if ch.is_some() { end } else { at + 1 };
            let place = (self.from[at].0, self.from[end - 1].1);
            let ch = ch.unwrap_or(char::from(self.bytes[at]));
            at = end;
            Some((ch, place))
        })
    }

    /// Only letters and digits, all in one case. `0x` before a digit is a separator.
    pub fn folded(&self) -> View {
        let chars: Vec<_> = self.chars().collect();
        let mut view = View::empty();
        let mut at = 0;
        while let Some(&(ch, place)) = chars.get(at) {
            let starts = at == 0 || !chars[at - 1].0.is_alphanumeric();
            let marks_hex = starts
                && ch == '0'
                && chars.get(at + 1).is_some_and(|(ch, _)| matches!(ch, 'x' | 'X'))
                && chars.get(at + 2).is_some_and(|(ch, _)| ch.is_ascii_hexdigit());
            if marks_hex {
                at += 2;
                continue;
            }
            if ch.is_alphanumeric() {
                // By way of upper case, because the upper case of ß is SS.
                ch.to_uppercase().flat_map(char::to_lowercase).for_each(|ch| view.push(ch, place));
            }
            at += 1;
        }
        view
    }

    /// The runs of letters and digits, with their places.
    pub fn words(&self) -> Vec<(String, usize, usize)> {
        self.runs(|ch| ch.is_alphanumeric())
    }

    fn runs(&self, belongs: impl Fn(char) -> bool) -> Vec<(String, usize, usize)> {
        let mut out: Vec<(String, usize, usize)> = Vec::new();
        let mut inside = false;
        for (ch, (from, to)) in self.chars() {
            let was_inside = std::mem::replace(&mut inside, belongs(ch));
            match out.last_mut() {
                Some(last) if inside && was_inside => {
                    last.0.push(ch);
                    last.2 = to;
                }
                _ if inside => out.push((ch.to_string(), from, to)),
                _ => {}
            }
        }
        out
    }

    /// The text with one layer of escapes removed; `None`: it has no escapes.
    pub fn unescaped(&self) -> Option<View> {
        let mut view = View::empty();
        let (mut at, mut any) = (0, false);
        while at < self.bytes.len() {
            let rest = &self.bytes[at..(at + ESCAPE_MAX_BYTES).min(self.bytes.len())];
            match escape(rest) {
                Some((bytes, length)) => {
                    let place = (self.from[at].0, self.from[at + length - 1].1);
                    view.from.extend(bytes.iter().map(|_| place));
                    view.bytes.extend(bytes);
                    (at, any) = (at + length, true);
                }
                None => {
                    view.bytes.push(self.bytes[at]);
                    view.from.push(self.from[at]);
                    at += 1;
                }
            }
        }
        any.then_some(view)
    }
}

/// The bytes that an escape stands for, and the length of the escape, if a text begins with one: `%41`, `&#65;`,
/// `&#x41;`, `&quot;`, `\u0041`, `\u{41}`, `\x41`, `\"`, `\101`, `\000041 `. A short tag, such as `<b>`, stands for no
/// bytes.
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    match text {
        [b'<', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'>')?;
            let is_tag = rest.first().is_some_and(|byte| *byte == b'/' || byte.is_ascii_alphabetic());
            is_tag.then(|| (Vec::new(), end + 2))
        }
        [b'%', high, low, ..] => Some((vec![byte(&[*high, *low])?], 3)),
        [b'&', b'#', b'x' | b'X', rest @ ..] => numbered(rest, 16, 3, b';'),
        [b'&', b'#', rest @ ..] => numbered(rest, 10, 2, b';'),
        [b'&', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b';')?;
            let name = std::str::from_utf8(&rest[..end]).ok()?.to_ascii_lowercase();
            let (_, ch) = ENTITIES.iter().find(|(known, _)| *known == name)?;
            Some((ch.to_string().into_bytes(), end + 2))
        }
        [b'\\', b'u' | b'U', b'{', rest @ ..] => numbered(rest, 16, 3, b'}'),
        [b'\\', b'u' | b'U', ..] => {
            let first = unit(text)?;
            let pair = text.get(6..).and_then(unit).map(|second| [first, second]);
            let (units, length) = match &pair {
                Some(pair) if (0xd800..0xdc00).contains(&first) => (&pair[..], 12),
                _ => (&[first][..], 6),
            };
            Some((String::from_utf16_lossy(units).into_bytes(), length))
        }
        // `\u005a` after signs were removed from it, as in an id.
        [b'u' | b'U', b'0', b'0', high, low, ..] => Some((vec![byte(&[*high, *low])?], 5)),
        [b'\\', b'x' | b'X', high, low, ..] => Some((vec![byte(&[*high, *low])?], 4)),
        [b'\\', first, ..] if first.is_ascii_hexdigit() => numbered_by_style(text).or_else(|| {
            // `\a` and the like are not numbers.
            first.is_ascii_alphabetic().then(|| (vec![b' '], 2))
        }),
        [b'\\', sign, ..] if sign.is_ascii_punctuation() => Some((vec![*sign], 2)),
        [b'\\', letter, ..] if letter.is_ascii_alphabetic() => Some((vec![b' '], 2)),
        _ => None,
    }
}

fn unit(text: &[u8]) -> Option<u16> {
    match text {
        [b'\\', b'u' | b'U', digits @ ..] => {
            let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
            digits.bytes().all(|ch| ch.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
        }
        _ => None,
    }
}

/// A backslash and a number: three octal digits as in C, or hexadecimal digits as in style sheets. In a style sheet
/// there are six digits, or a blank follows.
fn numbered_by_style(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let digits =
        |most: usize| text[1..].iter().take(most).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let number = |count: usize, radix: u32| {
        let digits = std::str::from_utf8(&text[1..=count]).ok()?;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    };
    let count = digits(6);
    let blank = usize::from(text.get(1 + count) == Some(&b' '));
    if count == 6 || (count >= 2 && blank == 1 && count != 3) {
        return Some((number(count, 16)?.to_string().into_bytes(), 1 + count + blank));
    }
    let octal = text.get(1..4)?.iter().all(|byte| (b'0'..=b'7').contains(byte));
    let value = u8::try_from(u32::from(number(3, 8).filter(|_| octal)?)).ok()?;
    Some((vec![value], 4))
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|ch| ch.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}

fn numbered(text: &[u8], radix: u32, before: usize, end: u8) -> Option<(Vec<u8>, usize)> {
    let length = text.iter().position(|byte| *byte == end)?;
    let digits = std::str::from_utf8(&text[..length]).ok()?;
    let ch = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    Some((ch.to_string().into_bytes(), before + length + 1))
}

/// Decoded forms of the runs in a text, each with its place: base64 at any offset, and hexadecimal.
pub(super) fn decodings(view: &View) -> Vec<(String, usize, usize)> {
    let mut out = Vec::new();
    for (run, from, to) in view.runs(|ch| ch.is_ascii_alphanumeric() || "+/_-".contains(ch)) {
        if run.len() < ENCODED_MIN_BYTES {
            continue;
        }
        let run = run.replace('-', "+").replace('_', "/");
        for skip in 0..4 {
            let text = &run[skip..];
            // A single character left over does not make a byte.
            let whole = if text.len() % 4 == 1 { text.len() - 1 } else { text.len() };
            if let Ok(bytes) = BASE64.decode(&text[..whole]) {
                out.extend(readable(&bytes).map(|text| (text, from, to)));
            }
        }
    }
    for (run, from, to) in view.runs(|ch| ch.is_ascii_hexdigit()) {
        if run.len() >= 2 * PART_OF_HEX {
            for skip in 0..2 {
                let digits = run.as_bytes()[skip..].chunks_exact(2);
                let bytes: Vec<u8> = digits.filter_map(byte).collect();
                out.extend(readable(&bytes).map(|text| (text, from, to)));
            }
        }
    }
    out
}

/// Shortest hexadecimal run that is decoded, in decoded bytes.
const PART_OF_HEX: usize = 8;

/// Decoded bytes as text; `None` when more than a quarter of the characters are unreadable, because then the run was
/// not an encoded text.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let count = text.chars().count();
    let plain = text.chars().filter(|ch| !ch.is_control() && *ch != '\u{fffd}').count();
    (plain * 4 >= count * 3).then(|| text.into_owned())
}
