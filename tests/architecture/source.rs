//! Reads a Rust source as far as the laws of the house need it: words and signs, without comments and texts.

use std::{iter::Peekable, str::Chars};

/// A word or a sign, and the line it stands in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A path that begins at the root of the crate: `target` is what it names there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) target: String,
    pub(crate) in_test: bool,
}

/// The words and signs of a source; no comments, texts, characters and lifetimes.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader {
        rest: source.chars().peekable(),
        line: 1,
        tokens: Vec::new(),
    };
    while let Some(first) = reader.next() {
        reader.read(first);
    }
    reader.tokens
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.rest.peek() == Some(&wanted)
    }

    fn read(&mut self, first: char) {
        let line = self.line;
        match first {
            '/' if self.next_is('/') => while self.next().is_some_and(|next| next != '\n') {},
            '/' if self.next_is('*') => self.skip_block_comment(),
            '"' => self.skip_text('"'),
            '\'' => self.skip_character_or_lifetime(),
            first if is_word(first) => {
                let mut text = String::from(first);
                while let Some(next) = self.rest.next_if(|next| is_word(*next)) {
                    text.push(next);
                }
                match text.as_str() {
                    "r" | "br" | "cr" if self.next_is('#') || self.next_is('"') => self.skip_raw(),
                    "b" | "c" if self.next_is('"') || self.next_is('\'') => {
                        let quote = self.next().unwrap_or_default();
                        self.skip_text(quote);
                    }
                    _ => self.tokens.push(Token { line, text }),
                }
            }
            first if first.is_whitespace() => {}
            sign => self.tokens.push(Token {
                line,
                text: sign.into(),
            }),
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        let mut last = '/';
        while let Some(next) = self.next() {
            match (last, next) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    last = next;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
            last = ' ';
        }
    }

    fn skip_text(&mut self, end: char) {
        while let Some(next) = self.next() {
            if next == '\\' {
                self.next();
            } else if next == end {
                break;
            }
        }
    }

    fn skip_character_or_lifetime(&mut self) {
        let Some(first) = self.next() else { return };
        if first == '\\' {
            self.next();
            self.skip_text('\'');
        } else if self.next_is('\'') {
            self.next();
        } else {
            while self.rest.next_if(|next| is_word(*next)).is_some() {}
        }
    }

    /// Behind `r`: a raw text, or the name behind `r#`.
    fn skip_raw(&mut self) {
        let mut hashes = 0;
        while self.next_is('#') {
            self.next();
            hashes += 1;
        }
        if !self.next_is('"') {
            return;
        }
        self.next();
        let mut seen = None;
        while let Some(next) = self.next() {
            seen = match (next, seen) {
                ('"', _) => Some(0),
                ('#', Some(seen)) => Some(seen + 1),
                _ => None,
            };
            if seen == Some(hashes) {
                break;
            }
        }
    }
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The paths from the root of the crate: by `crate::`, by the crate's own name `quark::`, and by as many `super::` as
/// lead there from a module `depth` below the root.
pub(crate) fn imports(tokens: &[Token], depth: usize) -> Vec<Import> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let is_path = |at: usize| text(at) == ":" && text(at + 1) == ":";
    let mut imports = Vec::new();
    // One entry per open brace.
    let mut braces = Vec::<Brace>::new();
    // Behind `#[cfg(test)]`, until the item begins or is over.
    let mut is_test_next = false;

    for at in 0..tokens.len() {
        let in_test = is_test_next || braces.iter().any(|brace| brace.is_test);
        // `a::b` continues a path, `::b` begins one.
        let continues = at >= 3 && is_path(at - 2) && text(at - 3).chars().all(is_word);
        let behind = match text(at) {
            "crate" | "quark" if !continues && is_path(at + 1) => at + 3,
            "super" if !continues => {
                let supers = (0..)
                    .take_while(|n| text(at + 3 * n) == "super" && is_path(at + 3 * n + 1))
                    .count();
                if supers == 0 || supers < depth + braces.iter().filter(|brace| brace.is_module).count() {
                    continue;
                }
                at + 3 * supers
            }
            "{" => {
                let is_module = at >= 2 && text(at - 2) == "mod";
                let is_test = std::mem::take(&mut is_test_next);
                braces.push(Brace { is_module, is_test });
                continue;
            }
            "}" => {
                braces.pop();
                continue;
            }
            ";" => {
                is_test_next = false;
                continue;
            }
            "cfg" if (1..=4).map(|n| text(at + n)).eq(["(", "test", ")", "]"]) => {
                is_test_next = true;
                continue;
            }
            _ => continue,
        };
        for target in heads(tokens, behind) {
            imports.push(Import {
                line: target.line,
                target: target.text.clone(),
                in_test,
            });
        }
    }
    imports
}

struct Brace {
    is_module: bool,
    is_test: bool,
}

/// What a path names first at `at`: one name, or those of a group.
fn heads(tokens: &[Token], at: usize) -> Vec<&Token> {
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![first];
    }
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut is_head = false;
    for token in &tokens[at..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if is_head => heads.push(token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        is_head = depth == 1 && matches!(token.text.as_str(), "{" | ",");
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(source: &str, depth: usize) -> Vec<(usize, String, bool)> {
        imports(&tokens(source), depth)
            .into_iter()
            .map(|import| (import.line, import.target, import.in_test))
            .collect()
    }

    fn names(source: &str, depth: usize) -> Vec<String> {
        targets(source, depth)
            .into_iter()
            .map(|(_, target, _)| target)
            .collect()
    }

    #[test]
    fn comments_and_texts_hold_no_imports() {
        let source = r###"
            // use crate::a;
            /* crate::b /* crate::c */ crate::d */
            /// crate::e
            fn f<'crate_>(x: &'crate_ str) -> [char; 3] {
                let _ = ("crate::g \" crate::h", r#"crate::i " crate::j"#, b"crate::k", 'c', '"', '\'');
                crate::found::x()
            }
        "###;
        assert_eq!(names(source, 2), ["found"]);
    }

    #[test]
    fn groups_count_by_their_heads() {
        let source = "use crate::{\n    actor::{Body, Letter},\n    wire::{self, Frame},\n    clock,\n};";
        let expected = [(2, "actor"), (3, "wire"), (4, "clock")].map(|(line, name)| (line, name.into(), false));
        assert_eq!(targets(source, 2), expected);
    }

    #[test]
    fn paths_within_expressions_count() {
        let source = "fn f() { let x = crate::silo::start(); vec![::quark::client::connect()] }";
        assert_eq!(names(source, 2), ["silo", "client"]);
    }

    #[test]
    fn visibility_and_foreign_modules_do_not_count() {
        assert_eq!(
            names("pub(crate) fn f() { other::quark::x(); self::crate_::y() }", 2),
            [""; 0]
        );
    }

    #[test]
    fn supers_that_reach_the_root_count() {
        assert_eq!(names("use super::super::runtime;", 2), ["runtime"]);
        assert_eq!(names("use super::runtime;", 1), ["runtime"]);
        assert_eq!(names("use super::Body;", 2), [""; 0]);
        assert_eq!(names("mod inner { use super::super::Body; }", 2), [""; 0]);
        assert_eq!(
            names("mod inner { use super::super::super::{runtime, silo}; }", 2),
            ["runtime", "silo"]
        );
    }

    #[test]
    fn code_for_tests_is_known_as_such() {
        let source = "use crate::a;\n#[cfg(test)]\nuse crate::b;\n#[cfg(test)]\nmod tests {\n    use crate::c;\n    fn f() {}\n    use crate::d;\n}\nuse crate::e;";
        let expected = [
            (1, "a", false),
            (3, "b", true),
            (6, "c", true),
            (8, "d", true),
            (10, "e", false),
        ]
        .map(|(line, name, in_test)| (line, name.to_owned(), in_test));
        assert_eq!(targets(source, 2), expected);
    }
}
