//! Messages of the flights application.
