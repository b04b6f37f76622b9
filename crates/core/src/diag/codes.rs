//! The list of diagnostic codes. They are public and stable, and each has one sentence.

use std::fmt;

/// A diagnostic code, `LS0104`. Codes are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LS{:04}", self.0)
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: Code = Code($number);)*
        /// Every code with its sentence, in order of number.
        pub const ALL: &[(Code, &str)] = &[$((Code($number), $text)),*];
    };
}

codes! {
    NOT_YAML = 101, "the text is not YAML";
    UNKNOWN_KEY = 102, "a key that no section has";
    WRONG_TYPE = 103, "a value of the wrong type";
    OUT_OF_RANGE = 104, "a number, length or count outside its range";
    NOT_ALLOWED = 105, "a word that is not one of the allowed ones";
    MISSING_KEY = 106, "a required key is absent";
    BAD_TEXT = 107, "a text that breaks a rule of its field";
    DUPLICATE_KEY = 108, "a key written twice";
    BAD_VERSION = 109, "a manifest version that this program does not read";
    BAD_REFERENCE = 201, "a reference that cannot be read or leads nowhere";
    MISSING_VALUE = 202, "a reference without a value";
    FILE_REFUSED = 203, "a file that is missing, unreadable or outside the manifest's folder";
    SECRET_IN_CLEAR = 204, "a secret written into the manifest in clear";
    LINE_BREAK_CUT = 205, "a line break at the end of a value, which was taken away";
    SHOWS = 206, "a secret that cannot be hidden inside a longer text";
    CONFLICT = 301, "settings that contradict each other";
    UNSAFE = 302, "settings that would break logins or their protection";
    MOVING_TARGET = 303, "a version that is not pinned";
    NOT_SUPPORTED = 304, "something the API, or this version of the program, cannot do";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascending() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
