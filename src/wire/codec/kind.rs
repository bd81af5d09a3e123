//! The numbers of the kinds of frames. A number is never given to another kind.

macro_rules! kinds {
    ($($name:ident = $number:literal $text:literal)*) => {
        $(pub(super) const $name: u8 = $number;)*

        /// What people call a kind.
        pub(in crate::wire) fn name(kind: u8) -> &'static str {
            match kind {
                $($name => $text,)*
                _ => "unknown",
            }
        }

        /// Whether this version knows the kind.
        pub(super) fn is_known(kind: u8) -> bool {
            matches!(kind, $($number)|*)
        }

        #[cfg(test)]
        pub(super) const ALL: &[u8] = &[$($number),*];
    };
}

kinds! {
    CALL = 1 "Call"
    FENCE = 2 "Fence"
    ENTER = 3 "Enter"
    LOOKUP = 4 "Lookup"
    QUERY = 5 "Query"
    PING = 6 "Ping"
    MARK = 7 "Mark"

    REPLY = 16 "Reply"
    BOUNCE = 17 "Bounce"
    FENCED = 18 "Fenced"
    NOT_HERE = 19 "NotHere"
    MOVED = 20 "Moved"
    LOCATED = 21 "Located"
    ANSWER = 22 "Answer"
    PONG = 23 "Pong"
    VIEW = 24 "View"
    HANDLED = 25 "Handled"

    OFFER = 32 "Offer"
    PACKAGE = 33 "Package"
    GO = 34 "Go"
    FORWARD = 35 "Forward"
    CLOSED = 36 "Closed"
    PART = 37 "Part"

    OFFER_ANSWER = 48 "OfferAnswer"
    REFUSED = 49 "Refused"
    COMMITTED = 50 "Committed"
    RESTED = 51 "Rested"
    RETURNED = 52 "Returned"
    LOST = 53 "Lost"
    ASK_CLOSED = 54 "AskClosed"
    PART_TAKEN = 55 "PartTaken"

    LEAVING = 64 "Leaving"
    LEAVING_ACK = 65 "LeavingAck"
    FLUSHED = 66 "Flushed"

    PIECE = 80 "Piece"
}

/// Whether frames of the kind may come between the parts of another.
pub(super) fn is_aside(kind: u8) -> bool {
    matches!(kind, QUERY | ANSWER | PING | PONG)
}
