/**
 * What happens to the log inside Redis, each script in one piece. Numbers are doubles in Lua, exact to 2^53.
 *
 * An epoch must never number two different entries alike, so it ends with the memory of Redis: when that is gone, when it
 * reaches less far than what somebody was given, and when another Redis process (a restart, a failover) took over, which may
 * have lost writes that nobody here remembers.
 */
const begin = `
local function begin(epoch, headKey, ...)
  redis.call('UNLINK', ...)
  redis.call('HSET', headKey, 'epoch', epoch, 'seq', 0)
  return epoch, 0
end
`

/**
 * The atomic append. What a vehiclestatus says is compared up to its time, and the log's own time is put behind it. Event times stand in a hash of their own, so that no value of the state is read back but statuses.
 *
 * KEYS  1 head, 2 times, 3 state, 4 event ids, 5 stream, 6 marks
 * ARGV  1 a fresh epoch, 2 the epoch and 3 the seq that this writer was given last, 4 the Redis process it talks to,
 *       5 channel, 6 how many entries the stream remembers, 7 how long (ms) and 8 how many event ids are remembered;
 *       then for each draft: event id (empty: MERGE), key, event time, json, json of the status, and of one that stays (or empty)
 * Gives [epoch, last seq, entries, late, duplicates].
 */
export const appendScript = `${begin}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'server')
local epoch, seq, server = head[1], tonumber(head[2] or 0), ARGV[4]
local known = tonumber(ARGV[3])
local hasMoved = server ~= '' and head[3] and head[3] ~= server
if not epoch then
  epoch, seq = begin(ARGV[1], KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6])
elseif hasMoved or (epoch == ARGV[2] and seq < known) then
  epoch, seq = ARGV[1], math.max(seq, known)
end

local function statusKeyOf(key) return 'sensorstatus' .. string.sub(key, (string.find(key, '\\t', 1, true))) end

-- What is known of the keys of this batch: event times, and where a status follows, the state of that.
local function read(from, keys)
  local values = {}
  if #keys > 0 then
    for i, value in ipairs(redis.call('HMGET', from, unpack(keys))) do values[keys[i]] = value end
  end
  return values
end
local function isVehicleStatus(key) return string.sub(key, 1, 14) == 'vehiclestatus\\t' end
local mergeKeys, statusKeys = {}, {}
for i = 9, #ARGV, 6 do
  if isVehicleStatus(ARGV[i + 1]) then
    statusKeys[#statusKeys + 1] = ARGV[i + 1]
  elseif ARGV[i] == '' then
    mergeKeys[#mergeKeys + 1] = ARGV[i + 1]
    if ARGV[i + 4] ~= '' then statusKeys[#statusKeys + 1] = statusKeyOf(ARGV[i + 1]) end
  end
end
local newest, statuses = read(KEYS[2], mergeKeys), read(KEYS[3], statusKeys)

local first = seq + 1
local lines, times, state, places = {}, {}, {}, {}
local function add(mark, fields)
  seq = seq + 1
  lines[#lines + 1] = mark .. fields
end
-- A key that comes twice in a batch is written once, as it was last.
local function keep(key, eventTime, json)
  add('N', key .. '\\t' .. eventTime .. '\\t' .. json)
  local place = places[key] or #times + 1
  places[key] = place
  times[place], times[place + 1] = key, eventTime
  state[place], state[place + 1] = key, string.format('%d@%d\\t', seq, now) .. eventTime .. '\\t' .. json
end

local late, duplicates, hasEvents = 0, 0, false
local function isKnown(id)
  hasEvents = true
  return redis.call('ZADD', KEYS[4], 'NX', now, id) == 0
end
-- JSON holds no tab: what is behind one is the beginning.
local function appendVehicleStatus(key, json)
  local said = string.sub(json, 1, -2) .. ',"timestamp":'
  if string.find(statuses[key] or '', '\\t' .. said, 1, true) then
    duplicates = duplicates + 1
    return
  end
  local time = string.format('%d', now)
  statuses[key] = '\\t' .. said
  keep(key, time, said .. time .. '}')
end
local function append(id, key, eventTime, json, status, held)
  if isVehicleStatus(key) then return appendVehicleStatus(key, json) end
  if id ~= '' then
    if isKnown(id) then duplicates = duplicates + 1 else add('N', key .. '\\t' .. eventTime .. '\\t' .. json) end
    return
  end
  if newest[key] and tonumber(newest[key]) > tonumber(eventTime) then
    late = late + 1
    if string.sub(key, 1, 11) == 'sensordata\\t' then add('L', key .. '\\t' .. eventTime .. '\\t' .. json) end
    return
  end
  newest[key] = eventTime
  keep(key, eventTime, json)
  if status == '' then return end
  local statusKey = statusKeyOf(key)
  -- JSON holds no tab: what ends in a tab and this status has this status.
  local function stands(one) return string.sub(statuses[statusKey] or '', -1 - #one) == '\\t' .. one end
  if stands(status) or (held ~= '' and stands(held)) then return end
  statuses[statusKey] = '\\t' .. status
  keep(statusKey, eventTime, status)
end
for i = 9, #ARGV, 6 do append(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]) end

if server == '' then server = head[3] or '' end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', string.format('%d', seq), 'server', server)
if #times > 0 then
  redis.call('HSET', KEYS[2], unpack(times))
  redis.call('HSET', KEYS[3], unpack(state))
end
if #lines > 0 then
  local batch = epoch .. string.format('\\t%d\\t%d\\t%d\\n', first, #lines, now) .. table.concat(lines, '\\n')
  local oldest = string.format('%d', math.max(0, seq + 1 - tonumber(ARGV[6])))
  redis.call('XADD', KEYS[5], 'MINID', '~', oldest, string.format('%d-0', first), 'b', batch)
  redis.call('PUBLISH', ARGV[5], batch)
end
if hasEvents then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('(%d', now - tonumber(ARGV[7])))
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[8]))
end
return { epoch, string.format('%d', seq), #lines, late, duplicates }
`

/**
 * Where the log stands, for a reader that may have been there before.
 *
 * KEYS  1 head, 2 times, 3 state, 4 stream, 5 marks
 * ARGV  1 a fresh epoch, 2 the epoch and 3 the seq that the reader has
 * Gives [epoch, seq].
 */
export const attendScript = `${begin}
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local epoch, seq = head[1], tonumber(head[2] or 0)
if not epoch then
  epoch, seq = begin(ARGV[1], KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
elseif epoch == ARGV[2] and seq < tonumber(ARGV[3]) then
  epoch, seq = ARGV[1], tonumber(ARGV[3])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', ARGV[3])
end
return { epoch, string.format('%d', seq) }
`

/**
 * Marks how far the log is now, and forgets the part of the stream that is too old.
 *
 * KEYS  1 head, 2 marks, 3 stream
 * ARGV  1 how long the stream remembers, 2 how long the state does (ms)
 * Gives the seq up to which the state is too old.
 */
export const markScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function reached(age)
  return redis.call('ZREVRANGEBYSCORE', KEYS[2], string.format('%d', now - tonumber(age)), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
end
local recent, state = reached(ARGV[1]), reached(ARGV[2])
if recent[1] then redis.call('XTRIM', KEYS[3], 'MINID', string.format('%d', tonumber(recent[1]) + 1)) end
if state[2] then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. state[2]) end
-- Last, and it may fail: a Redis that is full takes no mark, but has to forget all the same.
redis.pcall('ZADD', KEYS[2], 'NX', now, redis.call('HGET', KEYS[1], 'seq') or '0')
return state[1] or '0'
`

/**
 * Forgets MERGE keys that nothing arrived for since a seq. Looks again at each: it may have been updated meanwhile.
 *
 * KEYS  1 times, 2 state
 * ARGV  1 that seq, then the keys
 */
export const forgetScript = `
for i = 2, #ARGV do
  local seq = string.match(redis.call('HGET', KEYS[2], ARGV[i]) or '', '^%d+')
  if seq and tonumber(seq) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
`
