-- Requests with the headers of a browser, for wrk; load.py gives the arguments after `--`:
-- "same", "headers" or "paths", a word that is unique to this run, then one header line each.
-- "headers": query, cookie and referrer of every request are new, in this run and across runs;
-- "paths": the path as well.

local function same(headers)
  local text = "GET " .. wrk.path .. " HTTP/1.1\r\n" .. headers .. "\r\n"
  wrk.format = function() return text end -- called once: wrk then sends it without asking Lua again
end

local function different(before, run, headers)
  local middle = " HTTP/1.1\r\n" .. headers .. "Referer: https://localhost/list?page="
  local cookie = "\r\nCookie: csrftoken=k3JZ0bqQ7Yw2mS9nXcVt5RfL; sessionid=" .. run
  local n = 0
  request = function()
    n = n + 1
    return before .. n .. middle .. n .. cookie .. n .. "\r\n\r\n"
  end
end

function init(args)
  local headers = table.concat(args, "\r\n", 3) .. "\r\n"
  local kind, run = args[1], args[2]
  if kind == "paths" then
    different("GET " .. wrk.path .. "/" .. run .. "/", run, headers)
  elseif kind == "headers" then
    different("GET " .. wrk.path .. "?id=" .. run .. "-", run, headers)
  else
    same(headers)
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "RESULT requests=%d duration_us=%d bytes=%d connect=%d read=%d write=%d timeout=%d status=%d "
      .. "p50_us=%d p99_us=%d max_us=%d\n",
    summary.requests, summary.duration, summary.bytes,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99), latency.max))
end
