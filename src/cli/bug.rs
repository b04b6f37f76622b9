//! What a person sees of a bug of this program.

use std::panic::PanicHookInfo;

use super::exit::Exit;

/// Ends the program at a bug of its own: says where it is, and no word of the values there, which may be secrets. The
/// release build leaves no image of its memory behind, as an abort would.
pub fn end(bug: &PanicHookInfo<'_>) {
    let place = bug.location().map(|at| (at.file().to_owned(), at.line()));
    eprintln!("{}", words(place));
    if cfg!(debug_assertions) {
        eprintln!("{bug}");
    } else {
        std::process::exit(i32::from(Exit::Failed as u8));
    }
}

fn words(place: Option<(String, u32)>) -> String {
    let place = place.map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
    format!(
        "error: this is a bug of lockstep{place}; no further request was sent\n  help: run the same command again, which continues; report this line together with `lockstep --version`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_told_with_its_place() {
        let text = words(Some(("src/cli/plan.rs".into(), 12)));
        assert!(text.contains("bug of lockstep at src/cli/plan.rs:12;"), "{text}");
        assert!(words(None).contains("bug of lockstep;"));
    }
}
