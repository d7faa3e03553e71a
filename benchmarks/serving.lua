-- wrk's side of the benchmark `serving`: another row in each request, and the figures as one line of JSON.
local bodies, sent = {}, 0
math.randomseed(tonumber(os.getenv("SEED")))
for i = 1, 5000 do
  local row = {}
  for j = 1, 20 do row[j] = string.format("%.5f", (math.random() - 0.5) * 6) end
  local data = table.concat(row, ",")
  bodies[i] = string.format(os.getenv("BODY"), data)
end
local headers = { ["Content-Type"] = "application/json" }
if os.getenv("KEY") then headers["Authorization"] = "Bearer " .. os.getenv("KEY") end

request = function()
  sent = sent + 1
  return wrk.format("POST", os.getenv("ADDRESS"), headers, bodies[sent % #bodies + 1])
end

done = function(summary, latency, _)
  local errors = summary.errors
  print(string.format('{"rps": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
