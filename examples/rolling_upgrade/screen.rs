//! Where the display goes: a block of lines that is redrawn in place on a terminal, plain lines elsewhere.

use rustix::termios::tcgetwinsize;
use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// Standard output or standard error.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    /// Columns and rows, when something can be redrawn.
    size: Option<(usize, usize)>,
    has_colour: bool,
    drawn: usize,
}

impl Screen {
    /// Standard output, unless it is taken for something else.
    pub(crate) fn new(is_stdout_taken: bool) -> Self {
        let (out, is_terminal, size): (Box<dyn Write + Send>, _, _) = if is_stdout_taken {
            (
                Box::new(io::stderr()),
                io::stderr().is_terminal(),
                tcgetwinsize(io::stderr()),
            )
        } else {
            (
                Box::new(io::stdout()),
                io::stdout().is_terminal(),
                tcgetwinsize(io::stdout()),
            )
        };
        let known = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let size = known.map_or((100, 30), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let is_terminal = is_terminal && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            out,
            size: is_terminal.then_some(size),
            has_colour: is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            drawn: 0,
        }
    }

    /// Whether blocks can be redrawn.
    pub(crate) fn is_terminal(&self) -> bool {
        self.size.is_some()
    }

    /// Draws a block over the last one.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        let Some((columns, rows)) = self.size else { return };
        let lines = &lines[..lines.len().min(rows.saturating_sub(1))];
        let mut block = String::new();
        if self.drawn > 0 {
            block.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in lines {
            block.push_str(&self.fitted(line, columns));
            block.push_str("\x1b[0m\x1b[K\n");
        }
        block.push_str("\x1b[J");
        self.drawn = lines.len();
        self.write(&block);
    }

    /// Writes a line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        self.drawn = 0;
        let line = self.fitted(text, usize::MAX);
        self.write(&format!("{line}\n"));
    }

    /// Nobody may be looking any more, which is no reason to stop.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// The text in so many columns, with the colours that can be shown.
    fn fitted(&self, text: &str, columns: usize) -> String {
        let mut fitted = String::with_capacity(text.len());
        let (mut shown, mut is_code) = (0, false);
        for char in text.chars() {
            is_code |= char == '\x1b';
            if is_code {
                if self.has_colour {
                    fitted.push(char);
                }
                is_code = char != 'm';
            } else if shown < columns {
                fitted.push(char);
                shown += 1;
            }
        }
        fitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn screen(size: Option<(usize, usize)>) -> (Screen, Shared) {
        let shared = Shared::default();
        let screen = Screen {
            out: Box::new(shared.clone()),
            size,
            has_colour: size.is_some(),
            drawn: 0,
        };
        (screen, shared)
    }

    #[test]
    fn a_block_is_drawn_over_the_last_and_cut_to_the_terminal() {
        let (mut screen, shared) = screen(Some((4, 3)));
        screen.draw(&["one".into(), "\x1b[1mlonger\x1b[0m".into(), "cut".into()]);
        screen.draw(&["two".into()]);
        let shown = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            shown,
            "one\x1b[0m\x1b[K\n\x1b[1mlong\x1b[0m\x1b[0m\x1b[K\n\x1b[J\x1b[2Atwo\x1b[0m\x1b[K\n\x1b[J"
        );
    }

    #[test]
    fn elsewhere_lines_are_plain() {
        let (mut screen, shared) = screen(None);
        screen.draw(&["a block".into()]);
        screen.line("\x1b[32mgood\x1b[0m");
        assert_eq!(*shared.0.lock().unwrap(), b"good\n");
    }
}
