//! Logs to stderr, for finding a mistake. Only this program's own code is logged, because HTTP libraries would print
//! headers.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::secrets::Scrub;
use crate::model::text;

/// The log level. `-v` (info), `-vv` (debug) and `-vvv` (trace) override `LOCKSTEP_LOG`; without both, the level is
/// warn.
///
/// # Errors
/// `LOCKSTEP_LOG` is not one of off, error, warn, info, debug, trace.
pub fn level(verbose: u8, lockstep_log: Option<&str>) -> Result<LevelFilter, String> {
    match (verbose, lockstep_log.map(str::trim)) {
        (1, _) => Ok(LevelFilter::INFO),
        (2, _) => Ok(LevelFilter::DEBUG),
        (3.., _) => Ok(LevelFilter::TRACE),
        (0, None | Some("")) => Ok(LevelFilter::WARN),
        (0, Some(name)) => match name.to_ascii_lowercase().as_str() {
            "off" => Ok(LevelFilter::OFF),
            "error" => Ok(LevelFilter::ERROR),
            "warn" => Ok(LevelFilter::WARN),
            "info" => Ok(LevelFilter::INFO),
            "debug" => Ok(LevelFilter::DEBUG),
            "trace" => Ok(LevelFilter::TRACE),
            _ => Err("LOCKSTEP_LOG is not one of off, error, warn, info, debug, trace".into()),
        },
    }
}

/// Starts logging for the whole process. A second call does nothing.
pub fn start(level: LevelFilter, scrub: Scrub) {
    let _ =
        tracing::subscriber::set_global_default(subscriber(level, ScrubbingWriter::new(scrub, io::stderr)));
}

fn subscriber<W: Write + 'static>(
    level: LevelFilter,
    writer: ScrubbingWriter<W>,
) -> impl tracing::Subscriber + Send + Sync {
    let own_code = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).without_time();
    tracing_subscriber::registry().with(lines.with_filter(own_code))
}

/// Makes a writer for each event. The text of an event is scrubbed as a whole when the event is complete.
struct ScrubbingWriter<W> {
    scrub: Scrub,
    open: fn() -> W,
}

impl<W> ScrubbingWriter<W> {
    fn new(scrub: Scrub, open: fn() -> W) -> ScrubbingWriter<W> {
        ScrubbingWriter { scrub, open }
    }
}

impl<'a, W: Write + 'a> MakeWriter<'a> for ScrubbingWriter<W> {
    type Writer = Line<W>;

    fn make_writer(&'a self) -> Line<W> {
        Line { scrub: self.scrub.clone(), inner: (self.open)(), bytes: Vec::new() }
    }
}

/// An event being written. A secret may come in pieces, so nothing is passed on before the end.
struct Line<W: Write> {
    scrub: Scrub,
    inner: W,
    bytes: Vec<u8>,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        let event = self.scrub.scrub(&String::from_utf8_lossy(&self.bytes));
        // An event stays one line, even if text of others in it has line breaks.
        let text = text::line(event.trim_end_matches('\n')) + "\n";
        // A failing log must not stop the program.
        let _ = self.inner.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Origin, Secret};
    use std::cell::RefCell;

    thread_local! {
        static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    struct ToThread;

    impl Write for ToThread {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn secrets_and_other_peoples_lines_stay_out() {
        let scrub = Scrub::default();
        scrub.learn(&Secret::new("hunter2-hunter2", Origin::Person));
        let subscriber = subscriber(LevelFilter::DEBUG, ScrubbingWriter::new(scrub, || ToThread));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(value = "hunter2-hunter2", "message hunter2-hunter2");
            tracing::trace!("below the level");
            tracing::error!(target: "reqwest::connect", "header: hunter3-hunter3");
        });
        let text = LINES.with_borrow(|lines| String::from_utf8_lossy(lines).into_owned());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("message [secret]") && !text.contains("hunter"), "{text}");
    }

    #[test]
    fn the_flag_wins_over_the_environment() {
        assert_eq!(level(0, None), Ok(LevelFilter::WARN));
        assert_eq!(level(0, Some("Debug")), Ok(LevelFilter::DEBUG));
        assert_eq!(level(1, Some("trace")), Ok(LevelFilter::INFO));
        assert_eq!(level(9, None), Ok(LevelFilter::TRACE));
        assert!(level(0, Some("reqwest=trace")).is_err());
    }
}
