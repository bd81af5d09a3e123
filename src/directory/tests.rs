//! The laws of ways, by their steps.
