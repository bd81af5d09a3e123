//! The peers: each framework as its users write it, with as little as its actors need.

mod actix;
mod channel;
mod kameo;
mod limit;
mod quark;
mod ractor;
mod xtra;

pub(crate) use self::{
    actix::Actix, channel::Channel, kameo::Kameo, limit::Limit, quark::Quark, quark::Spinning, ractor::Ractor,
    xtra::Xtra,
};
