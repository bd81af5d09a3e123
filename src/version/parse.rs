//! From text to version, strictly.

use semver::Version;

/// The longest version text, in bytes.
const MAX_LEN: usize = 256;

/// Parses a version by semver 2.0.0, to the letter.
///
/// # Errors
/// [`InvalidVersion`] for anything else: an empty text, a leading `v`, missing or empty parts, leading zeros, blanks,
/// numbers beyond 64 bits. There is no fallback version.
///
/// ```
/// assert_eq!(quark::version::parse("1.4.0-beta.2")?.minor, 4);
/// assert!(quark::version::parse("v1.4.0").is_err());
/// # Ok::<(), quark::version::InvalidVersion>(())
/// ```
pub fn parse(text: &str) -> Result<Version, InvalidVersion> {
    if text.is_empty() {
        return Err(InvalidVersion::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(InvalidVersion::TooLong { len: text.len() });
    }
    Version::parse(text).map_err(|source| match text.strip_prefix(['v', 'V']) {
        Some(rest) if Version::parse(rest).is_ok() => InvalidVersion::LeadingV { text: text.to_owned() },
        _ => InvalidVersion::Malformed {
            text: text.to_owned(),
            source,
        },
    })
}

/// A text that is no version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidVersion {
    /// There is no text.
    #[error("the version is empty; write three numbers, such as 1.0.0")]
    Empty,
    /// The text is longer than any version needs to be.
    #[error("the version is {len} bytes long; at most 256 are read")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A version but for the letter before it.
    #[error("the version {text:?} begins with a letter; leave it out")]
    LeadingV {
        /// As given.
        text: String,
    },
    /// Anything else.
    #[error("the version {text:?} is not of the form MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD]: {source}")]
    Malformed {
        /// As given.
        text: String,
        /// Where it went wrong.
        source: semver::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R69, R68 (empty or missing is compatible with nothing, because it is no version)
    #[test]
    fn what_cannot_be_parsed_is_an_error_and_never_0_0_0() {
        for junk in [
            " 1.0.0",
            "1.0.0 ",
            "1",
            "1.0",
            "1.0.0.0",
            "1..0",
            "01.0.0",
            "1.0.-1",
            "1.0.0-",
            "1.0.0+",
            "1.0.0-a..b",
            "1.0.x",
            "latest",
            "*",
            "^1.0.0",
            "1,0,0",
            "18446744073709551616.0.0",
            "0.99999999999999999999.0",
            "v",
            "vv1.0.0",
            "１.0.0",
        ] {
            assert!(
                matches!(parse(junk), Err(InvalidVersion::Malformed { .. })),
                "{junk:?} gave {:?}",
                parse(junk)
            );
        }
        assert!(matches!(parse(""), Err(InvalidVersion::Empty)));
        assert!(matches!(
            parse(&"1".repeat(257)),
            Err(InvalidVersion::TooLong { len: 257 })
        ));
    }

    /// R69
    #[test]
    fn a_leading_v_is_named_as_the_mistake() {
        for text in ["v1.2.3", "V1.2.3-beta"] {
            let error = parse(text).expect_err("not a version");
            assert!(matches!(error, InvalidVersion::LeadingV { .. }), "{error}");
            assert!(error.to_string().contains("leave it out"));
        }
    }

    /// R70
    #[test]
    fn prerelease_and_build_are_kept() {
        let version = parse("2.2.0-beta.1+build.7").expect("valid");
        assert_eq!((version.major, version.minor, version.patch), (2, 2, 0));
        assert_eq!(version.pre.as_str(), "beta.1");
        assert_eq!(version.build.as_str(), "build.7");
    }

    #[test]
    fn the_largest_numbers_are_read_exactly() {
        let text = "18446744073709551615.18446744073709551615.18446744073709551615";
        assert_eq!(parse(text).expect("valid").to_string(), text);
    }
}
