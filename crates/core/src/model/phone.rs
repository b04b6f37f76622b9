//! Phone numbers that a person types: which may be sent to, and how one is named without showing it.

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NotE164,
    Emergency,
    Premium,
}

impl Refused {
    pub fn words(self) -> &'static str {
        match self {
            Refused::NotE164 => "is no number in E.164 form: a plus and 7 to 15 digits, without blanks",
            Refused::Emergency => "is an emergency number",
            Refused::Premium => "is a premium-rate number",
        }
    }
}

/// Short numbers that call for help somewhere, with or without a country code before them.
const EMERGENCY: [&str; 16] = [
    "000", "100", "101", "102", "108", "110", "111", "112", "113", "114", "115", "117", "118", "119", "911",
    "999",
];

/// Beginnings of premium-rate numbers (ITU E.164 country code 979; national numbering plans, 2026-08).
const PREMIUM: [&str; 41] = [
    "1900", "27862", "3190", "3290", "3389", "34803", "34806", "34807", "34905", "34907", "351601", "35176",
    "35315", "358600", "358700", "3989", "41900", "41901", "41906", "43900", "43901", "43930", "43931",
    "43939", "449", "4590", "46900", "46939", "46944", "47820", "47829", "4870", "49137", "49900", "52900",
    "55900", "61190", "64900", "8190", "90900", "979",
];

/// Why no message is sent to a number; `None`: one may be.
pub fn refused(text: &str) -> Option<Refused> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_short = digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_short && EMERGENCY.iter().any(|code| digits.ends_with(code)) {
        return Some(Refused::Emergency);
    }
    let is_e164 = text.starts_with('+')
        && (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if !is_e164 {
        return Some(Refused::NotE164);
    }
    PREMIUM.iter().any(|start| digits.starts_with(start)).then_some(Refused::Premium)
}

/// A number as it may be shown.
pub fn shown(number: &str) -> String {
    let end: String = number.chars().skip(number.chars().count().saturating_sub(2)).collect();
    format!("the number ending in {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_refused() {
        for (text, expected) in [
            ("+15005550006", None),
            ("+4915005550006", None),
            ("+442071838750", None),
            ("15005550006", Some(Refused::NotE164)),
            ("+1 500 555 0006", Some(Refused::NotE164)),
            ("+05005550006", Some(Refused::NotE164)),
            ("+150055", Some(Refused::NotE164)),
            ("+1500555000600000", Some(Refused::NotE164)),
            ("+1500555000x", Some(Refused::NotE164)),
            ("", Some(Refused::NotE164)),
            ("+", Some(Refused::NotE164)),
            ("me@acme.example", Some(Refused::NotE164)),
            ("112", Some(Refused::Emergency)),
            ("+1911", Some(Refused::Emergency)),
            ("+44999", Some(Refused::Emergency)),
            ("+49112", Some(Refused::Emergency)),
            ("+61000", Some(Refused::Emergency)),
            ("+19005550006", Some(Refused::Premium)),
            ("+449098790000", Some(Refused::Premium)),
            ("+499001234567", Some(Refused::Premium)),
            ("+9791234567", Some(Refused::Premium)),
        ] {
            assert_eq!(refused(text), expected, "{text}");
        }
        assert_eq!(shown("+15005550006"), "the number ending in 06");
    }
}
