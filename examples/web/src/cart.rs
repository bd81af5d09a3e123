//! The actor: one cart for each customer, saved with every change.

use quark::prelude::*;
use std::collections::BTreeMap;

/// What is in a cart: pieces by article.
pub type Lines = BTreeMap<String, u32>;

/// A customer's cart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cart {
    lines: Lines,
}

/// Puts pieces of an article into the cart.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "cart.add", reply = Result<Lines, String>)]
pub struct Add {
    /// Which article.
    pub sku: String,
    /// How many pieces.
    pub quantity: u32,
}

/// What is in the cart.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "cart.show", reply = Lines)]
pub struct Show;

#[actor(kind = "cart", messages(Add, Show))]
impl Actor for Cart {}

impl Handler<Add> for Cart {
    async fn handle(&mut self, add: Add, ctx: &mut Context<Self>) -> Result<Lines, String> {
        let pieces = self.lines.entry(add.sku).or_default();
        *pieces = pieces.saturating_add(add.quantity);
        ctx.save(self).await.map_err(|error| error.to_string())?;
        Ok(self.lines.clone())
    }
}

impl Handler<Show> for Cart {
    async fn handle(&mut self, _: Show, _: &mut Context<Self>) -> Lines {
        self.lines.clone()
    }
}
