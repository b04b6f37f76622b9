//! Ctrl-C and SIGTERM. The first signal asks the run to stop in an orderly way; the second ends the process at once.
//!
//! A separate thread listens, so that the second signal works whatever the main thread is doing. While a question is
//! open at the terminal, no work is in progress, and the first signal ends the process.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, mpsc};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// 128 plus the signal's number, as shells define it.
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

/// Remembers the first signal. All clones share this state.
#[derive(Clone, Default)]
pub struct Signals(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Exit code of the first signal; 0 before a signal.
    first: AtomicU8,
    asking: AtomicBool,
    notify: Notify,
}

/// The effect of a signal.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Remembered,
    Exit(u8),
}

impl Signals {
    /// Starts to listen to the signals of the process. From then on they no longer have their default effect.
    ///
    /// # Errors
    /// The thread or a signal handler cannot be set up.
    pub fn install() -> Result<Signals> {
        let signals = Signals::default();
        let heard = signals.clone();
        let (ready, is_ready) = mpsc::channel();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async move {
                let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
                let (mut interrupts, mut terminates) = match streams {
                    (Ok(interrupts), Ok(terminates)) => (interrupts, terminates),
                    (Err(error), _) | (_, Err(error)) => return drop(ready.send(Err(error))),
                };
                let _ = ready.send(Ok(()));
                loop {
                    let signal = tokio::select! {
                        Some(()) = interrupts.recv() => Signal::Interrupt,
                        Some(()) = terminates.recv() => Signal::Terminate,
                        else => return,
                    };
                    if let Effect::Exit(code) = heard.take(signal) {
                        std::process::exit(i32::from(code));
                    }
                }
            });
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen).context("no thread for signals")?;
        is_ready.recv().context("the signal thread ended")?.context("no signal handler")?;
        Ok(signals)
    }

    /// For tests: signals that only [`Signals::raise`] sends.
    pub fn silent() -> Signals {
        Signals::default()
    }

    /// Acts as if this signal had come. Only the first call has an effect.
    pub fn raise(&self, signal: Signal) {
        let _ = self.take(signal);
    }

    /// The first signal, if one has come.
    pub fn first(&self) -> Option<Signal> {
        match self.0.first.load(Ordering::SeqCst) {
            130 => Some(Signal::Interrupt),
            143 => Some(Signal::Terminate),
            _ => None,
        }
    }

    /// Waits for the first signal. Only one waiter at a time is supported.
    pub async fn wait(&self) -> Signal {
        loop {
            if let Some(signal) = self.first() {
                return signal;
            }
            self.0.notify.notified().await;
        }
    }

    /// Runs a question; a signal during the question ends the process at once.
    pub fn while_asking<T>(&self, question: impl FnOnce() -> T) -> T {
        self.0.asking.store(true, Ordering::SeqCst);
        let answer = question();
        self.0.asking.store(false, Ordering::SeqCst);
        answer
    }

    fn take(&self, signal: Signal) -> Effect {
        let code = signal.exit_code();
        let is_first = self.0.first.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        self.0.notify.notify_one();
        if is_first && !self.0.asking.load(Ordering::SeqCst) {
            Effect::Remembered
        } else {
            Effect::Exit(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_remembered_and_the_second_ends_it() {
        let signals = Signals::silent();
        assert_eq!(signals.first(), None);
        assert_eq!(signals.take(Signal::Terminate), Effect::Remembered);
        assert_eq!(signals.take(Signal::Interrupt), Effect::Exit(130));
        assert_eq!(signals.first(), Some(Signal::Terminate));
        assert_eq!(Signal::Terminate.exit_code(), 143);
    }

    #[test]
    fn an_open_question_ends_with_the_first() {
        let signals = Signals::silent();
        assert_eq!(signals.while_asking(|| signals.take(Signal::Interrupt)), Effect::Exit(130));
    }
}
