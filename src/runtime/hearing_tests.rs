//! What an actor takes of streams, turn by turn.

use super::fixture::{Given, Read, ask, bench, tell, value};
use crate::{
    actor::{HEARD, Heard},
    ident::{ActorId, Epoch},
    mailbox::{Body, Chain, Letter, ReplyTo},
    runtime::Activation,
    wire::{self, FailureCode, Ran},
};

fn given(by: u64, book: u64) -> Given {
    Given { by: Epoch(by), book }
}

/// The activation that gives events without a word on each, as those of this process do.
fn announce(to: &Activation, epoch: u64) {
    let heard = Heard {
        stream: ActorId::new("stream", "s").expect("can be used"),
        epoch: Epoch(epoch),
    };
    let letter = Letter {
        body: Body::Encoded {
            name: HEARD.into(),
            bytes: wire::encode(&heard).expect("encodes"),
        },
        reply: ReplyTo::Nobody,
        deadline: None,
        chain: Chain::NONE,
    };
    assert!(to.mailbox().push(letter).is_ok(), "there is room");
}

#[tokio::test]
async fn an_event_of_an_activation_that_was_succeeded_does_not_run() {
    bench(async |bench| {
        let actor = bench.actor("a");
        tell(&actor, given(4, 1));
        tell(&actor, given(5, 2));
        let late = ask(&actor, given(4, 3));
        tell(&actor, given(5, 4));
        announce(&actor, 6);
        let later = ask(&actor, given(5, 5));
        tell(&actor, given(6, 6));
        assert_eq!(value(ask(&actor, Read).await), [1, 2, 4, 6]);
        for late in [late, later] {
            let Some(Err(failure)) = late.await else {
                panic!("it ran");
            };
            assert_eq!((failure.code, failure.ran), (FailureCode::Discarded as u16, Ran::No));
        }
    })
    .await;
}
