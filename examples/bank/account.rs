//! The accounts: what they take, and how money goes from one to the other.

use quark::prelude::*;

/// Opens the account with so much in it.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "account.open", reply = u64, idempotent)]
pub(crate) struct Open(pub(crate) u64);

/// Takes money out of this account and pays it into another. Answers what is left, or that there is not enough.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "account.transfer", reply = Result<u64, NotEnough>, idempotent)]
pub(crate) struct Transfer {
    pub(crate) to: String,
    pub(crate) amount: u64,
}

/// There is less in the account.
#[derive(Debug, Serialize, Deserialize, Shape)]
pub(crate) struct NotEnough {
    pub(crate) balance: u64,
}

/// Pays money in.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "account.pay_in")]
pub(crate) struct PayIn(u64);

/// Answers what is in the account.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "account.balance", reply = u64)]
pub(crate) struct Balance;

/// An account.
#[derive(Default, Serialize, Deserialize, State)]
#[state(schema = "account.1")]
pub(crate) struct Account {
    balance: u64,
}

#[actor(kind = "account", messages(Open, Transfer, PayIn, Balance))]
impl Actor for Account {}

impl Handler<Open> for Account {
    async fn handle(&mut self, Open(balance): Open, _: &mut Context<Self>) -> u64 {
        self.balance = balance;
        self.balance
    }
}

impl Handler<Transfer> for Account {
    async fn handle(&mut self, transfer: Transfer, ctx: &mut Context<Self>) -> Result<u64, NotEnough> {
        let balance = self.balance;
        let left = balance.checked_sub(transfer.amount).ok_or(NotEnough { balance })?;
        let to = ctx.actor::<Self>(&transfer.to);
        // Leaves when the new balance is saved, in the same step: at the end of this turn, before it is answered.
        ctx.post(&to, &PayIn(transfer.amount))
            .map_err(|_| NotEnough { balance })?;
        self.balance = left;
        Ok(left)
    }
}

impl Handler<PayIn> for Account {
    async fn handle(&mut self, PayIn(amount): PayIn, _: &mut Context<Self>) {
        self.balance += amount;
    }
}

impl Handler<Balance> for Account {
    async fn handle(&mut self, _: Balance, _: &mut Context<Self>) -> u64 {
        self.balance
    }
}
