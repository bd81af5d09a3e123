//! The rules that names and versions must keep.

use crate::errors::Errors;
use semver::Version;
use syn::LitStr;

/// Checks a kind by the rule of actor ids: 1 to 1024 bytes without control characters.
pub(crate) fn check_kind(kind: &LitStr, errors: &mut Errors) {
    if let Some(why) = kind_error(&kind.value()) {
        errors.at(
            kind.span(),
            format!(
                "this kind cannot be used: {why}; a kind is 1 to 1024 bytes, best of `a-z`, `0-9`, `.`, `_` and `-`"
            ),
        );
    }
}

fn kind_error(kind: &str) -> Option<&'static str> {
    if kind.is_empty() {
        Some("it is empty")
    } else if kind.len() > 1024 {
        Some("it is longer than 1024 bytes")
    } else if kind.chars().any(char::is_control) {
        Some("it contains a control character")
    } else {
        None
    }
}

/// What the names of messages between silos and their actors begin with: the library has it as `OWN_MESSAGES`.
const RESERVED: &str = "quark.";

/// Checks the wire name of a message: 1 to 128 printable ASCII characters without spaces, and none of Quark's own.
pub(crate) fn check_message_name(name: &LitStr, errors: &mut Errors) {
    if name.value().starts_with(RESERVED) {
        errors.at(
            name.span(),
            format!(
                "this message name cannot be used: names that begin with `{RESERVED}` are those of Quark's own messages, which come to no \
                 handler; begin it with a name of your own, such as `cart.add`"
            ),
        );
    } else if let Some(why) = message_name_error(&name.value()) {
        errors.at(
            name.span(),
            format!(
                "this message name cannot be used: {why}; a name is 1 to 128 printable ASCII characters without spaces, such as `cart.add`"
            ),
        );
    }
}

/// Checks the name of a schema, by the same rule.
pub(crate) fn check_schema_name(name: &LitStr, errors: &mut Errors) {
    if let Some(why) = message_name_error(&name.value()) {
        errors.at(
            name.span(),
            format!(
                "this name of a schema cannot be used: {why}; a name is 1 to 128 printable ASCII characters without spaces, such as `cart.2`"
            ),
        );
    }
}

fn message_name_error(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 128 {
        Some("it is longer than 128 characters")
    } else if name.bytes().any(|byte| !byte.is_ascii_graphic()) {
        Some("it contains a space, a control character or a character that is not ASCII")
    } else {
        None
    }
}

/// Checks a version: strict semver.
pub(crate) fn check_version(version: &LitStr, errors: &mut Errors) {
    if let Err(error) = Version::parse(&version.value()) {
        errors.at(
            version.span(),
            format!("this version is not semver: {error}; write all three numbers and no `v`, such as `1.2.3` or `2.0.0-beta.1`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_1_to_1024_bytes_without_control_characters() {
        for good in ["cart", "Cart Nr. 1", "käse", &"x".repeat(1024)] {
            assert_eq!(kind_error(good), None, "{good}");
        }
        for bad in ["", "a\nb", "a\0b", &"x".repeat(1025)] {
            assert!(kind_error(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn message_names_are_1_to_128_printable_ascii_characters() {
        for good in ["cart.add", "Cart::Add", &"x".repeat(128)] {
            assert_eq!(message_name_error(good), None, "{good}");
        }
        for bad in ["", "cart add", "käse", "a\tb", &"x".repeat(129)] {
            assert!(message_name_error(bad).is_some(), "{bad}");
        }
    }
}
