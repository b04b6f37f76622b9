//! The terminal: what goes to stdout and stderr, colour, and questions to the user.
//!
//! stdout holds the result, stderr the conversation. Every text passes the scrubber, and then a filter against
//! characters that control a terminal or a CI runner. The filter cannot judge line breaks: code that puts text of
//! others into a sentence must first make it one line (`model::text`).

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead as _, ErrorKind, IsTerminal as _, Write};
use std::rc::Rc;

use super::secrets::Scrub;
use super::signals::Signals;
use crate::model::text;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Colour on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    Always,
    Never,
}

impl std::str::FromStr for ColorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<ColorChoice, String> {
        match text {
            "auto" => Ok(ColorChoice::Auto),
            "always" => Ok(ColorChoice::Always),
            "never" => Ok(ColorChoice::Never),
            other => Err(format!("{other:?} is not one of auto, always, never")),
        }
    }
}

/// Which of the three streams are terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminals {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl Terminals {
    /// Looks at this process's streams.
    pub fn of_this_process() -> Terminals {
        Terminals {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
        }
    }

    /// Whether a user can answer: both the question and the answer need a terminal.
    pub fn can_ask(self) -> bool {
        self.stdin && self.stderr
    }
}

/// Whether a stream gets colour. `look_up` reads the environment. An explicit choice overrides `NO_COLOR`, which counts
/// if it is set and not empty (no-color.org).
pub fn use_color(choice: ColorChoice, is_terminal: bool, look_up: impl Fn(&str) -> Option<String>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let no_color = look_up("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = look_up("TERM").is_some_and(|value| value == "dumb");
            is_terminal && !no_color && !dumb
        }
    }
}

/// Why no question was asked or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskProblem {
    /// Nobody is there. The caller names the flag that confirms instead.
    #[error("nobody can be asked: stdin and stderr are not both terminals")]
    NotATerminal,
    /// The input ended without an answer.
    #[error("the question was not answered")]
    NoAnswer,
}

/// stdout and stderr. Clones share them. No lock is held between calls.
#[derive(Clone)]
pub struct Say {
    scrub: Scrub,
    out: Rc<RefCell<Stream>>,
    err: Rc<RefCell<Stream>>,
    terminals: Terminals,
}

struct Stream {
    write: Box<dyn Write>,
    color: bool,
    /// Nothing more is written: nobody reads the stream any more, or a write failed.
    broken: bool,
    /// Why a write failed. `None`: no write failed, or only the reader went away.
    failed: Option<String>,
}

impl Say {
    /// Writes to this process's stdout and stderr.
    pub fn new(scrub: Scrub, choice: ColorChoice) -> Say {
        let terminals = Terminals::of_this_process();
        let color = |is_terminal| use_color(choice, is_terminal, |name| std::env::var(name).ok());
        let (out, err) = (color(terminals.stdout), color(terminals.stderr));
        Say::with_streams(
            scrub,
            terminals,
            (Box::new(std::io::stdout()), out),
            (Box::new(std::io::stderr()), err),
        )
    }

    /// Writes to other streams. The flag of each says whether it gets colour.
    pub fn with_streams(
        scrub: Scrub,
        terminals: Terminals,
        out: (Box<dyn Write>, bool),
        err: (Box<dyn Write>, bool),
    ) -> Say {
        let stream =
            |(write, color)| Rc::new(RefCell::new(Stream { write, color, broken: false, failed: None }));
        Say { scrub, out: stream(out), err: stream(err), terminals }
    }

    /// Writes text of the result to stdout, without adding a line end.
    ///
    /// If the reader of stdout goes away (`lockstep plan | head -1`), the rest of the result is dropped silently, and
    /// the command goes on to the exit code it would have had: a reader that goes away must not cut an apply in two. If
    /// stdout fails for another reason (a full disk), see [`Say::out_failed`].
    pub fn out(&mut self, text: &str) {
        let text = filter(&self.scrub.scrub(text), self.out_color());
        self.out.borrow_mut().write(&text);
    }

    /// Writes a finished form of the result to stdout, without a secret and harmless already: nothing of it changes.
    pub fn out_form(&mut self, form: &str) {
        self.out.borrow_mut().write(form);
    }

    /// Writes conversation to stderr, without adding a line end.
    pub fn err(&mut self, text: &str) {
        let text = filter(&self.scrub.scrub(text), self.err_color());
        self.err.borrow_mut().write(&text);
    }

    /// Writes a line of the result.
    pub fn out_line(&mut self, text: impl fmt::Display) {
        self.out(&format!("{text}\n"));
    }

    /// Writes a line of the conversation.
    pub fn err_line(&mut self, text: impl fmt::Display) {
        self.err(&format!("{text}\n"));
    }

    /// Writes one line of the result, even if text of others in it (names, ids, messages) has line breaks.
    pub fn out_one_line(&mut self, text: impl fmt::Display) {
        self.out_line(text::line(&text.to_string()));
    }

    /// Writes one line of the conversation, even if text of others in it has line breaks.
    pub fn err_one_line(&mut self, text: impl fmt::Display) {
        self.err_line(text::line(&text.to_string()));
    }

    /// Whether stdout gets colour.
    pub fn out_color(&self) -> bool {
        self.out.borrow().color
    }

    /// Whether stderr gets colour.
    pub fn err_color(&self) -> bool {
        self.err.borrow().color
    }

    /// Which streams are terminals.
    pub fn terminals(&self) -> Terminals {
        self.terminals
    }

    /// Whether stdout takes no more: its reader went away, or a write failed.
    pub fn out_broken(&self) -> bool {
        self.out.borrow().broken
    }

    /// Why part of the result could not be written. A lost result is a failure; a reader that has seen enough is not.
    pub fn out_failed(&self) -> Option<String> {
        self.out.borrow().failed.clone()
    }

    /// Asks a yes/no question on stderr. Only `y` and `yes` are a yes; anything else, the empty line too, is a no.
    ///
    /// # Errors
    /// See [`AskProblem`]. Nothing is read if nobody can see the question.
    pub fn ask(&mut self, question: &str, signals: &Signals) -> Result<bool, AskProblem> {
        self.ask_word(&format!("{question} [y/N]"), signals).map(|line| is_yes(&line))
    }

    /// Asks the user for a line; blanks around it are dropped. Errors as for [`Say::ask`].
    pub fn ask_word(&mut self, question: &str, signals: &Signals) -> Result<String, AskProblem> {
        if !self.terminals.can_ask() {
            return Err(AskProblem::NotATerminal);
        }
        if signals.first().is_some() {
            // The user pressed Ctrl-C a moment ago, which is an answer.
            return Err(AskProblem::NoAnswer);
        }
        self.err(&format!("{question} "));
        let mut line = String::new();
        let read = signals.while_asking(|| std::io::stdin().lock().read_line(&mut line));
        match read {
            Ok(count) if count > 0 => Ok(line.trim().to_owned()),
            _ => Err(AskProblem::NoAnswer),
        }
    }
}

fn is_yes(line: &str) -> bool {
    line.eq_ignore_ascii_case("y") || line.eq_ignore_ascii_case("yes")
}

impl Stream {
    fn write(&mut self, text: &str) {
        if self.broken {
            return;
        }
        let result = self.write.write_all(text.as_bytes()).and_then(|()| self.write.flush());
        if let Err(error) = result
            && error.kind() != ErrorKind::Interrupted
        {
            self.broken = true;
            self.failed = (error.kind() != ErrorKind::BrokenPipe).then(|| error.to_string());
        }
    }
}

/// The text as a file holds it: as a terminal without colours shows it.
pub fn plain(text: &str) -> String {
    filter(text, false)
}

/// Replaces control characters by blanks, but keeps line ends, tabs and, with colour, the colours that this program
/// uses. Also makes sure that no line is a command of a CI runner.
fn filter(text: &str, color: bool) -> String {
    text.split('\n')
        .map(|line| text::without_commands(filter_line(line, color)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn filter_line(line: &str, color: bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(ch) = rest.chars().next() {
        if let Some(length) = color_sequence(rest) {
            if color {
                out.push_str(&rest[..length]);
            }
            rest = &rest[length..];
            continue;
        }
        out.push(if text::steers(ch) && ch != '\t' { ' ' } else { ch });
        rest = &rest[ch.len_utf8()..];
    }
    out
}

/// Length of the colour sequence that the text begins with, if plans or drawings of a manifest use it: bold, dim, or a
/// foreground colour. A sequence that conceals text or paints a background does not count.
fn color_sequence(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let end = inner.find(|ch: char| !ch.is_ascii_digit())?;
    let is_ours =
        matches!(inner[..end].parse(), Ok(0..=2 | 31..=36 | 91..=97)) && inner[end..].starts_with('m');
    is_ours.then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Origin, Secret};
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Sink {
        bytes: Rc<RefCell<Vec<u8>>>,
        /// After this many bytes, writing fails like a closed pipe.
        limit: Option<usize>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.limit.is_some_and(|limit| self.bytes.borrow().len() >= limit) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            self.bytes.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const NO_TERMINAL: Terminals = Terminals { stdin: false, stdout: false, stderr: false };

    fn say(color: bool, limit: Option<usize>) -> (Say, Sink, Scrub) {
        let (scrub, sink) = (Scrub::default(), Sink { limit, ..Sink::default() });
        let say = Say::with_streams(
            scrub.clone(),
            NO_TERMINAL,
            (Box::new(sink.clone()), color),
            (Box::new(sink.clone()), color),
        );
        (say, sink, scrub)
    }

    fn written_text(sink: &Sink) -> String {
        String::from_utf8(sink.bytes.borrow().clone()).expect("text")
    }

    #[test]
    fn both_ways_out_scrub() {
        let (mut say, sink, scrub) = say(false, None);
        scrub.learn(&Secret::new("hunter2-hunter2", Origin::Person));
        say.out_line("out hunter2-hunter2");
        say.err_line("err hunter2-hunter2");
        say.out_form(&scrub.document(&serde_json::json!("json hunter2-hunter2")));
        assert_eq!(written_text(&sink), "out [secret]\nerr [secret]\n\"json [secret]\"\n");
    }

    #[test]
    fn remote_names_do_not_steer_the_terminal() {
        let name = "a\u{1b}]0;title\u{7}b\u{1b}[2Jc\rd\u{202e}e\u{9b}f\u{1b}[31mred\u{1b}[0m\tend\u{61c}\n";
        assert_eq!(filter(name, false), "a ]0;title b [2Jc d e fred\tend \n");
        assert_eq!(filter(name, true), "a ]0;title b [2Jc d e f\u{1b}[31mred\u{1b}[0m\tend \n");
        assert_eq!(filter("\u{1b}[31", true), " [31");
        assert_eq!(filter("\u{1b}[8mhid\u{1b}[1;30;40mden", true), " [8mhid [1;30;40mden", "concealed");
        assert_eq!(filter("Grüße ±", false), "Grüße ±");
    }

    #[test]
    fn no_line_is_a_command_of_a_runner() {
        assert_eq!(filter("a\n  ::stop-commands::x\n", false), "a\n  : :stop-commands::x\n");
        assert_eq!(filter("\u{200b}::error::x ##[y]", false), " : :error::x # #[y]");
    }

    #[test]
    fn drawings_of_the_manifest_keep_their_colours() {
        let problem =
            crate::diag::Problem::error(crate::diag::codes::ALL[0].0, "", "title", "reason", "help");
        let source = crate::manifest::Source::new("lockstep.yaml", "stack: x\n");
        let diagnostic = crate::diag::Diagnostic { problem, file: "lockstep.yaml".into(), span: None };
        let drawn = crate::manifest::render(&[diagnostic], &source, true);
        assert!(drawn.contains("\u{1b}["), "{drawn:?}");
        assert_eq!(filter(&drawn, true), drawn);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let (mut say, sink, _) = say(false, Some(4));
        for _ in 0..3 {
            say.out("four");
        }
        assert!(say.out_broken());
        assert_eq!(say.out_failed(), None);
        assert_eq!(written_text(&sink), "four");
    }

    #[test]
    fn colour_follows_choice_then_environment_then_terminal() {
        let env = |pairs: &'static [(&'static str, &'static str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(use_color(ColorChoice::Auto, true, env(&[])));
        assert!(!use_color(ColorChoice::Auto, false, env(&[])));
        assert!(!use_color(ColorChoice::Auto, true, env(&[("NO_COLOR", "1")])));
        assert!(use_color(ColorChoice::Auto, true, env(&[("NO_COLOR", "")])));
        assert!(!use_color(ColorChoice::Auto, true, env(&[("TERM", "dumb")])));
        assert!(use_color(ColorChoice::Always, false, env(&[("NO_COLOR", "1")])));
        assert!(!use_color(ColorChoice::Never, true, env(&[])));
        assert_eq!("always".parse(), Ok(ColorChoice::Always));
        assert!("sometimes".parse::<ColorChoice>().is_err());
    }

    #[test]
    fn nobody_is_asked_without_a_terminal() {
        let (mut say, sink, _) = say(false, None);
        assert_eq!(say.ask("Apply?", &Signals::silent()), Err(AskProblem::NotATerminal));
        assert_eq!(written_text(&sink), "");
        assert!(is_yes("Yes") && is_yes("y"));
        assert!(!is_yes("") && !is_yes("yeah") && !is_yes("n"));
    }
}
