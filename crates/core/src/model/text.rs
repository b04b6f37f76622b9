//! Makes texts from outside harmless for a terminal, a log and a file.
//!
//! Names and messages are often written by other people than their reader. Such a text may hold line breaks that fake a
//! line of ours, characters that control a terminal or are invisible, and words that a CI runner takes for a command.
//! [`line`] turns a text into one harmless line for people. [`json`] escapes the same characters in JSON, where nothing
//! may be lost.

/// Longest line made from a text from outside, in characters.
const LINE_MAX_CHARS: usize = 1000;

/// Commands that CI runners recognise anywhere in a line (GitHub and Azure, TeamCity).
const COMMANDS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Ranges of steering characters, first and last, in ascending order. In Unicode 17: the general categories Cc, Cf, Zl
/// and Zp, the property Default_Ignorable_Code_Point, and the empty Braille pattern.
const STEERS: [(char, char); 28] = [
    ('\u{0}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character steers (controls the display of a text) or is invisible: control and format characters
/// (direction of writing, zero width, tags), line and paragraph separators, the characters that Unicode calls
/// ignorable, and the empty Braille pattern.
pub fn steers(ch: char) -> bool {
    let after = STEERS.partition_point(|(_, last)| *last < ch);
    STEERS.get(after).is_some_and(|(first, _)| *first <= ch)
}

/// A text as one word of a shell's command, for a line that a person may copy.
pub fn shell_word(text: &str) -> String {
    let is_plain = |ch: char| ch.is_alphanumeric() || "-_./:=@%+,".contains(ch);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// One line of bounded length: every steering character becomes a blank, and a long text is cut in the middle.
pub fn line(text: &str) -> String {
    line_of(text, LINE_MAX_CHARS)
}

/// The same with a given bound in characters. The cut is in the middle, because the end of a message often decides.
pub fn line_of(text: &str, max_chars: usize) -> String {
    let plain = |text: &str| -> String { text.chars().map(|ch| if steers(ch) { ' ' } else { ch }).collect() };
    let count = text.chars().count();
    if count <= max_chars {
        return without_commands(plain(text));
    }
    let tail = max_chars / 3;
    let head: String = text.chars().take(max_chars - tail - 1).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    without_commands(plain(&format!("{head}…{tail}")))
}

/// The line, changed where a CI runner would take it for a command. GitHub's commands begin with `::` after any blanks,
/// or hold one of [`COMMANDS`].
pub fn without_commands(line: String) -> String {
    let mut line = line;
    if line.trim_start().starts_with("::") {
        line = line.replacen("::", ": :", 1);
    }
    for command in COMMANDS {
        if line.contains(command) {
            line = line.replace(command, &command.replacen("##", "# #", 1));
        }
    }
    line
}

/// JSON text with every character escaped that [`line`] would take away; JSON allows that for any character of a
/// string. Nothing is lost. Line ends between values stay; inside a string they are escaped already.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, ch) in text.char_indices() {
        let command = ch == '#' && COMMANDS.iter().any(|command| text[at..].starts_with(command));
        if command || (steers(ch) && ch != '\n') {
            let mut units = [0; 2];
            ch.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(ch);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At least one character of each kind: C0, DEL, C1, directions, zero width, separators, tags, fillers, selectors.
    const STEERING: &str = "\u{0}\n\r\t\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\
        \u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\u{2800}\u{3164}\u{feff}\u{fff9}\u{110bd}\u{1bca0}\u{1d173}\
        \u{e0001}\u{e0041}\u{e0100}";

    #[test]
    fn a_line_of_others_is_one_line_that_steers_nothing() {
        for ch in STEERING.chars() {
            assert!(steers(ch), "{ch:?}");
            assert_eq!(line(&format!("a{ch}b")), "a b", "{ch:?}");
        }
        let kept = "Grüße ± 東京 עברית العربية 🙂 ñ \u{a0}x";
        assert_eq!(line(kept), kept);
    }

    /// No character that the standard library prints unescaped is in the table, and no character is missing from it.
    #[test]
    fn the_table_is_in_order_and_has_nothing_that_people_read() {
        let flat: Vec<char> = STEERS.iter().flat_map(|(first, last)| [*first, *last]).collect();
        assert!(flat.is_sorted());
        let all: Vec<char> = ('\0'..=char::MAX).filter(|ch| steers(*ch)).collect();
        // Counted with the data of Unicode 17 (ICU 78).
        assert_eq!(all.len(), 4_274);
        let is_read = |ch: &&char| {
            ch.escape_debug().count() == 1 && !"\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}".contains(**ch)
        };
        assert_eq!(all.iter().find(is_read), None);
    }

    #[test]
    fn a_long_text_of_others_keeps_its_beginning_and_its_end() {
        let text = line(&format!("begin{}end", "ä".repeat(100_000)));
        assert_eq!(text.chars().count(), LINE_MAX_CHARS);
        assert!(text.starts_with("begin") && text.ends_with("end") && text.contains('…'));
    }

    #[test]
    fn a_text_of_others_is_no_command_for_a_runner() {
        for (text, shown) in [
            ("::stop-commands::x", ": :stop-commands::x"),
            ("\n  ::add-mask::x", "   : :add-mask::x"),
            ("std::fs", "std::fs"),
            ("a ##[set-env]x", "a # #[set-env]x"),
            ("a ##vso[task]x ##teamcity[y]", "a # #vso[task]x # #teamcity[y]"),
            ("## [heading]", "## [heading]"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn json_loses_nothing() {
        let value = serde_json::json!({ STEERING: [STEERING, "##[x]", "é"], "plain": "é" });
        let text = json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(!text.chars().any(|ch| ch != '\n' && steers(ch)), "{text:?}");
        assert!(!text.contains("##["));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        assert!(text.contains('é'), "what does not steer stays as it is");
    }
}
