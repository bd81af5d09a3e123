//! The flights file: reads it whole, and says which line is wrong.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::{collections::HashMap, fs, path::Path, str::FromStr};

/// The columns, in the order of the file.
const COLUMNS: [&str; 15] = [
    "month",
    "day",
    "sched_dep_time",
    "dep_time",
    "dep_delay",
    "sched_arr_time",
    "arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
];

/// All flights of a file, with the names they use.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// In the order of the file.
    pub(crate) flights: Vec<Flight>,
    /// The tail numbers.
    pub(crate) aircraft: Vec<String>,
    /// The codes of the airports.
    pub(crate) airports: Vec<String>,
    /// The codes of the carriers.
    pub(crate) carriers: Vec<String>,
}

/// A scheduled flight; names are places in the lists of [`Flights`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) month: u8,
    pub(crate) day: u8,
    /// Scheduled departure, local, as HHMM.
    pub(crate) time: u16,
    pub(crate) carrier: usize,
    /// `None` where the file has no tail number.
    pub(crate) aircraft: Option<usize>,
    pub(crate) origin: usize,
    pub(crate) destination: usize,
    /// Minutes; `None` if the flight was cancelled.
    pub(crate) departure_delay: Option<i32>,
    /// Minutes; `None` if the flight was cancelled or diverted.
    pub(crate) arrival_delay: Option<i32>,
    /// Minutes; `None` if the flight was cancelled or diverted.
    pub(crate) air_minutes: Option<u32>,
    pub(crate) miles: u32,
}

impl Flight {
    /// Whether it never left.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.departure_delay.is_none()
    }

    /// How many actors it concerns.
    pub(crate) fn messages(&self) -> usize {
        2 + usize::from(self.aircraft.is_some())
    }
}

impl Flights {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not as it should be: its number, column and content.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read the flights file {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("cannot use the flights file {}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            anyhow!("line {line} is not UTF-8 text")
        })?;
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        ensure!(
            header.split(',').eq(COLUMNS),
            "line 1 must name the columns {}; it is {header:?}",
            COLUMNS.join(",")
        );
        let mut reader = Reader::default();
        for (number, line) in lines.enumerate() {
            let flight = reader.flight(line).with_context(|| format!("line {}", number + 2))?;
            reader.flights.push(flight);
        }
        ensure!(!reader.flights.is_empty(), "there is no flight below line 1");
        Ok(Self {
            flights: reader.flights,
            aircraft: reader.aircraft.names,
            airports: reader.airports.names,
            carriers: reader.carriers.names,
        })
    }

    /// How many messages all flights make.
    pub(crate) fn messages(&self) -> usize {
        self.flights.iter().map(Flight::messages).sum()
    }
}

#[derive(Default)]
struct Reader {
    flights: Vec<Flight>,
    aircraft: Names,
    airports: Names,
    carriers: Names,
}

#[derive(Default)]
struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }
}

impl Reader {
    fn flight(&mut self, line: &str) -> Result<Flight> {
        let fields: Vec<&str> = line.split(',').collect();
        ensure!(
            fields.len() == COLUMNS.len(),
            "{} fields instead of {}: {line:?}",
            fields.len(),
            COLUMNS.len()
        );
        let field = |column: &'static str| {
            let place = COLUMNS.iter().position(|name| *name == column);
            fields[place.expect("invariant: only columns are asked for")]
        };
        for column in ["dep_time", "sched_arr_time", "arr_time"] {
            optional(column, field(column), time)?;
        }
        whole::<u32>("flight", field("flight"))?;
        let departure_delay = optional("dep_delay", field("dep_delay"), whole)?;
        let arrival_delay = optional("arr_delay", field("arr_delay"), whole)?;
        ensure!(
            field("dep_time").is_empty() == departure_delay.is_none(),
            "dep_time and dep_delay must both be given, or none of them: {line:?}"
        );
        ensure!(
            arrival_delay.is_none() || departure_delay.is_some(),
            "arr_delay is given for a flight that never left: {line:?}"
        );
        Ok(Flight {
            month: within("month", field("month"), 1..=12)?,
            day: within("day", field("day"), 1..=31)?,
            time: time("sched_dep_time", field("sched_dep_time"))?,
            carrier: self.carriers.place(name("carrier", field("carrier"))?),
            aircraft: match field("tailnum") {
                "" => None,
                tail => Some(self.aircraft.place(name("tailnum", tail)?)),
            },
            origin: self.airports.place(name("origin", field("origin"))?),
            destination: self.airports.place(name("dest", field("dest"))?),
            departure_delay,
            arrival_delay,
            air_minutes: optional("air_time", field("air_time"), whole)?,
            miles: whole("distance", field("distance"))?,
        })
    }
}

fn whole<T: FromStr>(column: &str, text: &str) -> Result<T> {
    (text.parse()).map_err(|_| anyhow!("{column} must be a whole number in range; it is {text:?}"))
}

fn within(column: &str, text: &str, range: std::ops::RangeInclusive<u8>) -> Result<u8> {
    let number = whole(column, text)?;
    ensure!(
        range.contains(&number),
        "{column} must be {} to {}; it is {number}",
        range.start(),
        range.end()
    );
    Ok(number)
}

fn time(column: &str, text: &str) -> Result<u16> {
    let time: u16 = whole(column, text)?;
    ensure!(
        time <= 2400 && time % 100 < 60,
        "{column} must be a time of day as HHMM; it is {text:?}"
    );
    Ok(time)
}

fn optional<T>(column: &str, text: &str, read: impl Fn(&str, &str) -> Result<T>) -> Result<Option<T>> {
    (!text.is_empty()).then(|| read(column, text)).transpose()
}

fn name<'a>(column: &str, text: &'a str) -> Result<&'a str> {
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("{column} must be 1 to 16 letters and digits; it is {text:?}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "1,1,515,517,2,819,830,11,UA,1545,N14228,EWR,IAH,227,1400";

    fn parse(lines: &[&str]) -> Result<Flights> {
        Flights::parse(format!("{}\n{}\n", COLUMNS.join(","), lines.join("\n")).as_bytes())
    }

    fn refusal(lines: &[&str]) -> String {
        format!("{:#}", parse(lines).expect_err("must be refused"))
    }

    #[test]
    fn a_flight_is_read_as_it_stands() {
        let flights = parse(&[GOOD, "1,2,600,,,901,,,B6,125,,JFK,EWR,,1069"]).expect("good");
        assert_eq!(flights.aircraft, ["N14228"]);
        assert_eq!(flights.airports, ["EWR", "IAH", "JFK"]);
        let [flown, cancelled] = &flights.flights[..] else {
            panic!("two flights")
        };
        assert_eq!((flown.departure_delay, flown.arrival_delay), (Some(2), Some(11)));
        assert_eq!((flown.origin, flown.destination, flown.miles), (0, 1, 1400));
        assert_eq!((flown.time, flown.air_minutes), (515, Some(227)));
        assert!(cancelled.is_cancelled() && cancelled.aircraft.is_none());
        assert_eq!((cancelled.origin, cancelled.destination, cancelled.day), (2, 0, 2));
        assert_eq!(flights.messages(), 5);
    }

    #[test]
    fn the_wrong_line_column_and_content_are_named() {
        for (bad, parts) in [
            ("1,1,515", &["line 3", "3 fields instead of 15"][..]),
            (&GOOD.replace(",227,", ",x,"), &["line 3", "air_time", "\"x\""]),
            (&GOOD.replacen("1,1,", "13,1,", 1), &["line 3", "month", "13"]),
            (
                &GOOD.replace(",515,", ",561,"),
                &["line 3", "sched_dep_time", "\"561\""],
            ),
            (&GOOD.replace("EWR", ""), &["line 3", "origin"]),
            (&GOOD.replace("N14228", "N\"1"), &["line 3", "tailnum"]),
            (&GOOD.replace(",517,", ",,"), &["line 3", "dep_time and dep_delay"]),
            (&GOOD.replace(",1400", ",-1"), &["line 3", "distance", "\"-1\""]),
            ("", &["line 3", "1 fields"]),
        ] {
            let text = refusal(&[GOOD, bad]);
            for part in parts {
                assert!(text.contains(part), "{text:?} does not say {part:?}");
            }
        }
    }

    #[test]
    fn what_is_no_flights_file_is_refused() {
        let text = |bytes: &[u8]| format!("{:#}", Flights::parse(bytes).expect_err("must be refused"));
        assert!(text(b"").contains("line 1"));
        assert!(text(b"a,b\n1,2\n").contains("line 1"));
        assert!(refusal(&[]).contains("line"));
        let mut broken = format!("{}\n{GOOD}\n", COLUMNS.join(",")).into_bytes();
        broken.extend_from_slice(b"1,1,\xff");
        assert!(text(&broken).contains("line 3 is not UTF-8"));
        assert!(text(format!("{}\n", COLUMNS.join(",")).as_bytes()).contains("no flight"));
    }

    #[test]
    fn the_month_that_comes_with_the_example_is_whole() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");
        let flights = Flights::read(Path::new(path)).expect("readable");
        assert_eq!(flights.flights.len(), 27_004);
        assert_eq!(
            (flights.aircraft.len(), flights.airports.len(), flights.carriers.len()),
            (3148, 97, 16)
        );
        assert_eq!(flights.messages(), 3 * 27_004 - 155);
        assert_eq!(
            flights.flights.iter().filter(|flight| flight.is_cancelled()).count(),
            521
        );
    }
}
