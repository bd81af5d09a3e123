//! Calls of scripts, sent together with all others of the same moment.
//!
//! A batch is a script for each of its partitions, and what a command costs on this side (a place in a queue, a timer, a wake) is more
//! than what its script costs there.

use deadpool_redis::redis::{
    self, Arg, Cmd, Pipeline, RedisError, RedisResult, ToRedisArgs, Value, aio::ConnectionManager, cmd,
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::{mem, sync::Arc};
use tokio::{sync::oneshot, task};

/// The most commands of a pipeline, and the most bytes of it beside its first command.
const MAX_COMMANDS: usize = 64;
const MAX_BYTES: usize = 256 << 10;

/// A script, known by its hash.
pub(super) struct Script(redis::Script);

impl Script {
    pub(super) fn new(code: &str) -> Self {
        Self(redis::Script::new(code))
    }

    /// A call with a first key.
    pub(super) fn key(&'static self, key: impl ToRedisArgs) -> Call {
        let mut call = self.call();
        call.key(key);
        call
    }

    /// A call without keys so far.
    pub(super) fn call(&'static self) -> Call {
        Call {
            script: self,
            keys: Cmd::new(),
            args: Cmd::new(),
        }
    }

    /// Makes the server know it.
    pub(super) async fn load(&self, connection: &mut impl redis::aio::ConnectionLike) -> RedisResult<()> {
        self.0.load_async(connection).await.map(|_| ())
    }
}

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static Script,
    /// No commands, but what keeps words without a piece of memory for each.
    keys: Cmd,
    args: Cmd,
}

impl Call {
    pub(super) fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        self.keys.arg(key);
        self
    }

    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.args.arg(arg);
        self
    }

    pub(super) fn script(&self) -> &'static Script {
        self.script
    }

    /// The command that it is.
    pub(super) fn command(&self) -> Cmd {
        let words = |words: &Cmd| words.args_iter().len();
        let mut command = cmd("EVALSHA");
        command.arg(self.script.0.get_hash()).arg(words(&self.keys));
        for word in self.keys.args_iter().chain(self.args.args_iter()) {
            if let Arg::Simple(word) = word {
                command.arg(word);
            }
        }
        command
    }
}

/// What became of a call, and on which connection.
pub(super) type Answer = (u64, RedisResult<Value>);

/// Commands that wait to be sent, and who waits for their answers.
type Waiting = Vec<(Cmd, oneshot::Sender<Answer>)>;

/// The calls of this moment.
#[derive(Default)]
pub(super) struct Line {
    waiting: Mutex<Waiting>,
}

impl Line {
    /// Adds a call. Answers also whether it is the first: then somebody has to [send](Self::send) all of them.
    pub(super) fn add(&self, call: Cmd) -> (oneshot::Receiver<Answer>, bool) {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        waiting.push((call, tell));
        (told, waiting.len() == 1)
    }

    /// Sends what has come by the time that all who were about to add something have.
    pub(super) async fn send(self: Arc<Self>, number: u64, connection: ConnectionManager) {
        task::yield_now().await;
        let mut waiting = mem::take(&mut *self.waiting.lock());
        let mut parts = Vec::new();
        while !waiting.is_empty() {
            let rest = waiting.split_off(share(&waiting));
            parts.push(send_together(
                mem::replace(&mut waiting, rest),
                number,
                connection.clone(),
            ));
        }
        join_all(parts).await;
    }
}

/// How many of these, from the first on, go into one pipeline.
fn share(waiting: &Waiting) -> usize {
    let (mut count, mut bytes) = (1, 0);
    for (command, _) in waiting.iter().skip(1).take(MAX_COMMANDS - 1) {
        bytes += size(command);
        if bytes > MAX_BYTES {
            break;
        }
        count += 1;
    }
    count
}

fn size(command: &Cmd) -> usize {
    let word = |word| match word {
        Arg::Simple(word) => <[u8]>::len(word),
        _ => 0,
    };
    command.args_iter().map(word).sum()
}

async fn send_together(waiting: Waiting, number: u64, mut connection: ConnectionManager) {
    let mut pipeline = Pipeline::with_capacity(waiting.len());
    pipeline.ignore_errors();
    let mut tell = Vec::with_capacity(waiting.len());
    for (command, who) in waiting {
        pipeline.add_command(command);
        tell.push(who);
    }
    let answers: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut connection).await;
    let answers = answers.unwrap_or_else(|error: RedisError| vec![Err(error); tell.len()]);
    for (tell, answer) in tell.into_iter().zip(answers) {
        // Who does not wait any more has been told that it is not known.
        let _gone = tell.send((number, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(sizes: &[usize]) -> Waiting {
        let command = |size: &usize| {
            let mut command = cmd("SET");
            command.arg(vec![0_u8; *size]);
            (command, oneshot::channel().0)
        };
        sizes.iter().map(command).collect()
    }

    #[test]
    fn a_pipeline_takes_no_more_than_its_share() {
        assert_eq!(share(&waiting(&[1; 100])), MAX_COMMANDS);
        assert_eq!(share(&waiting(&[1; 3])), 3);
        // One that is too large for others to wait behind goes with those before it, or alone.
        assert_eq!(share(&waiting(&[1, MAX_BYTES / 2, MAX_BYTES, 1])), 2);
        assert_eq!(share(&waiting(&[2 * MAX_BYTES, MAX_BYTES, 1])), 1);
    }

    #[test]
    fn of_the_calls_of_a_moment_the_first_has_them_sent() {
        let line = Line::default();
        let first = |line: &Line| line.add(cmd("PING")).1;
        assert_eq!([first(&line), first(&line), first(&line)], [true, false, false]);
        line.waiting.lock().clear();
        assert!(first(&line));
    }

    #[test]
    fn a_call_is_its_script_its_keys_and_its_arguments() {
        static SCRIPT: std::sync::LazyLock<Script> = std::sync::LazyLock::new(|| Script::new("return 1"));
        let mut call = SCRIPT.key("a");
        call.arg("x").arg(7);
        call.key("b");
        let words: Vec<_> = call
            .command()
            .args_iter()
            .map(|word| match word {
                Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
                _ => String::new(),
            })
            .collect();
        let hash = SCRIPT.0.get_hash();
        assert_eq!(words, ["EVALSHA", hash, "2", "a", "b", "x", "7"]);
    }
}
