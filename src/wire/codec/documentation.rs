//! Holds the tables of docs/wire-format.md against the code.

use super::{header::Header, kind};
use crate::wire::{FailureCode, Limits, MAX_DEPTH, handshake};

const PAGE: &str = include_str!("../../../docs/wire-format.md");

/// The rows of the table whose first row of cells begins as given.
fn table(first_cells: &[&str]) -> Vec<Vec<&'static str>> {
    let cells =
        |line: &'static str| -> Vec<&'static str> { line.trim_matches('|').split('|').map(str::trim).collect() };
    let rows: Vec<_> = (PAGE.lines())
        .skip_while(|line| !line.starts_with('|') || !cells(line).starts_with(first_cells))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "there is no table {first_cells:?}");
    rows
}

fn number<T: std::str::FromStr>(cell: &str) -> T {
    cell.parse().unwrap_or_else(|_| panic!("{cell:?} is no number"))
}

#[test]
fn the_page_lists_every_kind_of_frame_by_its_number_and_name() {
    let listed: Vec<(u8, &str)> = (table(&["kind", "name"]).iter())
        .map(|row| (number(row[0]), row[1]))
        .collect();
    let known: Vec<_> = kind::ALL.iter().map(|number| (*number, kind::name(*number))).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_page_gives_the_header_as_it_is_written() {
    let header = Header {
        kind: 0x11,
        flags: 0x22,
        layout: 0x3333,
        head: 0x4444_4444,
        number: 0x5555_5555_5555_5555,
        epoch: 0x6666_6666_6666_6666,
    };
    let bytes = header.to_bytes(0x7777_7777 + 4);
    let marks = [
        ("u32 length", 0x77),
        ("u8 kind", 0x11),
        ("u8 flags", 0x22),
        ("u16 layout", 0x33),
        ("u32 head length", 0x44),
        ("u64 number", 0x55),
        ("u64 epoch", 0x66),
    ];
    let rows = table(&["bytes", "field", ""]);
    for (row, (field, mark)) in rows.iter().zip(marks) {
        let (first, last) = row[0].split_once('-').unwrap_or((row[0], row[0]));
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == mark).collect();
        let given: Vec<usize> = (number(first)..=number(last)).collect();
        assert_eq!((row[1], given), (field, places));
    }
    assert_eq!(rows[marks.len()][0], format!("{}-", Header::BYTES));
    assert!(PAGE.contains(&format!("The header has {} bytes.", Header::BYTES)));
}

/// All codes; a new one does not compile until it is added here.
fn codes() -> [FailureCode; 16] {
    use FailureCode as Code;
    match Code::TimedOut {
        Code::TimedOut
        | Code::Panicked
        | Code::ActivationFailed
        | Code::NotHosted
        | Code::UnknownMessage
        | Code::Unreadable
        | Code::Cycle
        | Code::Unknown
        | Code::ShuttingDown
        | Code::StoreUnavailable
        | Code::BadReply
        | Code::BadQuery
        | Code::Full
        | Code::Discarded
        | Code::BadName
        | Code::TooLarge => [
            Code::TimedOut,
            Code::Panicked,
            Code::ActivationFailed,
            Code::NotHosted,
            Code::UnknownMessage,
            Code::Unreadable,
            Code::Cycle,
            Code::Unknown,
            Code::ShuttingDown,
            Code::StoreUnavailable,
            Code::BadReply,
            Code::BadQuery,
            Code::Full,
            Code::Discarded,
            Code::BadName,
            Code::TooLarge,
        ],
    }
}

#[test]
fn the_page_lists_every_code_by_its_number_and_name() {
    let listed: Vec<(u16, String)> = (table(&["code", "name"]).iter())
        .map(|row| (number(row[0]), row[1].to_owned()))
        .collect();
    assert_eq!(listed, codes().map(|code| (code as u16, format!("{code:?}"))));
}

#[test]
fn the_page_gives_the_limits_that_hold() {
    let listed: Vec<usize> = table(&["what", "most"]).iter().map(|row| number(row[1])).collect();
    let limits = Limits::default();
    let known = [
        limits.max_frame_bytes,
        limits.max_package_bytes,
        limits.max_frame_bytes - Limits::CALL_MARGIN,
        limits.max_chain,
        Limits::MAX_NAME_BYTES,
        MAX_DEPTH,
        handshake::MAX_MESSAGE_BYTES,
    ];
    assert_eq!(listed, known);
}

#[test]
fn the_page_gives_the_prefix_of_the_handshake() {
    use handshake::{Prefix, Step};
    let rows = table(&["bytes", "field"]);
    assert_eq!(rows[0], ["0-4", "`QUARK`"]);
    assert_eq!((rows[1][0], rows[2][0]), ("5", "6-7"));
    for (number, step) in [
        (1, Step::Hello),
        (2, Step::Challenge),
        (3, Step::Proof),
        (4, Step::Welcome),
        (5, Step::Reject),
    ] {
        let mut prefix = *b"QUARK\0\x02\x01";
        prefix[5] = number;
        assert_eq!(Prefix::from_bytes(prefix), Prefix::Message(Some(step), 0x0102));
        assert!(
            PAGE.contains(&format!("({number}) {step:?}")) || PAGE.contains(&format!("{step:?} ")),
            "{step:?}"
        );
    }
}
