//! The Lua of reminders. Due times and numbers are scores, and below 2^53.

use super::scripts::{entry, script};
use deadpool_redis::redis::Script;
use std::sync::LazyLock;

/// `own(key, owner, incarnation, epoch)`: whether the entry of `key` is exactly that.
macro_rules! own {
    () => {
        r"
local function own(key, owner, incarnation, epoch)
  local o, i, e = entry(key)
  return i ~= '' and o == owner and i == incarnation and e == epoch
end"
    };
}

/// Changes the entry of the bucket `KEYS[1]`. ARGV: whether the change is legal, expected owner, incarnation and epoch, new owner,
/// incarnation and epoch. Answers the entry if it is another.
pub(super) static CHANGE_BUCKET: LazyLock<Script> = script!(
    entry!(),
    r"
local owner, incarnation, epoch = entry(KEYS[1])
if ARGV[1] ~= 'legal' or owner ~= ARGV[2] or incarnation ~= ARGV[3] or epoch ~= ARGV[4] then
  return {'conflict', owner, incarnation, epoch}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[5], 'incarnation', ARGV[6], 'epoch', ARGV[7])
return {'changed'}"
);

/// Sets and removes reminders. KEYS: bucket, records, due times, numbers, names, and the actor of each. ARGV, for each: owner,
/// incarnation ('any': is not looked at) and epoch, the reminder, when it is due ('': it is removed), record.
pub(super) static WRITE: LazyLock<Script> = script!(
    entry!(),
    own!(),
    r"
local answers = {}
for i = 6, #KEYS do
  local a = 6 * (i - 6)
  if ARGV[a + 2] ~= 'any' and not own(KEYS[i], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]) then
    answers[i - 5] = {'not_owner', entry(KEYS[i])}
  else
    local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'changes', 1))
    local reminder, was = ARGV[a + 4], 0
    if ARGV[a + 5] == '' then
      was = redis.call('HDEL', KEYS[2], reminder)
      for k = 3, 5 do redis.call('ZREM', KEYS[k], reminder) end
    else
      was = 1 - redis.call('HSET', KEYS[2], reminder, ARGV[a + 6])
      redis.call('ZADD', KEYS[3], ARGV[a + 5], reminder)
      redis.call('ZADD', KEYS[4], number, reminder)
      redis.call('ZADD', KEYS[5], 0, reminder)
    end
    answers[i - 5] = {'written', number, was == 1 and '1' or '0'}
  end
end
return answers"
);

/// Reads reminders of a bucket. KEYS: bucket, records, due times, numbers. ARGV: due from, due before, set after, how many. Answers the
/// bucket's entry and changes, and of each reminder what it is called, when it is due, its number and its record.
pub(super) static READ: LazyLock<Script> = script!(
    entry!(),
    r"
local owner, incarnation, epoch = entry(KEYS[1])
local answer = {owner, incarnation, epoch, redis.call('HGET', KEYS[1], 'changes') or '0'}
local found
if ARGV[3] == '0' then
  found = redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[4])
else
  found = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[3], '+inf')
end
local from, before = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, reminder in ipairs(found) do
  local due = redis.call('ZSCORE', KEYS[3], reminder)
  if due and tonumber(due) >= from and tonumber(due) < before then
    answer[#answer + 1] = reminder
    answer[#answer + 1] = due
    answer[#answer + 1] = redis.call('ZSCORE', KEYS[4], reminder)
    answer[#answer + 1] = redis.call('HGET', KEYS[2], reminder)
  end
end
return answer"
);

/// Reads the reminders of an actor. KEYS: records, due times, numbers, names. ARGV: the range of names.
pub(super) static OF_ACTOR: LazyLock<Script> = script!(
    r"
local answer = {}
for _, reminder in ipairs(redis.call('ZRANGEBYLEX', KEYS[4], ARGV[1], ARGV[2])) do
  answer[#answer + 1] = reminder
  answer[#answer + 1] = redis.call('ZSCORE', KEYS[2], reminder)
  answer[#answer + 1] = redis.call('ZSCORE', KEYS[3], reminder)
  answer[#answer + 1] = redis.call('HGET', KEYS[1], reminder)
end
return answer"
);

/// Checks or advances ticks. KEYS: bucket, records, due times, numbers, names. ARGV: owner, incarnation, `check` or `advance`; of each
/// tick the epoch, the reminder, its number, when it is due, and when the next is ('': it is removed).
pub(super) static STEP: LazyLock<Script> = script!(
    entry!(),
    r"
local owner, incarnation, epoch = entry(KEYS[1])
local answers = {}
for a = 3, #ARGV - 1, 5 do
  local reminder, answer = ARGV[a + 2], 'due'
  if incarnation == '' or owner ~= ARGV[1] or incarnation ~= ARGV[2] or epoch ~= ARGV[a + 1] then
    answer = 'not_owner'
  elseif redis.call('ZSCORE', KEYS[4], reminder) ~= ARGV[a + 3] or redis.call('ZSCORE', KEYS[3], reminder) ~= ARGV[a + 4] then
    answer = 'changed'
  elseif ARGV[3] == 'advance' then
    if ARGV[a + 5] == '' then
      redis.call('HDEL', KEYS[2], reminder)
      for k = 3, 5 do redis.call('ZREM', KEYS[k], reminder) end
    else
      redis.call('ZADD', KEYS[3], ARGV[a + 5], reminder)
    end
  end
  answers[#answers + 1] = answer
end
return answers"
);

/// Makes and ends subscriptions. KEYS, for each: stream, its subscriptions. ARGV, for each: owner, incarnation and epoch of the stream,
/// the subscription, record ('': it is ended).
pub(super) static SUBSCRIBE: LazyLock<Script> = script!(
    entry!(),
    own!(),
    r"
local answers = {}
for i = 1, #KEYS / 2 do
  local stream, all, a = KEYS[2 * i - 1], KEYS[2 * i], 5 * (i - 1)
  if not own(stream, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]) then
    answers[i] = {'not_owner', entry(stream)}
  else
    local was
    if ARGV[a + 5] == '' then
      was = redis.call('HDEL', all, ARGV[a + 4])
    else
      was = 1 - redis.call('HSET', all, ARGV[a + 4], ARGV[a + 5])
    end
    answers[i] = {'written', was == 1 and '1' or '0'}
  end
end
return answers"
);
