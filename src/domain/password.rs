//! Harbor's rule for a password that is chosen instead of drawn. Measured (tests/contract/22-patch-secret.json): bytes
//! count, not characters; letters and digits are those of ASCII; everything else is free, spaces at either end, colons,
//! control characters and letters outside ASCII included.

/// The shortest password that Harbor accepts, in bytes.
const SHORTEST: usize = 8;
/// The longest one, in bytes (from Harbor 2.9 on).
const LONGEST: usize = 128;

/// What the rule asks about a password, so that the password itself stays where it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Its length in bytes.
    pub bytes: usize,
    /// It is UTF-8: a request carries it in JSON, which holds nothing else.
    pub text: bool,
    /// It has one of `A-Z`.
    pub upper: bool,
    /// It has one of `a-z`.
    pub lower: bool,
    /// It has one of `0-9`.
    pub digit: bool,
}

/// Why Harbor would refuse a password. To be read after the password's name: "key k of Secret s: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Not UTF-8.
    #[error("it is not UTF-8 text, as Harbor's API wants it")]
    NotText,
    /// Fewer than 8 bytes.
    #[error("it is shorter than 8 bytes; Harbor takes 8 to 128")]
    TooShort,
    /// More than 128 bytes.
    #[error("it is longer than 128 bytes, where a letter outside ASCII counts as two or more; Harbor takes 8 to 128")]
    TooLong,
    /// None of `A-Z`.
    #[error("it lacks an upper-case letter (A-Z); Harbor wants one of A-Z, one of a-z and one of 0-9")]
    NoUpper,
    /// None of `a-z`.
    #[error("it lacks a lower-case letter (a-z); Harbor wants one of A-Z, one of a-z and one of 0-9")]
    NoLower,
    /// None of `0-9`.
    #[error("it lacks a digit (0-9); Harbor wants one of A-Z, one of a-z and one of 0-9")]
    NoDigit,
}

/// Fails if Harbor would refuse a password of this shape.
pub fn check(shape: Shape) -> Result<(), PasswordError> {
    let rules = [
        (shape.text, PasswordError::NotText),
        (shape.bytes >= SHORTEST, PasswordError::TooShort),
        (shape.bytes <= LONGEST, PasswordError::TooLong),
        (shape.upper, PasswordError::NoUpper),
        (shape.lower, PasswordError::NoLower),
        (shape.digit, PasswordError::NoDigit),
    ];
    rules.into_iter().find(|(kept, _)| !kept).map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Shape = Shape { bytes: 8, text: true, upper: true, lower: true, digit: true };

    #[test]
    fn eight_to_a_hundred_and_twenty_eight_bytes_are_fine() {
        for bytes in [8, 9, 127, 128] {
            assert_eq!(check(Shape { bytes, ..FINE }), Ok(()));
        }
        for (bytes, error) in
            [(0, PasswordError::TooShort), (7, PasswordError::TooShort), (129, PasswordError::TooLong)]
        {
            assert_eq!(check(Shape { bytes, ..FINE }), Err(error));
        }
    }

    #[test]
    fn an_upper_case_letter_a_lower_case_letter_and_a_digit_are_needed() {
        assert_eq!(check(Shape { upper: false, ..FINE }), Err(PasswordError::NoUpper));
        assert_eq!(check(Shape { lower: false, ..FINE }), Err(PasswordError::NoLower));
        assert_eq!(check(Shape { digit: false, ..FINE }), Err(PasswordError::NoDigit));
    }

    #[test]
    fn what_is_not_text_cannot_be_sent() {
        assert_eq!(check(Shape { text: false, ..FINE }), Err(PasswordError::NotText));
    }
}
