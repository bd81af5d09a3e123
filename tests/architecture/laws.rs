//! The laws, and the sentences by which a source is told that it breaks one.

use crate::source::{Token, imports, tokens};

/// The most lines a file may have.
const MAX_LINES: usize = 600;

/// What a law's exceptions and the arrows are.
pub(crate) struct House<'a> {
    /// Room and the rooms it may import.
    pub(crate) arrows: &'a [(&'a str, &'a [&'a [&'a str]])],
    /// What test code may import besides.
    pub(crate) in_tests: &'a [&'a [&'a str]],
    pub(crate) macros: &'a [(&'a str, &'a str)],
    /// Files with `unsafe`, and why.
    pub(crate) with_unsafe: &'a [(&'a str, &'a str)],
    /// Files with `#![...]`, and why.
    pub(crate) with_inner_attributes: &'a [(&'a str, &'a str)],
}

impl House<'_> {
    /// One sentence per law that the source breaks: file, line, what is wrong and the cure.
    pub(crate) fn broken(&self, path: &str, text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let mut broken = Vec::new();
        if !text.starts_with("//! ") {
            broken.push(format!(
                "{path}:1: there is no module doc; let the first line say what the module owns: `//! ...`"
            ));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            broken.push(format!(
                "{path}:{lines}: the file has more than {MAX_LINES} lines; find the seam and split it"
            ));
        }
        self.check_words(path, &tokens, &mut broken);
        if let Some(room) = room(path) {
            self.check_arrows(path, room, &tokens, &mut broken);
        }
        broken
    }

    fn check_words(&self, path: &str, tokens: &[Token], broken: &mut Vec<String>) {
        let is_listed = |list: &[(&str, &str)]| list.iter().any(|(listed, _)| *listed == path);
        if !is_listed(self.with_unsafe) {
            for token in tokens
                .iter()
                .filter(|token| matches!(token.text.as_str(), "unsafe" | "unsafe_code"))
            {
                broken.push(format!(
                    "{path}:{}: `{}` outside the files listed for it; do without, or list the file with its reason in tests/architecture/main.rs",
                    token.line, token.text
                ));
            }
        }
        if !is_listed(self.with_inner_attributes) {
            let inner = |three: &&[Token]| three.iter().map(|token| token.text.as_str()).eq(["#", "!", "["]);
            for three in tokens.windows(3).filter(inner) {
                broken.push(format!(
                    "{path}:{}: `#![...]` outside the files listed for it; put lints into Cargo.toml, or list the file with its reason in tests/architecture/main.rs",
                    three[0].line
                ));
            }
        }
    }

    fn check_arrows(&self, path: &str, room: &str, tokens: &[Token], broken: &mut Vec<String>) {
        let Some((_, allowed)) = self.arrows.iter().find(|(name, _)| *name == room) else {
            broken.push(format!(
                "{path}:1: the room `{room}` is not in the table of arrows; add it with what it may import to ARROWS in tests/architecture/main.rs"
            ));
            return;
        };
        let is_among = |rooms: &[&[&str]], target: &str| rooms.iter().any(|rooms| rooms.contains(&target));
        for import in imports(tokens, depth(path)) {
            let macros = self.macros.iter().find(|(name, _)| *name == import.target);
            let target = macros.map_or(import.target.as_str(), |(_, room)| room);
            let is_test = import.in_test || is_test_file(path);
            if target == room || is_among(allowed, target) || (is_test && is_among(self.in_tests, target)) {
                continue;
            }
            let line = import.line;
            broken.push(if target == "*" {
                format!("{path}:{line}: `{room}` imports everything of the crate; name the rooms")
            } else if self.arrows.iter().any(|(name, _)| *name == target) {
                let allowed = match allowed.concat() {
                    rooms if rooms.is_empty() => "nothing".to_owned(),
                    rooms => rooms.join(", "),
                };
                format!(
                    "{path}:{line}: the arrow `{room}` -> `{target}` is not drawn; `{room}` may import {allowed}: move what is needed down to one of them, or take it as a trait or a value from the room above"
                )
            } else {
                format!("{path}:{line}: `{room}` imports `{target}`, which is no room; name the room that owns it")
            });
        }
    }
}

/// The names in backticks that a module's doc gives for what it keeps true, and the line of each.
pub(crate) fn promised(text: &str) -> Vec<(usize, &str)> {
    let paragraph = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.starts_with("//! **Invariants**"))
        .take_while(|(_, line)| !matches!(line.trim(), "//!" | ""));
    // Other words in backticks are rooms and types.
    let is_law = |name: &str| name.contains(['_', ' ']) && !name.contains('/');
    let words = paragraph.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |name| (at + 1, name)));
    words.filter(|(_, name)| is_law(name)).collect()
}

/// The room that a source belongs to; none for the crate's root and for other crates.
fn room(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    match inner.split_once('/') {
        Some((room, _)) => Some(room),
        None => inner.strip_suffix(".rs").filter(|name| *name != "lib"),
    }
}

/// How far a source's module is below the crate's root.
fn depth(path: &str) -> usize {
    let modules = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    modules.split('/').count()
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: House<'static> = House {
        arrows: &[("ident", &[]), ("wire", &[&["ident"]]), ("silo", &[&["ident", "wire"]])],
        in_tests: &[&["prelude"]],
        macros: &[],
        with_unsafe: &[("src/wire/fast.rs", "measured")],
        with_inner_attributes: &[],
    };

    fn broken(path: &str, text: &str) -> String {
        HOUSE
            .broken(path, &format!("//! It owns something.\n{text}"))
            .join("\n")
    }

    #[test]
    fn a_drawn_arrow_passes() {
        assert_eq!(
            broken("src/wire/frame.rs", "use crate::{ident::SiloId, wire::Frame};"),
            ""
        );
        assert_eq!(broken("src/lib.rs", "pub use crate::silo::Silo;"), "");
    }

    #[test]
    fn an_arrow_that_is_not_drawn_fails_with_file_line_arrow_and_cure() {
        assert_eq!(
            broken("src/wire/frame.rs", "\nuse crate::silo::Silo;"),
            "src/wire/frame.rs:3: the arrow `wire` -> `silo` is not drawn; `wire` may import ident: move what is needed \
             down to one of them, or take it as a trait or a value from the room above"
        );
        assert!(broken("src/ident/mod.rs", "use super::wire::Frame;").contains("`ident` may import nothing"));
    }

    #[test]
    fn tests_may_import_what_is_listed_for_tests_and_no_more() {
        let code = "#[cfg(test)]\nmod tests { use crate::prelude::*; }";
        assert_eq!(broken("src/wire/frame.rs", code), "");
        assert_eq!(broken("src/wire/tests.rs", "use crate::prelude::*;"), "");
        assert!(broken("src/wire/frame.rs", "use crate::prelude::*;").contains("is no room"));
        assert!(broken("src/wire/tests.rs", "use crate::silo::Silo;").contains("is not drawn"));
    }

    #[test]
    fn a_room_that_is_not_in_the_table_fails() {
        assert!(broken("src/attic/mod.rs", "").contains("the room `attic` is not in the table"));
        assert!(broken("src/attic.rs", "").contains("the room `attic` is not in the table"));
    }

    #[test]
    fn a_glob_of_the_root_fails() {
        assert!(broken("src/wire/frame.rs", "use crate::*;").contains("imports everything"));
    }

    #[test]
    fn what_a_doc_promises_is_read_up_to_the_end_of_its_paragraph() {
        let text = "//! Owns.\n//!\n//! **Invariants** (in `tests/model`): `a_b`, `c d`,\n//! with `wire`: `e_f`.\n//!\n//! `g_h`";
        assert_eq!(promised(text), [(3, "a_b"), (3, "c d"), (4, "e_f")]);
        assert_eq!(promised("//! Owns `a_b`."), []);
    }

    #[test]
    fn a_module_without_doc_fails() {
        let text = HOUSE.broken("src/wire/mod.rs", "use crate::ident;").join("\n");
        assert!(text.starts_with("src/wire/mod.rs:1: there is no module doc"), "{text}");
    }

    #[test]
    fn a_file_over_600_lines_fails() {
        assert_eq!(broken("src/wire/frame.rs", &"\n".repeat(599)), "");
        assert!(broken("src/wire/frame.rs", &"\n".repeat(600)).contains("more than 600 lines"));
    }

    #[test]
    fn unsafe_and_inner_attributes_fail_outside_the_listed_files() {
        assert!(broken("src/wire/frame.rs", "unsafe fn f() {}").contains("frame.rs:2: `unsafe`"));
        assert!(broken("src/wire/frame.rs", "#[allow(unsafe_code)]\nmod x;").contains("`unsafe_code`"));
        assert!(broken("src/wire/frame.rs", "#![allow(dead_code)]").contains("frame.rs:2: `#![...]`"));
        assert_eq!(broken("src/wire/fast.rs", "unsafe fn f() {}"), "");
        assert_eq!(broken("src/wire/frame.rs", "// unsafe #![x]"), "");
    }
}
