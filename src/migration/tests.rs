//! The laws of seats, by their commands.
