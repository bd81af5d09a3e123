//! The Lua of every check-and-set.
//!
//! All keys are given, and have one slot. Numbers are compared as text and counted digit by digit: Lua's lose what is
//! beyond 53 bits. An answer is an array per item, or a string of its words; the first says how it ended.

use super::calls::Script;
use std::sync::LazyLock;

/// The text of a script after the functions that it shares with others.
macro_rules! script {
    ($($part:expr),+) => {
        LazyLock::new(|| Script::new(concat!($($part, "\n"),+)))
    };
}

/// `count(n)`: the number after `n`; nil if there is none or `n` is no number.
macro_rules! count {
    () => {
        r"
local function count(n)
  if not n:match('^%d+$') or n == '18446744073709551615' then return nil end
  if #n < 15 then return string.format('%.0f', tonumber(n) + 1) end
  local nines = #n:match('9*$')
  if nines == #n then return '1' .. string.rep('0', nines) end
  local at = #n - nines
  return n:sub(1, at - 1) .. string.char(n:byte(at) + 1) .. string.rep('0', nines)
end"
    };
}

/// `entry(key)`: owner, incarnation and epoch; the first two are '' if nobody owns it.
macro_rules! entry {
    () => {
        r"
local function entry(key)
  local found = redis.call('HMGET', key, 'owner', 'incarnation', 'epoch')
  return found[1] or '', found[2] or '', found[3] or '0'
end"
    };
}

pub(super) use {entry, script};

/// Says which layout the members' hash `KEYS[1]` has, and gives it `ARGV[1]` if it has none.
pub(super) static OPEN: LazyLock<Script> = script!(
    r"
redis.call('HSETNX', KEYS[1], 'layout', ARGV[1])
return redis.call('HGET', KEYS[1], 'layout')"
);

/// Changes a row of `KEYS[1]`. ARGV: expected view, `put` or `remove`, silo, record, heartbeat, channel.
pub(super) static CHANGE_MEMBER: LazyLock<Script> = script!(
    count!(),
    r"
local view = redis.call('HGET', KEYS[1], 'view') or '0'
if view ~= ARGV[1] then return {'conflict', redis.call('HGETALL', KEYS[1])} end
local after = count(view)
if not after then return {'corrupt', {}} end
if ARGV[2] == 'put' then
  redis.call('HSETNX', KEYS[1], 'h:' .. ARGV[3], ARGV[5])
  redis.call('HSET', KEYS[1], 'r:' .. ARGV[3], ARGV[4])
else
  redis.call('HDEL', KEYS[1], 'r:' .. ARGV[3], 'h:' .. ARGV[3])
end
redis.call('HSET', KEYS[1], 'view', after)
redis.call('PUBLISH', ARGV[6], after)
return {'changed', redis.call('HGETALL', KEYS[1])}"
);

/// Sets a heartbeat in `KEYS[1]`. ARGV: silo, heartbeat. Answers the record, nil if there is none.
pub(super) static HEARTBEAT: LazyLock<Script> = script!(
    r"
local record = redis.call('HGET', KEYS[1], 'r:' .. ARGV[1])
if record then redis.call('HSET', KEYS[1], 'h:' .. ARGV[1], ARGV[2]) end
return record"
);

/// Takes free entries. KEYS: the owner's set, actors. ARGV: owner, incarnation, the length from which a
/// state is left out of the answer, names of the actors.
pub(super) static REGISTER: LazyLock<Script> = script!(
    count!(),
    r"
local answers, names = {}, {}
for i = 2, #KEYS do
  local found = redis.call('HMGET', KEYS[i], 'owner', 'incarnation', 'epoch', 'etag')
  local epoch = found[3] or '0'
  if found[2] and found[2] ~= '' then
    answers[i - 1] = {'owned', found[1] or '', found[2], epoch}
  else
    local after = count(epoch)
    if not after then
      answers[i - 1] = {'corrupt', 'epoch ' .. epoch}
    else
      redis.call('HSET', KEYS[i], 'owner', ARGV[1], 'incarnation', ARGV[2], 'epoch', after)
      names[#names + 1] = ARGV[i + 2]
      if not found[4] then
        answers[i - 1] = 'registered ' .. after
      elseif redis.call('HSTRLEN', KEYS[i], 'body') < tonumber(ARGV[3]) then
        local state = redis.call('HMGET', KEYS[i], 'version', 'body')
        answers[i - 1] = {'registered', after, found[4], state[1], state[2]}
      else
        answers[i - 1] = {'large', after}
      end
    end
  end
end
if #names > 0 then redis.call('SADD', KEYS[1], unpack(names)) end
return answers"
);

/// Changes entries. KEYS, for each: actor, the set of its expected owner, that of its new one. ARGV, for each: name,
/// whether the change is legal, expected owner, incarnation and epoch, new owner, incarnation and epoch.
pub(super) static CHANGE_ENTRIES: LazyLock<Script> = script!(
    entry!(),
    r"
local answers = {}
for i = 1, #KEYS / 3 do
  local actor, old, new = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local a = 8 * (i - 1)
  local owner, incarnation, epoch = entry(actor)
  if ARGV[a + 2] ~= 'legal' or owner ~= ARGV[a + 3] or incarnation ~= ARGV[a + 4] or epoch ~= ARGV[a + 5] then
    answers[i] = {'conflict', owner, incarnation, epoch}
  else
    if incarnation ~= '' then redis.call('SREM', old, ARGV[a + 1]) end
    if ARGV[a + 7] ~= '' then
      redis.call('HSET', actor, 'owner', ARGV[a + 6], 'incarnation', ARGV[a + 7], 'epoch', ARGV[a + 8])
      redis.call('SADD', new, ARGV[a + 1])
    else
      redis.call('HDEL', actor, 'owner', 'incarnation')
      redis.call('HSET', actor, 'epoch', ARGV[a + 8])
    end
    answers[i] = 'changed'
  end
end
return answers"
);

/// Saves states. KEYS: the partition's posters, actors, the named states of those that change some. ARGV: how many actors; for each: owner,
/// incarnation, epoch, expected e-tag ('' for none), version, body, `save` or `clear`, its name if it has posts ('' if not), the number of
/// changes of its named states; for each of those: name, expected e-tag, the e-tag after it ('' takes it away), version, body.
pub(super) static SAVE: LazyLock<Script> = script!(
    count!(),
    entry!(),
    r"
local answers = {}
local actors, last = tonumber(ARGV[1]), 1
local names = actors + 1
for i = 1, actors do
  local actor, a, named = KEYS[i + 1], last, nil
  last = a + 9
  if ARGV[a + 9] ~= '0' then
    names = names + 1
    named, last = KEYS[names], last + 5 * tonumber(ARGV[a + 9])
  end
  local owner, incarnation, epoch = entry(actor)
  if incarnation == '' or owner ~= ARGV[a + 1] or incarnation ~= ARGV[a + 2] or epoch ~= ARGV[a + 3] then
    answers[i] = {'not_owner', owner, incarnation, epoch}
  else
    local found = redis.call('HMGET', actor, 'etag', 'poster')
    local etag, poster = found[1], found[2]
    local after = count(etag or '0')
    local conflict = nil
    for c = a + 10, last, 5 do
      local has = redis.call('HGET', named, 'e:' .. ARGV[c])
      if not conflict and (has or '') ~= ARGV[c + 1] then conflict = {'named_conflict', ARGV[c], has} end
    end
    if (etag or '') ~= ARGV[a + 4] then
      answers[i] = {'conflict', etag}
    elseif conflict then
      answers[i] = conflict
    elseif not after then
      answers[i] = {'corrupt', 'e-tag ' .. etag}
    else
      if ARGV[a + 7] == 'save' then
        redis.call('HSET', actor, 'etag', after, 'version', ARGV[a + 5], 'body', ARGV[a + 6])
        answers[i] = 'saved ' .. after
      else
        redis.call('HDEL', actor, 'etag', 'version', 'body')
        answers[i] = 'cleared'
      end
      for c = a + 10, last, 5 do
        local e, v, b = 'e:' .. ARGV[c], 'v:' .. ARGV[c], 'b:' .. ARGV[c]
        if ARGV[c + 2] == '' then
          redis.call('HDEL', named, e, v, b)
        else
          redis.call('HSET', named, e, ARGV[c + 2], v, ARGV[c + 3], b, ARGV[c + 4])
        end
      end
      if ARGV[a + 8] ~= '' then
        redis.call('HSET', actor, 'poster', ARGV[a + 8])
        redis.call('SADD', KEYS[1], ARGV[a + 8])
      elseif poster then
        redis.call('HDEL', actor, 'poster')
        redis.call('SREM', KEYS[1], poster)
      end
    end
  end
end
return answers"
);

/// Puts a document into `KEYS[1]`. ARGV: name, expected e-tag ('' for none), body. Answers how it ended, the e-tag, and on a conflict
/// the body.
pub(super) static PUT_DOCUMENT: LazyLock<Script> = script!(
    count!(),
    r"
local etag = redis.call('HGET', KEYS[1], 'e:' .. ARGV[1])
if (etag or '') ~= ARGV[2] then return {'conflict', etag, redis.call('HGET', KEYS[1], 'b:' .. ARGV[1])} end
local after = count(etag or '0')
if not after then return {'corrupt', etag} end
redis.call('HSET', KEYS[1], 'e:' .. ARGV[1], after, 'b:' .. ARGV[1], ARGV[3])
return {'put', after}"
);
