//! Time as text. The twin has no clock: every time is handed in as Unix milliseconds. This file writes it as each
//! vendor does.

/// Shape `2026-05-29T10:45:58Z`: Twilio's product APIs.
pub fn iso_seconds(at_ms: u64) -> String {
    let [year, month, day, hour, minute, second] = civil(at_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Shape `2025-07-10T06:25:58.824Z`: Auth0's branding objects.
pub fn iso_millis(at_ms: u64) -> String {
    let text = iso_seconds(at_ms);
    format!("{}.{:03}Z", text.trim_end_matches('Z'), at_ms % 1_000)
}

/// Shape `2026-05-29T10:45:58.888947671Z`: Auth0 Actions. `below_ms` holds the six digits below one millisecond.
pub fn iso_nanos(at_ms: u64, below_ms: u32) -> String {
    let text = iso_seconds(at_ms);
    format!("{}.{:03}{:06}Z", text.trim_end_matches('Z'), at_ms % 1_000, below_ms % 1_000_000)
}

/// Shape `Fri, 29 May 2026 10:45:58 +0000`: Twilio's 2010 API.
pub fn rfc2822(at_ms: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [year, month, day, hour, minute, second] = civil(at_ms);
    let weekday = DAYS[(at_ms / 86_400_000 % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Whether a text has the shape `2026-05-29T10:45:58Z`, with or without a fraction of the second.
pub fn is_iso(text: &str) -> bool {
    let Some(rest) = text.strip_suffix('Z') else { return false };
    let (whole, fraction) = rest.split_at_checked(19).unwrap_or((rest, "-"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole_fits = whole.bytes().zip(b"0000-00-00T00:00:00").all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        mark => byte == *mark,
    });
    whole_fits && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits))
}

/// Year, month, day, hour, minute, second in UTC. The calendar part is the usual 400-year-era computation.
fn civil(at_ms: u64) -> [u64; 6] {
    let seconds = at_ms / 1_000;
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_each_vendor_writes_them() {
        let at_ms = 1_780_051_558_888;
        assert_eq!(iso_seconds(at_ms), "2026-05-29T10:45:58Z");
        assert_eq!(iso_millis(at_ms), "2026-05-29T10:45:58.888Z");
        assert_eq!(iso_nanos(at_ms, 947_671), "2026-05-29T10:45:58.888947671Z");
        assert_eq!(rfc2822(at_ms), "Fri, 29 May 2026 10:45:58 +0000");
        assert_eq!(iso_seconds(951_782_400_000), "2000-02-29T00:00:00Z", "a leap day");
        assert_eq!(iso_seconds(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn moments_are_known_by_their_shape() {
        let at_ms = 1_780_051_558_888;
        for text in [iso_seconds(at_ms), iso_millis(at_ms), iso_nanos(at_ms, 947_671)] {
            assert!(is_iso(&text), "{text}");
        }
        for text in
            ["", "Z", "2026-05-29", "2026-05-29T10:45:58", "2026-05-29T10:45:58.Z", "2026-05-29 10:45:58Z"]
        {
            assert!(!is_iso(text), "{text}");
        }
    }
}
