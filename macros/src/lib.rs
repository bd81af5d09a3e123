//! The macros of Quark.
