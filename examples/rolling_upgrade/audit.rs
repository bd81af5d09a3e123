//! The audit: asks every actor what it has run, and compares with what was sent and with a plain loop over the flights.

use crate::{
    expectation::Expectation,
    flights::Flights,
    sender::Sent,
    tally::{ByCarrier, Tally},
};
use flights_messages::{Aircraft, Airport, AuditAircraft, AuditAirport, Book, CarrierDelays};
use futures_util::{StreamExt, stream};
use quark::{client::Client, prelude::CallError};

/// How many actors are asked at once.
const AT_ONCE: usize = 64;

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Actors that were asked.
    pub(crate) actors: u64,
    /// Messages that were sent and did not run.
    pub(crate) lost: u64,
    /// Messages that ran again.
    pub(crate) duplicated: u64,
    /// Messages that ran after a later one of their sender.
    pub(crate) reordered: u64,
    /// Actors whose totals are not what they must be.
    pub(crate) wrong_totals: u64,
}

/// What the audit compares with.
pub(crate) struct Evidence<'a> {
    pub(crate) flights: &'a Flights,
    pub(crate) expected: &'a Expectation,
    /// What each sender sent.
    pub(crate) sent: &'a [Sent],
    /// What was answered by airports of version 2.
    pub(crate) carriers: &'a ByCarrier,
}

/// What an actor says, and what was sent to it.
struct Account {
    /// Whether its totals are what they must be.
    is_right: bool,
    book: Book,
    /// By sender.
    sent: Vec<(u16, u64)>,
}

/// Asks all actors.
pub(crate) async fn audit(client: &Client, evidence: &Evidence<'_>, tally: &Tally) -> Findings {
    let mut findings = Findings::default();
    let aircraft = stream::iter(evidence.flights.aircraft.iter().enumerate()).map(async |(place, tail)| {
        let account = client.actor::<Aircraft>(tail).ask(AuditAircraft).await?;
        let is_right = account.totals == evidence.expected.aircraft[place];
        Ok(Account {
            is_right,
            book: account.book,
            sent: sent(evidence, |sent| sent.aircraft[place]),
        })
    });
    let mut audited = aircraft.buffer_unordered(AT_ONCE);
    while let Some(account) = audited.next().await {
        findings.note(account, tally);
    }
    let airports = stream::iter(evidence.flights.airports.iter().enumerate()).map(async |(place, code)| {
        let airport = client.actor::<Airport>(code);
        let account = airport.ask(AuditAirport).await?;
        let carriers = airport.ask(CarrierDelays).await?;
        let is_right = account.totals == evidence.expected.airports[place]
            && carriers == evidence.carriers.get(code).cloned().unwrap_or_default();
        Ok(Account {
            is_right,
            book: account.book,
            sent: sent(evidence, |sent| sent.airports[place]),
        })
    });
    let mut audited = airports.buffer_unordered(AT_ONCE);
    while let Some(account) = audited.next().await {
        findings.note(account, tally);
    }
    findings
}

/// What all senders sent to an actor.
fn sent(evidence: &Evidence<'_>, to: impl Fn(&Sent) -> u64) -> Vec<(u16, u64)> {
    evidence.sent.iter().map(|sent| (sent.sender, to(sent))).collect()
}

impl Findings {
    fn note(&mut self, account: Result<Account, CallError>, tally: &Tally) {
        self.actors += 1;
        match account {
            Ok(account) => {
                self.wrong_totals += u64::from(!account.is_right);
                self.compare(&account);
            }
            Err(error) => {
                tally.failed(&error);
                self.wrong_totals += 1;
            }
        }
    }

    fn compare(&mut self, account: &Account) {
        for &(sender, sent) in &account.sent {
            let ran = account.book.line(sender).map_or(0, flights_messages::Line::ran);
            self.lost += sent.saturating_sub(ran);
            // More than was ever sent can only be something that ran under another name.
            self.duplicated += ran.saturating_sub(sent);
        }
        for (_, line) in account.book.lines() {
            self.duplicated += line.repeated;
            self.reordered += line.late;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flights_messages::Stamp;

    fn findings(numbers: &[u64], sent: u64) -> Findings {
        let mut book = Book::default();
        for &number in numbers {
            book.enter(Stamp { sender: 1, number });
        }
        let account = Account {
            is_right: true,
            book,
            sent: vec![(1, sent), (2, 0)],
        };
        let mut findings = Findings::default();
        findings.note(Ok(account), &Tally::default());
        findings
    }

    #[test]
    fn what_ran_as_it_was_sent_is_clean() {
        let clean = Findings {
            actors: 1,
            ..Findings::default()
        };
        assert_eq!(findings(&[1, 2, 3], 3), clean);
        assert_eq!(findings(&[], 0), clean);
    }

    #[test]
    fn each_fault_is_counted_under_its_name() {
        assert_eq!(findings(&[1, 3], 5).lost, 3);
        assert_eq!(findings(&[1, 2, 2], 2).duplicated, 1);
        assert_eq!(findings(&[2, 1], 2).reordered, 1);
        assert_eq!(findings(&[1, 2], 1).duplicated, 1);
    }
}
