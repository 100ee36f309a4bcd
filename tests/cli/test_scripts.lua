-- Scripts that share a name, and scripts that records name: nothing is taken from another one,
-- and nothing is run that the user's tree has not.

local check = dofile "tests/check.lua"
local tests = {}

local function shell(command)
  return os.execute("cd '" .. check.temp .. "' && " .. command)
end

local function study(factor, levels)
  return ([[
    experiment { factors = { %s = { %s } }, seeds = 1, metric = "score", goal = "max",
      trial = function(c, run) return { score = c.%s } end }
  ]]):format(factor, levels, factor)
end

local function run(...)
  local out, err, status = check.runner { "--jobs", "1", ... }
  return err, out, status
end

local warning = "was run from p/train.lua before"

function tests.test_two_scripts_of_one_file_name()
  shell "mkdir -p p q"
  check.file("p/train.lua", study("a", "1, 2"))
  check.file("q/train.lua", study("b", "1, 2"))
  check.yes(run("--runs", "two", "p/train.lua"):find("before", 1, true) == nil)
  check.yes(run("--runs", "two", "./p/train.lua"):find("before", 1, true) == nil)
  local err = run("--runs", "two", "q/train.lua")
  check.yes(err:find(warning:gsub("p/", "./p/"), 1, true) ~= nil, err)
  check.yes(err:find('name = "..." keeps the two apart', 1, true) ~= nil)
  local _, out = run("--runs", "two", "gc", "train", "--yes")
  check.yes(out:find("kept: 2 trials of another script, p/train.lua,", 1, true) ~= nil, out)
  local again = run("--runs", "two", "p/train.lua")
  check.yes(again:find("2 done, 0 failed, 0 to run", 1, true) ~= nil, again)
end

-- Nor is anything taken from a script by what is typed under its name.
function tests.test_what_is_typed_is_another_script()
  check.file("typed.lua", study("a", "1, 2"))
  run("--runs", "typed", "typed.lua")
  local named = 'experiment { name = "typed", record = true,'
  local code = study("b", "1, 2"):gsub("experiment {", named)
  local err = run("--runs", "typed", "-e", code)
  check.yes(err:find("was run from typed.lua before", 1, true) ~= nil, err)
  local _, out = run("--runs", "typed", "gc", "typed", "--yes")
  check.yes(out:find("kept: 2 trials of another script, typed.lua,", 1, true) ~= nil, out)
  local again = run("--runs", "typed", "typed.lua")
  check.yes(again:find("2 done, 0 failed, 0 to run", 1, true) ~= nil, again)
  check.yes(again:find("before", 1, true) == nil, again)
end

-- A script that was elsewhere when it ran, and is gone, asks for its trials no more.
function tests.test_a_script_that_was_moved_is_the_same()
  shell "mkdir -p moved"
  check.file("train2.lua", study("a", "1, 2"))
  run("--runs", "gone", "train2.lua")
  shell "mv train2.lua moved"
  check.file("moved/train2.lua", study("a", "1, 3"))
  local err = run("--runs", "gone", "moved/train2.lua", "--code=keep")
  check.yes(err:find("before", 1, true) == nil, err)
  local _, out = run("--runs", "gone", "gc", "train2", "--yes")
  check.yes(out:find("1  trial that no longer belongs", 1, true) ~= nil, out)
end

-- -- scripts that records name ------------------------------------------------------------

local function plan_names(runs, script)
  local path = check.temp .. "/" .. runs .. "/own/experiment.json"
  local text = check.read(path):gsub('"script": "[^"]*"', '"script": "' .. script .. '"')
  check.file(runs .. "/own/experiment.json", text)
end

local function prepare(runs)
  check.file("own.lua", study("a", "1, 2"))
  run("--runs", runs, "own.lua", "a=1")
end

local function refused(runs, script)
  plan_names(runs, script)
  local err, out, status = run("--runs", runs, "resume", "own")
  check.equal({ out, status }, { "", 2 })
  check.yes(err:find("resume: the records of own name the script " .. script, 1, true) ~= nil, err)
  return err
end

function tests.test_resume_runs_what_the_tree_has()
  prepare "resumed"
  local err, _, status = run("--runs", "resumed", "resume", "own")
  check.equal(status, 0)
  check.yes(err:find("own: 1 trial", 1, true) ~= nil)
  err = run("--runs", "resumed", "resume", "own", "a=1,2")
  check.yes(err:find("own: 2 trials", 1, true) ~= nil)
end

function tests.test_resume_runs_nothing_else()
  prepare "strange"
  check.file("strange/own/code/evil.lua", 'print "evil"')
  check.yes(refused("strange", "strange/own/code/evil.lua")
    :find("runner --runs strange strange/own/code/evil.lua a=1", 1, true) ~= nil)
  shell "mkdir -p sub && ln -sf ../strange/own/code/evil.lua sub/in.lua"
  refused("strange", "sub/in.lua")
  shell "ln -sf /etc/hostname outside.lua"
  refused("strange", "/etc/hostname")
  refused("strange", "outside.lua")
end

-- The command that is proposed, when typed, only runs that script.
function tests.test_words_of_records_are_quoted()
  prepare "quoted"
  check.file("quoted/own/code/a'b; echo.lua", 'print "evil"')
  local err = refused("quoted", "quoted/own/code/a'b; echo.lua")
  check.yes(err:find([[quoted 'quoted/own/code/a'\''b; echo.lua' a=1]], 1, true) ~= nil, err)
end

-- -- names --------------------------------------------------------------------------------

local fit = [[
  train.fit(nn.Sequential { nn.Dense(2) }, data.moons { n = 8 }, { loss = "cross_entropy",
    verbose = false, record = RECORD })
]]

function tests.test_no_record_takes_the_place_of_the_index()
  for _, name in ipairs { "index.sqlite", "index.sqlite-wal", "trials", ".index" } do
    check.file(name .. ".lua", (fit:gsub("RECORD", "nil")))
    local _, _, status = run("--runs", "names", name .. ".lua")
    check.equal(status, 0)
  end
  check.file("fit.lua", (fit:gsub("RECORD", "'index.sqlite'")))
  run("--runs", "names", "fit.lua")
  local _, out, status = run("--runs", "names", "ls")
  check.equal(status, 0)
  for _, row in ipairs { "_index.sqlite +runs +2 ", "_index.sqlite%-wal +runs +1 ",
    "_trials +runs +1 ", "_index +runs +1 " } do
    check.yes(out:find("\n" .. row) ~= nil, out)
  end
  check.yes(shell "test -f names/index.sqlite")
  local id = io.popen("ls " .. check.temp .. "/names/_trials"):read "l"
  local _, shown, found = run("--runs", "names", "show", "_trials/" .. id)
  check.equal({ found, shown:match "state: %a+" }, { 0, "state: complete" })
end

check.run(tests)
