-- Weir's four header decisions in Envoy's Lua filter, for the benchmark's request.
-- A worker's script shares nothing with the others', so its buckets are its own.
local bit = require("bit")

local function bucket(rate, burst)
  return { interval = 1000 / rate, window = burst * 1000 / rate, arrival = 0, tokens = 0 }
end

local tenants = { acme = bucket(1000000, 1000000) }
local others = bucket(5, 10)
local claimed = { "x-weir-tenant", "x-weir-tier", "x-shadow-mode", "x-traffic-tag" }

-- Takes an eighth of what is there, so that the clock is read seldom.
local function lease(limit, now)
  local arrival = math.min(math.max(limit.arrival, now), now + limit.window)
  local there = math.floor((now + limit.window - arrival) / limit.interval)
  if there < 1 then return 0 end
  local take = math.max(math.floor(there / 8), 1)
  limit.arrival = arrival + take * limit.interval
  return take
end

local function admit(limit, handle)
  if limit.tokens == 0 then limit.tokens = lease(limit, handle:timestamp()) end
  if limit.tokens == 0 then return false end
  limit.tokens = limit.tokens - 1
  return true
end

local function bucket_of(key, seed)
  local hash = seed
  for i = 1, #key do hash = bit.tobit(bit.bxor(hash, key:byte(i)) * 65599) end
  return hash % 10000
end

local function contains(headers, name, word)
  local value = headers:get(name)
  return value ~= nil and value:lower():find(word, 1, true) ~= nil
end

local function may_compress(headers)
  if headers:get("upgrade") or headers:get(":protocol") then return false end
  if headers:get("range") or headers:get("cookie") then return false end
  local method = headers:get(":method")
  return method ~= "HEAD" and method ~= "CONNECT"
    and not contains(headers, "content-type", "application/grpc")
    and not contains(headers, "accept", "text/event-stream")
    and not contains(headers, "cache-control", "no-transform")
end

local function accepts_gzip(field)
  for member in field:gmatch("[^,]+") do
    local name, quality = member:match("^%s*([^;%s]*)%s*;?%s*(.-)%s*$")
    if name == "gzip" and not quality:match("^q=0") then return true end
  end
  return false
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local limit = tenants[headers:get("x-tenant-id") or ""] or others
  if not admit(limit, handle) then
    handle:respond({ [":status"] = "429", ["retry-after"] = "1" }, "rate limited")
    return
  end
  for i = 1, #claimed do
    if headers:get(claimed[i]) then headers:remove(claimed[i]) end
  end
  local id = headers:get("x-request-id") or ""
  if bucket_of(id, 1) < 100 then
    headers:replace("x-shadow-mode", "true")
    headers:replace("x-traffic-tag", "bench")
  end
  local variant = bucket_of(headers:get("x-user-id") or id, 2) < 9000 and "stable" or "canary"
  headers:replace("x-weir-variant", variant)
  local accepted = headers:get("accept-encoding")
  if accepted then
    if not may_compress(headers) or not accepts_gzip(accepted) then
      headers:remove("accept-encoding")
    elseif accepted ~= "gzip" then
      headers:replace("accept-encoding", "gzip")
    end
  end
end
