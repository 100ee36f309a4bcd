-- Fits in a loop leave nothing behind, and the last costs what the first did.

local check = dofile "tests/check.lua"
local tests = {}

local loop = [[
  local set, net = data.moons { n = 8 }, nn.Sequential { nn.Dense(2) }
  local function rss()
    for l in io.lines "/proc/self/status" do
      local kb = l:match "VmRSS:%s+(%d+)"
      if kb then return tonumber(kb) end
    end
  end
  local how = { loss = "cross_entropy", verbose = false, RECORD }
  local function fits(n)
    for i = 1, n do
      train.fit(net, set, how)
      if i % 250 == 0 then collectgarbage() end
    end
    return rss()
  end
  local before = fits(2000)
  print(fits(4000) - before)
]]

-- Each kept 340 bytes of results and a stream's place: 1.3 MB.
function tests.test_fits_that_record_nothing_keep_nothing()
  if not check.measures_memory then return end
  local path = check.file("loop.lua", (loop:gsub("RECORD", "record = false")))
  local out = check.runner { path }
  check.yes(tonumber(out) <= 500, out)
  check.yes(tonumber((check.runner { "-e", (loop:gsub("RECORD", "")) })) <= 500)
end

-- The number of a fit is no limit where those before it were not recorded.
function tests.test_a_record_after_many_fits_without_one()
  local path = check.file("late.lua", [[
    local set, net = data.moons { n = 8 }, nn.Sequential { nn.Dense(2) }
    local how = { loss = "cross_entropy", verbose = false, record = false }
    for i = 1, 1005 do train.fit(net, set, how) end
    how.record = nil
    train.fit(net, set, how)
    train.fit(net, set, how)]])
  local _, err, status = check.runner { "--runs", "late", path }
  check.equal(status, 0, err)
  local record = err:match "record: (%S+)"
  local result = check.read(check.temp .. "/" .. record .. "/result.json")
  check.yes(result:find('"fit1006.loss"', 1, true) ~= nil, result)
  check.equal(result:find('"fit1005.', 1, true), nil)
  check.yes(check.read(check.temp .. "/" .. record .. "/metrics-1007.csv"):find "\n1," ~= nil)
end

check.run(tests)
