-- What comes from outside the command line: environment variables, standard descriptors.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_unknown_values_of_variables_are_mistakes()
  for variable, parts in pairs {
    ["RUNNER_SIMD=xyz"] = { "RUNNER_SIMD=xyz: allowed: plain" },
    ["RUNNER_EXECUTOR=navie"] = { "RUNNER_EXECUTOR=navie: allowed: planned, naive",
      "did you mean naive" },
    ["RUNNER_CHECKED=yes"] = { "RUNNER_CHECKED=yes: allowed: 0, 1" },
    ["RUNNER_PAR_THRESHOLD=few"] = { "RUNNER_PAR_THRESHOLD=few: allowed: a whole number above 0" },
    ["RUNNER_PAR_THRESHOLD=0"] = { "RUNNER_PAR_THRESHOLD=0" },
  } do
    for _, words in ipairs { { "-e", "print(1)" }, { "ls" } } do
      local out, err, status = check.runner(words, variable)
      check.equal({ out, status }, { "", 2 }, variable)
      for _, part in ipairs(parts) do check.yes(err:find(part, 1, true) ~= nil, err) end
    end
  end
end

function tests.test_values_that_are_allowed()
  for _, variable in ipairs { "RUNNER_SIMD=plain", "RUNNER_SIMD=", "RUNNER_EXECUTOR=planned",
    "RUNNER_EXECUTOR=naive", "RUNNER_CHECKED=0", "RUNNER_CHECKED=1", "RUNNER_PAR_THRESHOLD=10",
    "RUNNER_DATA=anywhere", "RUNNER_OS=Linux" } do
    local out, err = check.runner({ "-e", "print(1)" }, variable)
    check.equal({ out, err }, { "1\n", "" }, variable)
  end
end

-- Each variable that the program reads is in its help.
function tests.test_help_has_them()
  local out = check.runner { "--help" }
  for _, name in ipairs { "RUNNER_SIMD=plain|avx2|avx512", "RUNNER_EXECUTOR=planned|naive",
    "RUNNER_CHECKED=0|1", "RUNNER_DATA=", "RUNNER_PAR_THRESHOLD=" } do
    check.yes(out:find(name, 1, true) ~= nil, out)
  end
end

-- -- closed descriptors ------------------------------------------------------------------

local fit = [[
  local f = io.open("mine.txt", "w")
  f:write("data\n")
  f:flush()
  train.fit(nn.Sequential { nn.Dense(2) }, data.moons { n = 32 },
    { loss = "cross_entropy", epochs = 2 })
  print "printed"
  f:close()
]]

local function shell(redirection)
  local path = check.file("fit.lua", fit)
  return select(3, os.execute(("cd '%s' && rm -rf p && '%s' --runs p %s %s")
    :format(check.temp, os.getenv "RUNNER", path, redirection)))
end

local function log()
  local file = assert(io.popen(("cat '%s'/p/fit/*/stdout.log"):format(check.temp)))
  local text = file:read "a"
  file:close()
  return text
end

-- No file that the script or the program opens takes what was meant for them.
function tests.test_closed_descriptors()
  for redirection, status in pairs { ["2>&-"] = 0, [">&- 2>&-"] = 4, ["<&- >&- 2>&-"] = 4,
    ["<&- 2>&-"] = 0 } do
    local out = redirection:find(">&- 2", 1, true) and "" or " >out.txt"
    check.equal(shell(redirection .. out), status, redirection)
    check.equal(check.read(check.temp .. "/mine.txt"), "data\n", redirection)
    check.equal(log(), "printed\n", redirection)
  end
end

check.run(tests)
