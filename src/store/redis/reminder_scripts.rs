//! The Lua of reminders. Due times are scores; they and the numbers are below 2^53.

use super::{
    calls::Script,
    scripts::{entry, script},
};
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

/// Sets and removes reminders. KEYS: bucket, records, due times, names, and the actor of each. ARGV, for each: owner, incarnation ('any':
/// is not looked at) and epoch, the reminder, when it is due ('': it is removed), record.
///
/// What is set is put in together: a call costs more than what it does.
pub(super) static WRITE: LazyLock<Script> = script!(
    entry!(),
    own!(),
    r"
local answers, set, places = {}, {}, {}
local function number(count)
  return redis.call('HINCRBY', KEYS[1], 'changes', count)
end
local function written(place, number, was)
  answers[place] = string.format(was and 'written %d 1' or 'written %d 0', number)
end
local function flush()
  if #set == 0 then return end
  local first = number(#set) - #set
  local records, due, names = {}, {}, {}
  for i, a in ipairs(set) do
    local reminder = ARGV[a + 4]
    records[2 * i - 1], records[2 * i] = reminder, string.format('%d:', first + i) .. ARGV[a + 6]
    due[2 * i - 1], due[2 * i] = ARGV[a + 5], reminder
    names[2 * i - 1], names[2 * i] = 0, reminder
  end
  local new = redis.call('HSET', KEYS[2], unpack(records))
  redis.call('ZADD', KEYS[3], unpack(due))
  for i, a in ipairs(set) do
    local was = new == 0
    if new > 0 and new < #set then was = redis.call('ZSCORE', KEYS[4], ARGV[a + 4]) end
    written(a / 6 + 1, first + i, was)
  end
  if new > 0 then redis.call('ZADD', KEYS[4], unpack(names)) end
  set, places = {}, {}
end
for i = 5, #KEYS do
  local a = 6 * (i - 5)
  local reminder = ARGV[a + 4]
  if ARGV[a + 2] ~= 'any' and not own(KEYS[i], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]) then
    answers[i - 4] = {'not_owner', entry(KEYS[i])}
  else
    if places[reminder] or ARGV[a + 5] == '' then flush() end
    if ARGV[a + 5] == '' then
      local was = redis.call('HDEL', KEYS[2], reminder) == 1
      redis.call('ZREM', KEYS[3], reminder)
      redis.call('ZREM', KEYS[4], reminder)
      written(i - 4, number(1), was)
    else
      set[#set + 1], places[reminder] = a, true
    end
  end
end
flush()
return answers"
);

/// `records(key, reminders)`: the values of the hash `key`, nil or false where there is none. Lua takes no more at a time.
macro_rules! records {
    () => {
        r"
local function records(key, reminders)
  local found = {}
  for first = 1, #reminders, 1000 do
    local last = math.min(first + 999, #reminders)
    for i, record in ipairs(redis.call('HMGET', key, unpack(reminders, first, last))) do
      found[first + i - 1] = record
    end
  end
  return found
end"
    };
}

/// Reads reminders of a bucket. KEYS: bucket, records, due times. ARGV: due from, due before, set after, how many. Answers the bucket's
/// entry and changes, and of each reminder what it is called, when it is due, and its number with its record.
pub(super) static READ: LazyLock<Script> = script!(
    entry!(),
    records!(),
    r"
local owner, incarnation, epoch = entry(KEYS[1])
local answer = {owner, incarnation, epoch, redis.call('HGET', KEYS[1], 'changes') or '0'}
local found = redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[1], '(' .. ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[4])
local reminders, after = {}, tonumber(ARGV[3])
for i = 1, #found, 2 do reminders[#reminders + 1] = found[i] end
for i, record in ipairs(records(KEYS[2], reminders)) do
  if after == 0 or not record or tonumber(record:match('^%d*')) > after then
    answer[#answer + 1] = found[2 * i - 1]
    answer[#answer + 1] = found[2 * i]
    answer[#answer + 1] = record
  end
end
return answer"
);

/// Reads the reminders of an actor. KEYS: records, due times, names. ARGV: the range of names.
pub(super) static OF_ACTOR: LazyLock<Script> = script!(
    records!(),
    r"
local answer = {}
local reminders = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], ARGV[2])
for i, record in ipairs(records(KEYS[1], reminders)) do
  answer[#answer + 1] = reminders[i]
  answer[#answer + 1] = redis.call('ZSCORE', KEYS[2], reminders[i])
  answer[#answer + 1] = record
end
return answer"
);

/// Checks or advances ticks. KEYS: bucket, records, due times, names. ARGV: owner, incarnation, `check` or `advance`; of each tick the
/// epoch, the reminder, its number and a colon, when it is due, and when the next is ('': it is removed).
pub(super) static STEP: LazyLock<Script> = script!(
    entry!(),
    records!(),
    r"
local owner, incarnation, epoch = entry(KEYS[1])
local is_owner = incarnation ~= '' and owner == ARGV[1] and incarnation == ARGV[2]
local reminders, answers, due, over, done = {}, {}, {}, {}, {}
for a = 3, #ARGV - 1, 5 do reminders[#reminders + 1] = ARGV[a + 2] end
for i, record in ipairs(records(KEYS[2], reminders)) do
  local a, reminder = 5 * i - 2, reminders[i]
  local number = ARGV[a + 3]
  if not is_owner or epoch ~= ARGV[a + 1] then
    answers[i] = 'not_owner'
  elseif done[reminder] == '' or not record or record:sub(1, #number) ~= number then
    answers[i] = 'changed'
  else
    local is_due = done[reminder] or redis.call('ZSCORE', KEYS[3], reminder)
    if is_due ~= ARGV[a + 4] then
      answers[i] = is_due or 'changed'
    else
      answers[i] = 'due'
    end
    if ARGV[3] == 'advance' and answers[i] == 'due' then
      done[reminder] = ARGV[a + 5]
      if ARGV[a + 5] == '' then
        over[#over + 1] = reminder
      else
        due[#due + 1] = ARGV[a + 5]
        due[#due + 1] = reminder
      end
    end
  end
end
if #due > 0 then redis.call('ZADD', KEYS[3], unpack(due)) end
if #over > 0 then
  redis.call('HDEL', KEYS[2], unpack(over))
  redis.call('ZREM', KEYS[3], unpack(over))
  redis.call('ZREM', KEYS[4], unpack(over))
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
    answers[i] = was == 1 and 'written 1' or 'written 0'
  end
end
return answers"
);
