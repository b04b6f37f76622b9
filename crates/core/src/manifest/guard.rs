//! Checks where the values of secrets go. A manifest is changed by pull request, and one line in the wrong place would
//! hand a credential to whoever reads a dashboard or runs an endpoint.
//!
//! `links` compares the references themselves, which needs no environment. This module compares values: a value that
//! contains a credential is refused, whatever variable, file or encoding brought it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};

use super::Parsed;
use super::connection;
use super::expr::{Piece, Ref, Target};
use super::leaf::{Input, Leaf};
use super::links::CHAIN_MAX;
use super::source::{Wrong, shown, wrong};
use crate::diag::codes;
use crate::model::field::Type;
use crate::model::random::hex;
use crate::model::secret::{Origin, percent_encode};
use crate::model::value::{Part, Template, Value};

/// Shorter secrets are not searched for: they are parts of ordinary words.
const SECRET_MIN: usize = 8;

/// The same bound for an entry with a free name, which is often no secret at all (a brand, a region).
const ENTRY_MIN: usize = 12;

/// Of a longer secret only the middle of this length is searched for: keys in PEM begin alike, and the time stays
/// bounded.
const SECRET_MAX: usize = 64;

/// Layers of encoding that are looked through.
const LEVELS: usize = 2;

/// Of longer texts (code) only one layer is decoded.
const DEEP_MAX: usize = 4096;

/// Base64 in any form that occurs: padded or not, cut anywhere.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: [(GeneralPurpose, [char; 2]); 2] = [
    (GeneralPurpose::new(&alphabet::STANDARD, LENIENT), ['+', '/']),
    (GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT), ['-', '_']),
];

/// Purpose of a secret, according to the field that it fills.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// The secret connects to Auth0.
    Tenant,
    /// The secret connects to Twilio.
    Account,
    /// Code receives the secret: the secrets of an Action, the key of a Function.
    Code,
    /// A variable of a Function, with which the code may compare what a stream sends.
    Receiver,
    /// A log stream sends the secret, and readers of the stream see it.
    Stream,
}

impl Class {
    /// The class of secrets that a field is for; `None` for a field that everybody may read.
    pub fn of(leaf: &Leaf) -> Option<Class> {
        match leaf.section {
            _ if !leaf.secret => None,
            section if section == connection::AUTH0.path => Some(Class::Tenant),
            section if section == connection::TWILIO.path => Some(Class::Account),
            section if section.contains("log_stream") => Some(Class::Stream),
            "feedback.function" if is_entry(leaf) => Some(Class::Receiver),
            _ => Some(Class::Code),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Class::Tenant => "a credential that connects to Auth0",
            Class::Account => "a credential that connects to Twilio",
            Class::Code | Class::Receiver => "a secret for code",
            Class::Stream => "a secret that a log stream sends",
        }
    }
}

/// Whether a field may hold secrets of a class. This table is the whole policy.
pub(super) fn takes(leaf: &Leaf, class: Class) -> bool {
    match Class::of(leaf) {
        None => false,
        Some(Class::Tenant) => class == Class::Tenant,
        // Secrets of code are usually Twilio keys, so the same key may connect to Twilio.
        Some(Class::Account) => matches!(class, Class::Account | Class::Code | Class::Receiver),
        Some(Class::Code | Class::Receiver) => class != Class::Tenant,
        Some(Class::Stream) => matches!(class, Class::Stream | Class::Receiver),
    }
}

/// Why a field may not hold the secrets that [`takes`] refuses.
pub(super) fn why(leaf: &Leaf) -> &'static str {
    match Class::of(leaf) {
        None | Some(Class::Stream) => "what stands here can be read by others",
        Some(Class::Tenant) => "what stands here goes to Auth0, so it can be read by others",
        Some(Class::Account) => "what stands here goes to Twilio, so it can be read by others",
        Some(Class::Code | Class::Receiver) => "what code gets can be read by others, who may edit that code",
    }
}

/// A secret of the manifest.
struct Held<'a> {
    leaf: &'a Leaf,
    class: Class,
}

/// The secrets of a manifest, indexed by the first bytes of every spelling that is searched for.
#[derive(Default)]
struct Index<'a> {
    held: Vec<Held<'a>>,
    spellings: BTreeMap<[u8; SECRET_MIN], Vec<(String, usize)>>,
}

/// A value that exposes a secret to others.
pub(super) struct Leak<'a> {
    pub leaf: &'a Leaf,
    pub wrong: Wrong,
    /// The manifest's text contains the secret itself, so the text must not be drawn there.
    pub is_written: bool,
}

/// Every value that contains a secret where others can read it, and every secret that comes from the command line,
/// which others can see.
pub(super) fn check<'a>(parsed: &'a Parsed, values: &[(&'a Leaf, Value)]) -> Vec<Leak<'a>> {
    let index = Index::new(values);
    let leaks = |(leaf, value): &(&'a Leaf, Value)| {
        let leaf = *leaf;
        if let Some(wrong) = from_command_line(parsed, leaf, value) {
            return Some(Leak { leaf, wrong, is_written: false });
        }
        if is_built_in(leaf) || index.held.is_empty() {
            return None;
        }
        let read = decoded(&text_of(value)?);
        let found = index.find(&read, |held| is_kept_from(held, leaf))?;
        let is_same = |held: &Held<'_>| std::ptr::eq(held.leaf, found.leaf);
        let is_written = index.find(&decoded(&written(leaf)), is_same).is_some();
        Some(Leak { leaf, wrong: refusal(leaf, found), is_written })
    };
    values.iter().filter_map(leaks).collect()
}

fn refusal(leaf: &Leaf, held: &Held<'_>) -> Wrong {
    let (here, secret) = (shown(&leaf.name()), shown(&held.leaf.name()));
    let by = |leaf: &Leaf| match origins(leaf).as_slice() {
        [] => String::new(),
        found => format!(" by {}", found.join(" and ")),
    };
    wrong(
        codes::BAD_REFERENCE,
        format!("the value of {here} cannot be used"),
        format!(
            "it holds{} the value of {secret}, {}, which came{}; {}",
            by(leaf),
            held.class.words(),
            by(held.leaf),
            why(leaf)
        ),
        format!("use a value for {here} that has nothing to do with {secret}"),
    )
}

/// The references, or the file, that bring a field its value.
fn origins(leaf: &Leaf) -> Vec<String> {
    match &leaf.input {
        Input::Code(path) => vec![shown(path)],
        _ => references(leaf).map(|found| format!("${{{}}}", shown(&found.target.text()))).collect(),
    }
}

fn references(leaf: &Leaf) -> impl Iterator<Item = &Ref> {
    leaf.texts().into_iter().flat_map(|(_, pieces)| pieces).filter_map(|piece| match piece {
        Piece::Ref(found) => Some(found),
        Piece::Text(_) => None,
    })
}

/// Refuses a secret that comes from `--var`: the list of processes shows it to everybody on that machine.
fn from_command_line(parsed: &Parsed, leaf: &Leaf, value: &Value) -> Option<Wrong> {
    let variable =
        Some(leaf).filter(|leaf| leaf.secret).and_then(|leaf| variable(parsed, leaf, CHAIN_MAX))?;
    if is_entry(leaf) && !text_of(value).is_some_and(|text| is_like_a_secret(text.trim())) {
        return None;
    }
    let here = shown(&leaf.name());
    Some(wrong(
        codes::BAD_REFERENCE,
        format!("the value of {here} cannot come from --var"),
        format!("it is a secret, and the list of processes shows what --var gives {}", shown(variable)),
        "take it from ${env.NAME} or ${file.PATH}",
    ))
}

/// The variable of the command line from which a field takes a part of its value, directly or through other fields.
fn variable<'a>(parsed: &'a Parsed, leaf: &'a Leaf, depth: usize) -> Option<&'a str> {
    leaf.texts().into_iter().flat_map(|(_, pieces)| pieces).find_map(|piece| match piece {
        Piece::Ref(Ref { target: Target::Var(name), .. }) => Some(name.as_str()),
        Piece::Ref(Ref { target: Target::Name(name), .. }) if depth > 0 => {
            variable(parsed, parsed.leaves.get(parsed.names.get(name)?)?, depth - 1)
        }
        _ => None,
    })
}

impl<'a> Index<'a> {
    fn new(values: &[(&'a Leaf, Value)]) -> Index<'a> {
        let mut index = Index::default();
        for (leaf, value) in values {
            let Some((held, spellings)) = held(leaf, value) else { continue };
            for spelling in spellings {
                if let Some(start) = spelling.as_bytes().first_chunk() {
                    index.spellings.entry(*start).or_default().push((spelling, index.held.len()));
                }
            }
            index.held.push(held);
        }
        index
    }

    /// The first secret among those that count that stands in one of these texts.
    fn find(&self, read: &BTreeSet<String>, counts: impl Fn(&Held<'_>) -> bool) -> Option<&Held<'a>> {
        let at = |text: &[u8]| {
            let known = self.spellings.get(text.first_chunk::<SECRET_MIN>()?)?;
            let here = known.iter().filter(|(spelling, _)| text.starts_with(spelling.as_bytes()));
            here.map(|(_, held)| &self.held[*held]).find(|held| counts(held))
        };
        read.iter().find_map(|text| (0..text.len()).find_map(|from| at(&text.as_bytes()[from..])))
    }
}

/// The text that the manifest itself has for a leaf, with a NUL in place of each reference.
fn written(leaf: &Leaf) -> String {
    match &leaf.input {
        Input::Known(json) => text_of(&Value::Known(json.clone())).unwrap_or_default(),
        Input::Public(text) | Input::Code(text) => text.clone(),
        _ => {
            let pieces = leaf.texts().into_iter().flat_map(|(_, pieces)| pieces);
            let texts = pieces.map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Ref(_) => "\0",
            });
            texts.collect()
        }
    }
}

/// The leaf as a secret, and its spellings; `None` if the leaf holds no secret.
fn held<'a>(leaf: &'a Leaf, value: &Value) -> Option<(Held<'a>, BTreeSet<String>)> {
    let class = Class::of(leaf)?;
    let Value::Secret(secret) = value else { return None };
    let text = secret.expose().trim();
    if secret.origin() == Origin::Public || is_sid(text) {
        return None;
    }
    // Of "Bearer" and a token, only the token is the secret.
    let words: Vec<&str> =
        if class == Class::Stream { text.split_whitespace().collect() } else { vec![text] };
    let mut spellings = BTreeSet::new();
    for word in words {
        if !is_entry(leaf) || is_like_a_secret(word) {
            spell(word, &mut spellings);
        }
    }
    let min = if is_entry(leaf) { ENTRY_MIN } else { SECRET_MIN };
    let spellings: BTreeSet<String> =
        spellings.iter().filter(|one| one.len() >= min).map(|one| middle(one).to_owned()).collect();
    (!spellings.is_empty()).then_some((Held { leaf, class }, spellings))
}

/// The middle of a long text; a short one as it is.
fn middle(text: &str) -> &str {
    let from = text.len().saturating_sub(SECRET_MAX) / 2;
    let cut = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[cut(from)..cut((from + SECRET_MAX).min(text.len()))]
}

fn is_entry(leaf: &Leaf) -> bool {
    matches!(leaf.ty, Type::Map { .. })
}

/// Whether the leaf is built-in code, which contains nobody's secret.
fn is_built_in(leaf: &Leaf) -> bool {
    matches!(&leaf.input, Input::Code(spec) if spec.starts_with("builtin:"))
}

/// Whether the leaf's value goes where the secret must not be read.
fn is_kept_from(held: &Held<'_>, leaf: &Leaf) -> bool {
    // An entry that repeats a word written in the manifest, or the client id, is a setting (a brand) and no secret:
    // whoever wrote the word into the manifest cannot have read a secret.
    let is_setting = is_entry(held.leaf) && (references(leaf).next().is_none() || is_client_id(held, leaf));
    !takes(leaf, held.class) && (leaf.secret || !is_setting)
}

/// Whether an entry of code's secrets is the client id of the connection: an Action that asks Auth0 for a token needs
/// it.
fn is_client_id(held: &Held<'_>, leaf: &Leaf) -> bool {
    leaf.section == connection::AUTH0.path
        && leaf.key == "client_id"
        && held.leaf.key.to_ascii_uppercase().ends_with("CLIENT_ID")
}

/// Whether an entry may be a secret: identifiers, addresses and sentences are not.
fn is_like_a_secret(text: &str) -> bool {
    let is_number = text.starts_with('+') && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    text.len() >= ENTRY_MIN
        && !text.contains(char::is_whitespace)
        && !is_sid(text)
        && !is_number
        && !is_address(text)
}

/// Whether a word of source code is most likely a key or a token: the SID of a key, or letters and digits in an order
/// that nobody would type. Names, paths, versions, hosts and ids of objects are not.
pub fn looks_like_a_credential(word: &str) -> bool {
    let word = word.trim_matches('.');
    if is_sid(word) {
        return word.starts_with("SK");
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    // A word and a number follow each other a few times in a name, and all the time in what is drawn.
    let kind = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let turns = word.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    is_like_a_secret(word) && word.len() >= 20 && digits >= 3 && letters >= 3 && turns * 5 >= word.len()
}

/// Whether a text is a Twilio SID, including that of a key: two letters and 32 digits.
fn is_sid(text: &str) -> bool {
    text.len() == 34
        && text.bytes().take(2).all(|byte| byte.is_ascii_uppercase())
        && text.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a text is a host with or without a port, a mail address, or a URL. A URL with a password in it is a secret.
fn is_address(text: &str) -> bool {
    let is_host = |text: &str| {
        let is_name = |label: &str| label.len() >= 2 && label.bytes().all(|byte| byte.is_ascii_lowercase());
        connection::host_name(text).is_ok() && text.rsplit('.').next().is_some_and(is_name)
    };
    match (text.split_once("://"), text.split_once('@')) {
        (Some(_), user) => user.is_none(),
        (None, Some((user, host))) => !user.contains(':') && is_host(host),
        (None, None) => is_host(text.split_once(':').map_or(text, |(host, _)| host)),
    }
}

/// The text of a value, with a NUL in place of each part that is known only after apply.
fn text_of(value: &Value) -> Option<String> {
    use serde_json::Value as Json;
    fn join(json: &Json) -> Option<String> {
        match json {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            Json::Array(items) => Some(items.iter().filter_map(join).collect::<Vec<_>>().join("\0")),
            Json::Object(map) => Some(map.values().filter_map(join).collect::<Vec<_>>().join("\0")),
            Json::Null | Json::Bool(_) => None,
        }
    }
    match value {
        Value::Known(json) => join(json),
        Value::Secret(secret) => Some(secret.expose().to_owned()),
        Value::Output(Template { parts, .. }) => {
            let text = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Output(_) => "\0".to_owned(),
            };
            Some(parts.iter().map(text).collect())
        }
        Value::Generated(_) | Value::Minted(_) | Value::Stamp(_) | Value::Unknown(_) => None,
    }
}

/// Adds the spellings of a secret: the texts that it encodes, and its own encodings. One layer of encoding is enough:
/// texts are decoded before they are searched, and these spellings are for encodings that lost their case.
fn spell(text: &str, out: &mut BTreeSet<String>) {
    let base64 = STANDARD.encode(text).trim_end_matches('=').to_owned();
    let url_safe = base64.replace('+', "-").replace('/', "_");
    let encoded = [text, &base64, &url_safe, &hex(text.as_bytes()), &percent_encode(text)];
    out.extend(encoded.map(plain));
    // Only the whole secret is decoded: the bytes that a part of it decodes to by chance may stand anywhere.
    let mut whole: Vec<String> = vec![text.split_whitespace().collect()];
    // A key in PEM is recognised by the text between its first and last line.
    whole.extend(pem_body(text));
    for _ in 0..LEVELS {
        out.extend(whole.iter().map(|text| plain(text)));
        whole = whole.iter().flat_map(|text| whole_decoded(text)).collect();
    }
    out.extend(whole.iter().map(|text| plain(text)));
}

fn pem_body(text: &str) -> Option<String> {
    text.starts_with("-----BEGIN ").then(|| {
        text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect()
    })
}

fn whole_decoded(text: &str) -> Vec<String> {
    let bytes = BASE64.iter().filter_map(|(engine, _)| engine.decode(text).ok()).chain(from_hex(text));
    bytes.map(|bytes| latin(&bytes)).chain(percent_decoded(text)).collect()
}

/// A text, and all texts that it may encode.
fn decoded(text: &str) -> BTreeSet<String> {
    let levels = if text.len() <= DEEP_MAX { LEVELS } else { 1 };
    let mut read = BTreeSet::from([plain(text)]);
    let mut layer = BTreeSet::from([text.to_owned(), text.split_whitespace().collect()]);
    for _ in 0..levels {
        layer = layer.iter().flat_map(|text| decoded_once(text)).collect();
        read.extend(layer.iter().map(|text| plain(text)));
    }
    read
}

fn decoded_once(text: &str) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = percent_decoded(text).into_iter().collect();
    for (engine, extra) in &BASE64 {
        for word in words(text, *extra) {
            // The encoded part may begin in the middle of a word, as in a path.
            let at_any_start = (0..4).filter_map(|start| {
                let rest = &word[start..];
                // Base64 of whole bytes never has one letter over, so such a letter is cut off.
                let length = rest.len() - usize::from(rest.len() % 4 == 1);
                engine.decode(&rest[..length]).ok()
            });
            out.extend(at_any_start.map(|bytes| latin(&bytes)));
        }
    }
    let compact: String = text.chars().filter(|ch| !matches!(ch, ':' | '-' | ' ')).collect();
    for text in [text, compact.as_str()] {
        let runs = text.split(|ch: char| !ch.is_ascii_hexdigit());
        for run in runs.filter(|run| run.len() >= 2 * SECRET_MIN) {
            let at_any_start =
                (0..2).filter_map(|start| from_hex(&run[start..run.len() - (run.len() - start) % 2]));
            out.extend(at_any_start.map(|bytes| latin(&bytes)));
        }
    }
    out
}

/// Runs of characters of the base64 alphabet that are long enough for a secret.
fn words(text: &str, extra: [char; 2]) -> impl Iterator<Item = &str> {
    text.split(move |ch: char| !ch.is_ascii_alphanumeric() && !extra.contains(&ch))
        .filter(|word| word.len() * 3 / 4 >= SECRET_MIN)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|ch| ch.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let pairs = digits?;
    let whole = !pairs.is_empty() && pairs.len().is_multiple_of(2);
    whole.then(|| pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The text without percent encoding; `None` if it has none.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%');
        let byte = pair.and_then(|pair| from_hex(std::str::from_utf8(pair).ok()?));
        out.push(byte.as_ref().map_or(*first, |byte| byte[0]));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    (out.len() < text.len()).then(|| latin(&out))
}

/// Bytes as a searchable text: as UTF-8 where valid, else one character for each byte.
fn latin(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// A text in the form in which texts are compared: lower case, without white space.
fn plain(text: &str) -> String {
    text.chars().filter(|ch| !ch.is_whitespace()).flat_map(char::to_lowercase).collect()
}
