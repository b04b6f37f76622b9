//! `lockstep init`: a commented manifest to start from.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::error::{Error, Result};
use super::exit::Exit;
use super::outputs::{create, new_file};
use super::setup::Shell;
use crate::diag::{Diagnostic, Severity};
use crate::kinds;
use crate::manifest::starter::{self, Channels, Choices, Delivery, Mfa, Receiver};
use crate::manifest::{self, FileError, Missing, Parsed, Sources, schema};
use crate::model::text::{line, shell_word};
use crate::plan::desired::tables;
use crate::plan::render::column;

/// Write a commented manifest to start from
///
/// Asks at a terminal, unless one of the choices is given by an option; each question says what Enter takes. The
/// manifest has no secret in it: it names variables of the environment, which are listed at the end. A file that is
/// there is never replaced, and no request is sent.
///
/// Example: lockstep init --stack acme-login --receiver function --mfa rules --out login.yaml
#[derive(clap::Args)]
pub struct Args {
    /// Name of the stack, unique in the tenant [default: acme-login]
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The name in the messages [default: Acme]
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    /// The Verify service that others manage and that sends the codes: this stack only uses it [default: a new one]
    #[arg(long, value_name = "SID", conflicts_with = "brand")]
    use_verify_service: Option<String>,
    /// How the tenant sends: legacy is for one from before March 2025 [default: unified]
    #[arg(long, value_name = "MODE", value_parser = words(["unified", "legacy"], delivery))]
    delivery: Option<Delivery>,
    /// How a code may travel: sms, voice or both [default: sms,voice]
    #[arg(long, value_name = "LIST", value_parser = channels)]
    channels: Option<Channels>,
    /// What tells Verify which codes were used: function (a Twilio Function), url or an https URL (a receiver of yours),
    /// or none [default: function]
    #[arg(long, value_name = "RECEIVER", value_parser = receiver)]
    receiver: Option<Receiver>,
    /// Which logins need a second factor: all, those of rules (by role, application, …), or as now [default: later]
    #[arg(long, value_name = "WHO", value_parser = words(["all", "rules", "later"], mfa))]
    mfa: Option<Mfa>,
    /// The file; - for stdout
    #[arg(long, value_name = "FILE", default_value = "lockstep.yaml")]
    out: PathBuf,
}

/// A question about one of the choices.
struct Question {
    text: &'static str,
    /// What Enter answers.
    usual: &'static str,
    /// Whether it is asked after the answers so far.
    applies: fn(&Choices) -> bool,
    take: fn(&mut Choices, &str) -> Result<(), String>,
}

/// What is asked at the terminal, in this order.
const QUESTIONS: [Question; 7] = [
    Question {
        text: "Name of the stack, unique in the tenant",
        usual: "acme-login",
        applies: always,
        take: |choices, text| take(&mut choices.stack, Ok(text.to_owned())),
    },
    Question {
        text: "The Verify service: new, or the SID (VA…) of one that others manage",
        usual: "new",
        applies: always,
        take: |choices, text| take(&mut choices.uses_service, Ok((text != "new").then(|| text.to_owned()))),
    },
    Question {
        text: "Your brand, the name in the messages",
        usual: "Acme",
        applies: |choices| choices.uses_service.is_none(),
        take: |choices, text| take(&mut choices.brand, Ok(text.to_owned())),
    },
    Question {
        text: "Delivery: unified, or legacy for a tenant from before March 2025",
        usual: "unified",
        applies: always,
        take: |choices, text| take(&mut choices.delivery, delivery(text)),
    },
    Question {
        text: "How a code may travel: sms, voice or both",
        usual: "both",
        applies: always,
        take: |choices, text| take(&mut choices.channels, channels(text)),
    },
    Question {
        text: "What tells Verify which codes were used: function (a Twilio Function), the URL of a receiver of yours, none",
        usual: "function",
        applies: always,
        take: |choices, text| take(&mut choices.receiver, receiver(text)),
    },
    Question {
        text: "Which logins need a second factor: all, rules (by role, application and so on), later",
        usual: "later",
        applies: always,
        take: |choices, text| take(&mut choices.mfa, mfa(text)),
    },
];

fn always(_: &Choices) -> bool {
    true
}

fn take<T>(choice: &mut T, answer: Result<T, String>) -> Result<(), String> {
    answer.map(|answer| *choice = answer)
}

/// One of these words, so that a shell can complete them.
fn words<const N: usize, T: Clone + Send + Sync + 'static>(
    words: [&'static str; N],
    read: fn(&str) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(move |word| read(&word))
}

fn delivery(text: &str) -> Result<Delivery, String> {
    let found = Delivery::ALL.iter().find(|(word, _)| *word == text);
    found.map(|(_, delivery)| *delivery).ok_or_else(|| "it is not one of unified, legacy".to_owned())
}

fn channels(text: &str) -> Result<Channels, String> {
    let mut channels = Channels { sms: false, voice: false };
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match word {
            "sms" => channels.sms = true,
            "voice" => channels.voice = true,
            "both" => channels = Channels { sms: true, voice: true },
            _ => return Err("it is not one of sms, voice, both".to_owned()),
        }
    }
    if channels.words().is_empty() { Err("a code has to travel somehow".to_owned()) } else { Ok(channels) }
}

fn receiver(text: &str) -> Result<Receiver, String> {
    match text {
        "function" => Ok(Receiver::Function),
        "none" => Ok(Receiver::Nobody),
        "url" => Ok(Receiver::Url(None)),
        url if url.contains("://") => Ok(Receiver::Url(Some(url.to_owned()))),
        _ => Err("it is not one of function, url, none, https://…".to_owned()),
    }
}

fn mfa(text: &str) -> Result<Mfa, String> {
    match text {
        "all" => Ok(Mfa::All),
        "rules" => Ok(Mfa::Rules),
        "later" => Ok(Mfa::Later),
        _ => Err("it is not one of all, rules, later".to_owned()),
    }
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let to_stdout = args.out == Path::new("-");
    let file = if to_stdout { "lockstep.yaml".to_owned() } else { args.out.display().to_string() };
    if !to_stdout {
        new_file("init", &args.out)?;
    }
    let choices = match args.decide() || !shell.say.terminals().can_ask() {
        true => args.choices(),
        false => asked(&file, shell)
            .ok_or_else(|| Error::internal("not every question was answered; nothing was written"))?,
    };
    let text = starter::text(&choices, &file, &tables());
    let parsed = checked(&file, &text).map_err(|(wrong, help)| Error::usage(wrong).help(help))?;
    if to_stdout {
        shell.say.out(&text);
    } else {
        create("init", &args.out, &text)?;
        shell.say.out_one_line(format!("{file}: written"));
    }
    let next = next_moves(&parsed, &file, choices.uses_service.is_none());
    match to_stdout {
        true => shell.say.err(&next),
        false => shell.say.out(&next),
    }
    Ok(Exit::Done)
}

impl Args {
    /// Whether an option decides, so that nobody is asked.
    fn decide(&self) -> bool {
        let Args { stack, brand, use_verify_service, delivery, channels, receiver, mfa, out: _ } = self;
        stack.is_some()
            || brand.is_some()
            || use_verify_service.is_some()
            || delivery.is_some()
            || channels.is_some()
            || receiver.is_some()
            || mfa.is_some()
    }

    fn choices(&self) -> Choices {
        let usual = Choices::default();
        Choices {
            stack: self.stack.clone().unwrap_or(usual.stack),
            brand: self.brand.clone().unwrap_or(usual.brand),
            uses_service: self.use_verify_service.clone(),
            delivery: self.delivery.unwrap_or(usual.delivery),
            channels: self.channels.unwrap_or(usual.channels),
            receiver: self.receiver.clone().unwrap_or(usual.receiver),
            mfa: self.mfa.unwrap_or(usual.mfa),
        }
    }
}

/// The choices of the user at the terminal. A question is repeated until its answer can be used. `None`: the user left.
fn asked(file: &str, shell: &mut Shell) -> Option<Choices> {
    let signals = shell.signals.clone();
    let mut choices = Choices::default();
    for Question { text, usual, applies, take } in QUESTIONS {
        if !applies(&choices) {
            continue;
        }
        loop {
            let typed = shell.say.ask_word(&format!("{text} [{usual}]:"), &signals).ok()?;
            let mut next = choices.clone();
            let taken = take(&mut next, if typed.is_empty() { usual } else { &typed }).and_then(|()| {
                checked(file, &starter::text(&next, file, &tables()))
                    .map_err(|(wrong, help)| format!("{wrong}; {help}"))
            });
            match taken {
                Ok(_) => break choices = next,
                Err(wrong) => shell.say.err_one_line(wrong),
            }
        }
    }
    Some(choices)
}

/// The manifest as read again; else what is wrong with it, and the next move. Only a name or a URL of the user can be.
pub fn checked(file: &str, text: &str) -> Result<Parsed, (String, String)> {
    let wrong = |found: &[Diagnostic]| {
        let first = found.iter().find(|one| one.problem.severity == Severity::Error);
        first.map(|Diagnostic { problem, .. }| {
            (format!("{}: {}: {}", problem.path, problem.title, problem.reason), problem.help.clone())
        })
    };
    let parsed = manifest::read(file, text, &tables())
        .map_err(|rejected| wrong(&rejected.diagnostics).unwrap_or_default())?;
    let examined = manifest::examine(&parsed, &Nothing, Missing::Unknown, &kinds::check);
    wrong(&examined.diagnostics).map_or(Ok(parsed), Err)
}

/// What is to be done with the manifest. `is_whole`: it needs nothing that others have to make first.
fn next_moves(parsed: &Parsed, file: &str, is_whole: bool) -> String {
    let variables = starter::variables(parsed);
    let width = column(variables.iter().map(|(name, _)| name.as_str()));
    let mut out = "\nTo set in the environment before `lockstep plan`:\n".to_owned();
    for (name, meaning) in &variables {
        out.push_str(&line(&format!("  {name:<width$} {meaning}")));
        out.push('\n');
    }
    let twin = format!("To try it without accounts: lockstep apply {} --twin", shell_word(file));
    let last = is_whole.then_some(twin).into_iter().chain([schema_line(Path::new(file))]);
    last.for_each(|text| out.push_str(&(line(&text) + "\n")));
    out
}

/// How an editor gets the schema that the manifest's first line names.
pub fn schema_line(manifest: &Path) -> String {
    let path = manifest.with_file_name(schema::FILE).display().to_string();
    format!(
        "For an editor that explains and checks each key: lockstep schema manifest > {}",
        shell_word(&path)
    )
}

/// Sources without any value: the manifest is the same on every machine.
struct Nothing;

impl Sources for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }
    fn cmd(&self, _: &str) -> Option<Result<String, String>> {
        None
    }
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_takes_what_no_option_says() {
        let mut choices = Choices {
            stack: String::new(),
            brand: String::new(),
            uses_service: Some("VA".to_owned()),
            delivery: Delivery::Legacy,
            channels: Channels { sms: false, voice: false },
            receiver: Receiver::Nobody,
            mfa: Mfa::All,
        };
        for Question { usual, take, .. } in QUESTIONS {
            take(&mut choices, usual).expect(usual);
        }
        assert_eq!(choices, Choices::default());
    }
}
