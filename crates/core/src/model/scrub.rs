//! Removes secrets from every text that this program prints or stores.
//!
//! A text from outside may echo a secret in any spelling: [`Scrubber::others`] sees through case, separators, escapes
//! and encodings, and is applied to such texts as they enter. [`Scrubber::ours`] is the last net, over finished
//! sentences: it looks for the secrets and their usual encodings, and leaves every word of Lockstep's own as it is.
//! Hiding always covers whole words: if a part of a word belongs to a secret, the rest of the word is hidden with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::random::hex;
use super::secret::{Origin, Secret, percent_encode};
use super::view::{View, decodings};

/// Shortest part of a secret that is recognised anywhere in a text, in bytes.
const PART_BYTES: usize = 8;
/// Shortest part of a secret that is recognised as a word by itself, between blanks or signs, in a text from outside.
const PIECE_BYTES: usize = 6;
/// Shorter values are never hidden: hiding `on` would protect nothing.
const VALUE_MIN_BYTES: usize = 3;
/// Layers of escapes that are removed from a text from outside.
const ROUNDS: usize = 4;
/// Layers of encoding that are decoded in a text from outside.
const DEPTH: usize = 2;

/// Printed in place of a secret.
pub const HIDDEN: &str = "[secret]";

/// The words of the program's sources, sorted.
const WORDS: &[&str] = include!(concat!(env!("OUT_DIR"), "/words.rs"));

/// Whether a word occurs in the program's sources, and so may occur in its output.
fn is_word_of_ours(word: &str) -> bool {
    WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

/// The words of a text, without those that are too short to be hidden.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|ch: char| !ch.is_alphanumeric() && ch != '_').filter(|word| word.len() >= VALUE_MIN_BYTES)
}

/// Why a value cannot be hidden inside a longer text; `None` if it can. Hiding a short value or a word of ours would
/// hide other words too, and so give the value away.
pub fn shows_in_text(secret: &Secret) -> Option<String> {
    let value = secret.expose();
    match () {
        () if secret.origin() == Origin::Public || value.is_empty() => None,
        () if value.len() < PART_BYTES => Some(format!("it has fewer than {PART_BYTES} characters")),
        () if is_word_of_ours(value) => Some("Lockstep prints this word itself".into()),
        () => None,
    }
}

/// Parts of `N` bytes, at most eight, each as a number in a sorted list: a token has tens of thousands of them, and a
/// fleet a thousand tokens. Each list is at least twice as long as the next one, so that there are few, and one more
/// secret is not sorted into all that is known.
#[derive(Clone, Default)]
struct Parts<const N: usize>(Vec<Vec<u64>>);

impl<const N: usize> Parts<N> {
    fn contains(&self, part: &[u8]) -> bool {
        part.len() == N && self.0.iter().any(|list| list.binary_search(&number(part)).is_ok())
    }

    /// Adds all parts of some forms that have at least three different bytes. A run of zeros is in every made-up SID:
    /// hiding it would hide ids and protect nothing.
    fn add<'a>(&mut self, forms: impl Iterator<Item = &'a [u8]>) {
        let varied = |part: &&[u8]| {
            let other = part.iter().find(|byte| **byte != part[0]);
            other.is_some_and(|other| part.iter().any(|byte| *byte != part[0] && byte != other))
        };
        let mut list: Vec<u64> = forms.flat_map(|form| form.windows(N)).filter(varied).map(number).collect();
        list.sort_unstable();
        while let Some(last) = self.0.pop_if(|last| last.len() < 2 * list.len()) {
            list.extend(last);
        }
        // The lists are in order already, and this sort merges such runs.
        list.sort();
        list.dedup();
        list.shrink_to_fit();
        self.0.push(list);
    }
}

/// At most eight bytes as a number.
fn number(part: &[u8]) -> u64 {
    part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Knows secrets and hides them in texts.
#[derive(Clone, Default)]
pub struct Scrubber {
    /// Secrets as a whole: hidden where a text is nothing else, or between quotes.
    values: BTreeSet<String>,
    /// Parts of the secrets, as they are and in the usual encodings.
    exact: Parts<PART_BYTES>,
    /// The same parts without case and separators.
    folded: Parts<PART_BYTES>,
    pieces: Parts<PIECE_BYTES>,
    /// What it knows besides, shared with other scrubbers.
    below: Option<Arc<Scrubber>>,
}

impl Scrubber {
    /// A copy that knows the same, and shares it: a thousand connections do not hold the secrets of all a thousand times.
    pub fn share(&mut self) -> Scrubber {
        if !(self.values.is_empty() && self.exact.0.is_empty()) {
            let known = std::mem::take(self);
            self.below = Some(Arc::new(known));
        }
        self.clone()
    }

    /// This scrubber and those that it shares.
    fn layers(&self) -> impl Iterator<Item = &Scrubber> {
        std::iter::successors(Some(self), |one| one.below.as_deref())
    }

    /// Learns a secret, unless it is marked [`Origin::Public`].
    pub fn learn(&mut self, secret: &Secret) {
        if secret.origin() != Origin::Public {
            self.learn_text(secret.expose());
        }
    }

    /// Learns the user and password pair of a Basic header.
    pub fn learn_pair(&mut self, user: &str, password: &Secret) {
        self.learn(password);
        let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
        if !self.is_value(&pair) {
            self.learn_forms(&BTreeSet::from([pair.clone().into_bytes()]));
            self.values.insert(pair);
        }
    }

    fn learn_text(&mut self, text: &str) {
        if self.is_value(text) && text == text.trim() {
            return;
        }
        if text.len() >= VALUE_MIN_BYTES {
            self.values.insert(text.trim().to_owned());
        }
        if text.len() < PART_BYTES || is_word_of_ours(text) {
            return;
        }
        // Many of the forms are the same where a secret is plain letters and digits.
        let mut forms = BTreeSet::from([text.as_bytes().to_vec()]);
        // The base64 form of a part depends on its position modulo three, so all three forms are learnt.
        for shift in 0..3usize {
            let shifted = [&b"00"[..shift], text.as_bytes()].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let encoded = engine.encode(&shifted);
                forms.insert(encoded.as_bytes().get(shift * 2..).unwrap_or_default().to_vec());
            }
        }
        let digits = hex(text.as_bytes());
        let decimal: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
        let json = serde_json::to_string(text).unwrap_or_default();
        let escaped = percent_encode(text);
        forms.extend([
            digits.to_uppercase().into_bytes(),
            digits.into_bytes(),
            decimal.join(" ").into_bytes(),
            json.trim_matches('"').as_bytes().to_vec(),
            escaped.to_lowercase().into_bytes(),
            escaped.into_bytes(),
        ]);
        self.learn_forms(&forms);
    }

    fn learn_forms(&mut self, forms: &BTreeSet<Vec<u8>>) {
        // Most forms are plain, and a view of them would only change their case. `0x` is a separator.
        let fold =
            |form: &Vec<u8>| match form.iter().all(u8::is_ascii_alphanumeric) && !form.starts_with(b"0") {
                true => form.to_ascii_lowercase(),
                false => View::of(&String::from_utf8_lossy(form)).folded().bytes,
            };
        let folded: BTreeSet<Vec<u8>> = forms.iter().map(fold).collect();
        self.exact.add(forms.iter().map(Vec::as_slice));
        self.folded.add(folded.iter().map(Vec::as_slice));
        self.pieces.add(folded.iter().map(Vec::as_slice));
    }

    /// Whether a text is exactly one of the secrets, apart from blanks around it.
    pub fn is_value(&self, text: &str) -> bool {
        self.layers().any(|layer| layer.values.contains(text.trim()))
    }

    /// Whether a text contains a whole secret of several words. Each of its words may be a word of ours; the whole
    /// secret is not.
    fn holds_one(&self, text: &str) -> bool {
        let holds = |value: &String| text.contains(value.as_str()) && words(value).nth(1).is_some();
        self.layers().flat_map(|layer| &layer.values).any(holds)
    }

    /// A text from outside, with every word hidden that contains a recognisable part of a secret, in any spelling.
    pub fn others(&self, text: &str) -> String {
        if self.is_value(text) {
            return HIDDEN.to_owned();
        }
        let mut hidden = self.found(text, DEPTH);
        widen(text, &mut hidden);
        blank(text, &hidden)
    }

    /// A text of ours, with every word hidden that contains a recognisable part of a secret and is not a word of ours.
    pub fn ours(&self, text: &str) -> String {
        let mut hidden = vec![false; text.len()];
        for (at, part) in text.as_bytes().windows(PART_BYTES).enumerate() {
            if self.has_part(part, |layer| &layer.exact) {
                hidden[at..at + PART_BYTES].fill(true);
            }
        }
        widen(text, &mut hidden);
        for (from, to) in runs(text, &hidden) {
            let run = &text[from..to];
            let are_ours = words(run).next().is_some() && words(run).all(is_word_of_ours);
            if are_ours && !self.holds_one(run) {
                hidden[from..to].fill(false);
            }
        }
        blank(text, &hidden)
    }

    /// Which bytes of a text belong to a secret.
    fn found(&self, text: &str, depth: usize) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        let mut view = View::of(text);
        for _ in 0..ROUNDS {
            mark(&view, |part| self.has_part(part, |layer| &layer.exact), &mut hidden);
            let folded = view.folded();
            mark(&folded, |part| self.has_part(part, |layer| &layer.folded), &mut hidden);
            for (word, from, to) in view.words() {
                let quoted =
                    text[..from].ends_with(['"', '\'', '`']) && text[to..].starts_with(['"', '\'', '`']);
                if self.is_piece(&word) || (quoted && self.layers().any(|layer| layer.values.contains(&word)))
                {
                    hidden[from..to].fill(true);
                }
            }
            if depth > 0 {
                for (inner, from, to) in decodings(&view) {
                    if self.found(&inner, depth - 1).contains(&true) {
                        hidden[from..to].fill(true);
                    }
                }
            }
            match view.unescaped() {
                Some(inner) => view = inner,
                None => break,
            }
        }
        hidden
    }

    /// Whether one of the layers has this part in the set that `of` names.
    fn has_part<const N: usize>(&self, part: &[u8], of: fn(&Scrubber) -> &Parts<N>) -> bool {
        self.layers().any(|layer| of(layer).contains(part))
    }

    /// Whether a short word is a part of a secret. Words of Lockstep's own are not hidden: they may occur in any
    /// message.
    fn is_piece(&self, word: &str) -> bool {
        let folded = View::of(word).folded().bytes;
        (PIECE_BYTES..PART_BYTES).contains(&folded.len())
            && folded.windows(PIECE_BYTES).all(|part| self.has_part(part, |layer| &layer.pieces))
            && !is_word_of_ours(word)
    }
}

fn mark(view: &View, is_known: impl Fn(&[u8]) -> bool, hidden: &mut [bool]) {
    for (at, part) in view.bytes.windows(PART_BYTES).enumerate() {
        if is_known(part) {
            hidden[view.from[at].0..view.from[at + PART_BYTES - 1].1].fill(true);
        }
    }
}

/// Start and end of each hidden range, in whole characters.
fn runs(text: &str, hidden: &[bool]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (at, ch) in text.char_indices() {
        let end = at + ch.len_utf8();
        if hidden[at..end].contains(&true) {
            match out.last_mut() {
                Some(last) if last.1 == at => last.1 = end,
                _ => out.push((at, end)),
            }
        }
    }
    out
}

/// Hides the rest of every word that is partly hidden, but not a colour code in front of the word.
fn widen(text: &str, hidden: &mut [bool]) {
    let goes_on = |ch: char| ch.is_alphanumeric() || "_-+=%~".contains(ch);
    for (from, to) in runs(text, hidden) {
        let start = text[..from].trim_end_matches(goes_on).len();
        let is_color = text[..start].ends_with("\u{1b}[");
        let color = if is_color { text[start..from].find('m').map_or(0, |at| at + 1) } else { 0 };
        let end = text.len() - text[to..].trim_start_matches(goes_on).len();
        hidden[start + color..end].fill(true);
    }
}

fn blank(text: &str, hidden: &[bool]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for (from, to) in runs(text, hidden) {
        out += &text[rest..from];
        out += HIDDEN;
        rest = to;
    }
    out + &text[rest..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "sk/9+f3=Zx\"Qa_77Lm";

    fn knowing(value: &str) -> Scrubber {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(value, Origin::Person));
        scrubber
    }

    #[test]
    fn parts_and_encodings_are_blanked() {
        let mut scrubber = Scrubber::default();
        scrubber.learn_pair("SK00", &Secret::new(VALUE, Origin::Machine));
        let base64 = STANDARD.encode(VALUE);
        let basic = STANDARD.encode(format!("SK00:{VALUE}"));
        let inner = STANDARD.encode(format!("{{\"a\":\"{VALUE}\"}}"));
        for form in [
            VALUE,
            &VALUE[3..12],
            &hex(VALUE.as_bytes()),
            &hex(VALUE.as_bytes()).to_uppercase(),
            &base64,
            &basic,
            &inner[8..24],
            &percent_encode(VALUE),
            "sk/9+f3=Zx\\\"Qa_77Lm",
        ] {
            for out in [
                scrubber.ours(&format!("before {form} after")),
                scrubber.others(&format!("before {form} after")),
            ] {
                assert!(out.starts_with("before ") && out.ends_with(" after"), "{out}");
                assert!(out.contains("[secret]"), "{form} stayed in {out}");
            }
        }
        assert_eq!(scrubber.ours("nothing here"), "nothing here");
        assert_eq!(scrubber.others("nothing here"), "nothing here");
    }

    #[test]
    fn what_is_shared_is_hidden_by_both_and_what_comes_later_by_one() {
        let mut all = knowing(VALUE);
        let mut one = all.share();
        one.learn(&Secret::new("Zq7kP41eW9xvB8Lm", Origin::Machine));
        assert_eq!(one.ours(&format!("a {VALUE} b")), "a [secret] b");
        assert_eq!(one.others("a Zq7kP41eW9xvB8Lm b"), "a [secret] b");
        assert_eq!(all.others(&format!("{VALUE} Zq7kP41eW9xvB8Lm")), "[secret] Zq7kP41eW9xvB8Lm");
        assert!(one.is_value(VALUE) && all.share().is_value(VALUE));
        all.learn(&Secret::new(VALUE, Origin::Person));
        assert!(all.values.is_empty(), "what is known is not kept twice");
    }

    #[test]
    fn public_values_stay_readable() {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("VA00000000000000000000000000000001", Origin::Public));
        let text = "VA00000000000000000000000000000001";
        assert_eq!((scrubber.ours(text).as_str(), scrubber.others(text).as_str()), (text, text));
    }

    /// The characters of a text, each spelt by a function.
    fn spelt(text: &str, spell: impl Fn(char) -> String) -> String {
        text.chars().map(spell).collect()
    }

    fn bytes(text: &str, spell: impl Fn(u8) -> String) -> String {
        text.bytes().map(spell).collect::<Vec<_>>().join(" ")
    }

    fn pieces(text: &str, length: usize, between: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(length).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>().join(between)
    }

    #[test]
    fn an_echo_in_another_spelling_is_hidden() {
        let twice = |encode: fn(&str) -> String, text: &str| encode(&encode(text));
        let base64: fn(&str) -> String = |text| STANDARD.encode(text);
        for secret in ["Zq7kP41eW9xvB8Lm", VALUE, "tW/+%2Fü\"kL€9=Xq7;vJ:5{r}", "4f9a01c27de83b56"] {
            let scrubber = knowing(secret);
            let json = |text: &str| serde_json::to_string(text).expect("JSON").trim_matches('"').to_owned();
            let spellings = [
                secret.to_uppercase(),
                secret.to_lowercase(),
                bytes(secret, |byte| format!("{byte:02x}")),
                bytes(secret, |byte| format!("{byte:02X}")),
                bytes(secret, |byte| format!("0x{byte:02x},")),
                bytes(secret, |byte| format!("{byte:02x}")).replace(' ', ":"),
                bytes(secret, |byte| byte.to_string()),
                spelt(secret, |ch| format!("&#{};", u32::from(ch))),
                spelt(secret, |ch| format!("&#0{};", u32::from(ch))),
                spelt(secret, |ch| format!("&#x{:X};", u32::from(ch))),
                spelt(secret, |ch| format!("\\u{:04x}", u32::from(ch))),
                spelt(secret, |ch| format!("\\u{{{:x}}}", u32::from(ch))),
                bytes(secret, |byte| format!("u00{byte:02x}")).replace(' ', ""),
                spelt(secret, |ch| ch.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect()),
                spelt(secret, |ch| ch.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect()),
                spelt(secret, |ch| ch.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect()),
                spelt(secret, |ch| format!("\\{:06x} ", u32::from(ch))),
                spelt(secret, |ch| format!("\\{:x} ", u32::from(ch))),
                spelt(secret, |ch| format!("{ch} ")),
                pieces(secret, 7, " "),
                pieces(secret, 7, ", "),
                pieces(secret, 7, " | "),
                pieces(secret, 3, "-"),
                pieces(&base64(secret), 7, "\n"),
                pieces(&hex(secret.as_bytes()), 7, " "),
                twice(base64, secret),
                twice(percent_encode, secret),
                twice(|text| serde_json::to_string(text).expect("JSON"), secret),
                base64(&hex(secret.as_bytes())),
                hex(base64(secret).as_bytes()),
                percent_encode(&base64(secret)),
                base64(&percent_encode(secret)),
                base64(&json(secret)),
                spelt(&percent_encode(secret), |ch| format!("&#{};", u32::from(ch))),
                base64(&secret.to_uppercase()),
                hex(secret.to_uppercase().as_bytes()),
            ];
            for spelling in spellings {
                let out = scrubber.others(&format!("before {spelling} after"));
                let left: String = out.chars().filter(|ch| ch.is_alphanumeric()).collect();
                assert!(left.len() <= "beforesecretafter".len(), "{secret}: {spelling} left {out}");
                assert!(out.starts_with("before ") && out.ends_with(" after"), "{out}");
            }
        }
    }

    #[test]
    fn a_piece_of_seven_characters_by_itself_is_hidden() {
        let scrubber = knowing("Zq7kP41eW9xvB8Lm");
        let out = scrubber.others("1: Zq7kP41 then 2: eW9xvB8, the rest was Lm");
        assert_eq!(out, "1: [secret] then 2: [secret], the rest was Lm");
        assert_eq!(knowing("my-service-of-old").others("no such service"), "no such service");
    }

    #[test]
    fn tags_between_the_letters_of_a_secret_hide_it_from_nobody() {
        let scrubber = knowing(VALUE);
        let spelt = spelt(VALUE, |ch| format!("<b>{ch}</b>"));
        assert_eq!(scrubber.others(&format!("before {spelt} after")), "before <b>[secret]</b> after");
        let pieces = pieces(VALUE, 4, "<wbr/>");
        assert_eq!(scrubber.others(&format!("before {pieces} after")), "before [secret] after");
        let plain = "a < b and c > d, or <b>bold</b>";
        assert_eq!(scrubber.others(plain), plain);
    }

    #[test]
    fn what_is_hidden_is_hidden_whole() {
        let scrubber = knowing("acme-login-7Qx");
        assert_eq!(scrubber.ours("client acme-login-18d92b00 is there"), "client [secret] is there");
        assert_eq!(scrubber.ours("\u{1b}[31macme-login-7Qx\u{1b}[0m"), "\u{1b}[31m[secret]\u{1b}[0m");
    }

    #[test]
    fn no_word_of_ours_is_cut() {
        let sentences =
            "8 unchanged, 1 changed: verify_service.friendly_name will be updated (policy: always)";
        for secret in [
            "changed",
            "unchanged",
            "nchanged",
            " unchanged",
            "friendly_name",
            "Unchanged",
            "my-unchanged-7Qx",
            "is unchanged at last",
        ] {
            assert_eq!(knowing(secret).ours(sentences), sentences, "{secret}");
        }
    }

    /// A passphrase may consist of words that occur in the sources.
    #[test]
    fn a_secret_of_several_words_is_hidden_whole() {
        for secret in ["my-very-secret-token", "only the right key may open this", "secret.token.example"] {
            let text = format!("auth0.domain is {secret}, and the right token is there");
            let shown = knowing(secret).ours(&text);
            assert_eq!(shown, "auth0.domain is [secret], and the right token is there", "{secret}");
            assert_eq!(shows_in_text(&Secret::new(secret, Origin::Person)), None, "{secret}");
        }
    }

    #[test]
    fn what_cannot_be_hidden_in_a_text_is_hidden_as_a_value() {
        for secret in ["changed", "unchanged", "us1", "eu-west"] {
            let scrubber = knowing(secret);
            assert!(shows_in_text(&Secret::new(secret, Origin::Person)).is_some(), "{secret}");
            assert_eq!(scrubber.others(secret), HIDDEN);
            assert_eq!(scrubber.others(&format!(" {secret}\n")), HIDDEN);
            let text = format!("it was {secret} before");
            assert_eq!(scrubber.others(&text), text, "running text");
        }
        assert_eq!(knowing("us1").others("no region 'us1'"), "no region '[secret]'");
        for secret in [VALUE, "acme-login-7Qx", ""] {
            assert_eq!(shows_in_text(&Secret::new(secret, Origin::Person)), None, "{secret}");
        }
        assert_eq!(shows_in_text(&Secret::new("changed", Origin::Public)), None);
    }

    /// A text of twice the length has about twice as many bytes to look at, whatever it consists of.
    #[test]
    fn hiding_is_linear() {
        for unit in ["a", "%25", "&#37;", "\\", "\\u005c", "QUFB", "4141", "'", "a ", "=", "é"] {
            let work = |times: usize| -> usize {
                let mut view = View::of(&unit.repeat(times));
                let mut bytes = view.bytes.len();
                for _ in 0..ROUNDS {
                    bytes += decodings(&view).iter().map(|(text, _, _)| text.len()).sum::<usize>();
                    let Some(inner) = view.unescaped() else { break };
                    view = inner;
                    bytes += view.bytes.len();
                }
                bytes
            };
            let (once, twice) = (work(1000), work(2000));
            assert!(twice * 10 <= once * 21 + 1000, "{unit}: {once}, then {twice}");
        }
    }
}
