//! Times as people write them: `500ms`, `30s`, `5m`, `2h`.

use std::time::Duration;

/// Reads a time; a bare number is seconds. `None`: the text is none, or it is zero.
pub fn parsed(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|ch: char| ch.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let ms = match &text[digits.len()..] {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    ms.filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// A time as a person reads it: the largest unit that leaves no rest, or minutes and seconds.
pub fn shown(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms >= 3_600_000 => format!("{}h {}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms >= 60_000 => format!("{}m {}s", ms / 60_000, ms % 60_000 / 1_000),
        ms if ms >= 1_000 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for (text, ms) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("90m", 5_400_000)]
        {
            assert_eq!(parsed(text), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(shown(5_400_000), "1h 30m");
        assert_eq!(shown(61_500), "1m 1s");
        for text in ["500ms", "30s", "5m", "2h"] {
            assert_eq!(parsed(text).map(|time| shown(time.as_millis() as u64)), Some(text.to_owned()));
        }
        assert_eq!(parsed("90"), Some(Duration::from_secs(90)));
        for text in ["", "0", "0s", "m", "-5m", "5 m", "5d", "18446744073709551615h"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
