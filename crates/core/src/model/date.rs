//! Dates of the manifest: days in UTC, as a person writes them.

use jiff::civil::Date;

use super::field::{FIELD, Field, Type, form};

/// A required field that holds a day.
pub const fn date_field(key: &'static str, doc: &'static str) -> Field {
    let check = form("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", iso_date);
    Field { key, ty: Type::Text { min: 10, max: 10, check }, required: true, doc, ..FIELD }
}

fn iso_date(value: &str) -> Result<(), (String, String)> {
    match parsed(value) {
        Some(_) => Ok(()),
        None => Err(("not a date".into(), "write it as 2026-11-20: year, month, day".into())),
    }
}

/// The day that a text names: year, month and day.
pub fn parsed(value: &str) -> Option<Date> {
    value.parse().ok().filter(|_| value.len() == 10)
}

/// The day of a time in ms since the Unix epoch, in UTC. `None`: the time is no date.
pub fn day_of(unix_ms: u64) -> Option<Date> {
    let ms = i64::try_from(unix_ms).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_ten_characters_and_is_in_the_calendar() {
        for (text, is_day) in [
            ("2027-01-31", true),
            ("2028-02-29", true),
            ("2027-02-29", false),
            ("2027-13-01", false),
            ("2027-1-31", false),
            ("31.01.2027", false),
            ("20270131", false),
            ("2027-01-31T00:00", false),
            ("", false),
        ] {
            assert_eq!(iso_date(text).is_ok(), is_day, "{text}");
        }
    }

    #[test]
    fn a_day_ends_with_its_last_millisecond_in_utc() {
        let day = |ms: u64| day_of(ms).map(|day| day.to_string());
        assert_eq!(day(1_801_439_999_999).as_deref(), Some("2027-01-31"));
        assert_eq!(day(1_801_440_000_000).as_deref(), Some("2027-02-01"));
        assert_eq!(day(u64::MAX), None);
    }
}
