/**
 * The atomic append. Times stand in a hash of their own, so that no state value is ever read back; numbers are doubles in Lua,
 * exact to 2^53.
 *
 * KEYS  epoch, seq, times, state, event ids, stream
 * ARGV  1 a fresh epoch, 2 the epoch and 3 the seq that this writer was given last, 4 channel, 5 age and 6 length of the stream
 *       (ms, batches), 7 age (ms) and 8 number of event ids; then five for each draft: class (M or E), key or id, event time,
 *       fields, fields of the status that follows (or empty)
 * Gives [epoch, last seq, entries, late, duplicates].
 */
export const appendScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local epoch = redis.call('GET', KEYS[1])
local seq = tonumber(redis.call('GET', KEYS[2]) or '0')
local known = tonumber(ARGV[3])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
elseif epoch == ARGV[2] and seq < known then
  -- Redis came back without its last writes: what it would number now was numbered before.
  epoch = ARGV[1]
  seq = known
  redis.call('SET', KEYS[1], epoch)
end

local mergeKeys, mergeTimes = {}, {}
for i = 9, #ARGV, 5 do
  if ARGV[i] == 'M' and mergeTimes[ARGV[i + 1]] == nil then
    mergeTimes[ARGV[i + 1]] = false
    mergeKeys[#mergeKeys + 1] = ARGV[i + 1]
  end
end
if #mergeKeys > 0 then
  for i, stored in ipairs(redis.call('HMGET', KEYS[3], unpack(mergeKeys))) do
    if stored then mergeTimes[mergeKeys[i]] = tonumber(stored) end
  end
end

local lines, times, state = {}, {}, {}
local first, late, duplicates = seq + 1, 0, 0
local function add(mark, fields)
  seq = seq + 1
  lines[#lines + 1] = mark .. fields
end
-- A key that comes twice in a batch is written once, as it was last.
local places = {}
local function keep(key, eventTime, fields)
  local place = places[key]
  if not place then
    place = #times + 1
    places[key] = place
  end
  times[place], times[place + 1] = key, eventTime
  state[place], state[place + 1] = key, string.format('%d', seq) .. '\\t' .. fields
end
local statuses = {}
local function statusChanged(key, fields)
  local stored = statuses[key]
  if stored == nil then
    stored = redis.call('HGET', KEYS[4], key) or ''
    -- seq and event time move without a change of the status
    stored = string.match(stored, '^%d+\\t(.*)$') or ''
  end
  local function body(text) return string.match(text, '^[^\\t]*\\t[^\\t]*\\t[^\\t]*\\t[^\\t]*\\t(.*)$') end
  statuses[key] = fields
  return body(stored) ~= body(fields)
end

for i = 9, #ARGV, 5 do
  local key, eventTime, fields, status = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  if ARGV[i] == 'E' then
    if redis.call('ZADD', KEYS[5], 'NX', now, key) == 1 then add('N', fields) else duplicates = duplicates + 1 end
  else
    local newest = mergeTimes[key]
    if newest and newest > tonumber(eventTime) then
      late = late + 1
      if string.sub(key, 1, 11) == 'sensordata\\t' then add('L', fields) end
    else
      mergeTimes[key] = tonumber(eventTime)
      add('N', fields)
      keep(key, eventTime, fields)
      if status ~= '' then
        local statusKey = 'sensorstatus' .. string.sub(key, 11)
        if statusChanged(statusKey, status) then
          add('N', status)
          keep(statusKey, eventTime, status)
        end
      end
    end
  end
end

if #times > 0 then
  redis.call('HSET', KEYS[3], unpack(times))
  redis.call('HSET', KEYS[4], unpack(state))
end
if #lines > 0 then
  redis.call('SET', KEYS[2], string.format('%d', seq))
  local batch = epoch .. '\\t' .. string.format('%d', first) .. '\\t' .. #lines .. '\\n' .. table.concat(lines, '\\n')
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'b', batch)
  redis.call('XTRIM', KEYS[6], 'MINID', '~', string.format('%d', now - tonumber(ARGV[5])))
  redis.call('PUBLISH', ARGV[4], batch)
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', string.format('%d', now - tonumber(ARGV[7])))
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1 - tonumber(ARGV[8]))
return { epoch, string.format('%d', seq), #lines, late, duplicates }
`

/**
 * A reader saw more than Redis remembers: whatever comes next must not be numbered again.
 * KEYS epoch, seq. ARGV the epoch and seq that the reader has, a fresh epoch.
 */
export const renewEpochScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] and tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[3])
  redis.call('SET', KEYS[2], ARGV[2])
end
return redis.call('GET', KEYS[1])
`

/**
 * Forgets MERGE keys that nothing arrived for since a seq. KEYS times, state. ARGV that seq, then the keys.
 * Looks again at each: it may have been updated since the caller looked.
 */
export const forgetScript = `
local forgotten = 0
for i = 2, #ARGV do
  local seq = string.match(redis.call('HGET', KEYS[2], ARGV[i]) or '', '^%d+')
  if seq and tonumber(seq) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    forgotten = forgotten + 1
  end
end
return forgotten
`
