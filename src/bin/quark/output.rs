//! What people and programs read: tables and JSON.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// How to print
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Output {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

impl Output {
    /// Prints a value: as JSON if that is wanted, else as people read it.
    pub(crate) fn print<T: Serialize>(self, value: &T, people: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json {
            serde_json::to_string_pretty(value)?
        } else {
            people()
        };
        match writeln!(io::stdout(), "{}", text.trim_end()) {
            // Whoever read has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// A table with a line of heads and a row for each thing; columns whose head ends with `#` hold numbers.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(heads.map(|head| head.trim_end_matches('#').to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for (at, head) in heads.iter().enumerate() {
        if let Some(column) = table.column_mut(at) {
            column.set_padding((if at == 0 { 0 } else { 2 }, 0));
            if head.ends_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// A word in a colour, where somebody looks at a terminal that has not asked for none.
pub(crate) fn coloured(word: &str, colour: Colour) -> String {
    let plain = !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain {
        word.to_owned()
    } else {
        format!("\x1b[{}m{word}\x1b[0m", colour as u8)
    }
}

/// A bar on a terminal, in place of the last one: so much of so much, and a text. Nothing where nobody looks.
pub(crate) fn bar(done: usize, of: usize, text: &str) {
    const WIDTH: usize = 40;
    if !io::stdout().is_terminal() {
        return;
    }
    let share = (done * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    let bar = format!("{}{}", "#".repeat(share), ".".repeat(WIDTH - share));
    print!("\r\x1b[K[{bar}] {text}");
    // A terminal that cannot be written to shows no bar.
    let _unseen = io::stdout().flush();
}

/// Takes the bar away.
pub(crate) fn clear_line() {
    if io::stdout().is_terminal() {
        print!("\r\x1b[K");
    }
}

/// What a word says at a glance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    /// Bad.
    Red = 31,
    /// Good.
    Green = 32,
    /// Neither yet.
    Yellow = 33,
}

/// A number of bytes as people read it.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{}.{} KiB", count / 1_024, count % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}
