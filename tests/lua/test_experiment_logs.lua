-- What trials say on stderr and stdout: all of it in their logs, each line of stderr once on the
-- screen; the same wherever trials run.

local check = dofile "tests/check.lua"
local tests = {}

local function study(name, body, seeds)
  return ([[
    experiment { name = "%s", factors = { a = { 1 } }, seeds = %s, metric = "score", goal = "max",
      record = true, trial = function(c, run) %s return { score = 1 } end }
  ]]):format(name, seeds or 1, body)
end

local function run(name, body, seeds, ...)
  local path = check.file(name .. ".lua", study(name, body, seeds))
  local out, err, status = check.runner { path, ... }
  check.equal(status, 0)
  return err, out
end

local function log_of(name, log)
  local pipe = io.popen(("cat %s/runs/%s/trials/*/%s"):format(check.temp, name, log))
  local text = pipe:read "a"
  pipe:close()
  return text
end

local function times(text, part)
  local n, at = 0, 1
  while true do
    local first, last = text:find(part, at, true)
    if not first then return n end
    n, at = n + 1, last + 1
  end
end

function tests.test_a_last_line_without_its_end()
  local err = run("open", 'io.stderr:write("first\\nnothing was read")')
  check.equal(log_of("open", "stderr.log"), "first\nnothing was read")
  check.equal({ times(err, "first\n"), times(err, "nothing was read\n") }, { 1, 1 })
end

function tests.test_a_bar_that_is_drawn_again_and_again()
  local body = 'for i = 1, 50 do io.stderr:write("\\rstep ", i) end io.stderr:write("\\r\\n") '
    .. 'io.stderr:write("a\\rb\\rlast")'
  local err = run("bar", body)
  local log = log_of("bar", "stderr.log")
  check.yes(log:sub(1, 20) == "\rstep 1\rstep 2\rstep " and log:sub(-8) == "a\rb\rlast")
  check.equal({ times(err, "step 50\n"), times(err, "step 4"), times(err, "last\n"),
    times(err, "\r") }, { 1, 0, 1, 0 })
end

function tests.test_nothing_is_lost_of_much()
  local err = run("much", [[
    for i = 1, 20000 do io.stderr:write("line ", i, "\n") end
    io.stderr:write("the end")
  ]])
  local log = log_of("much", "stderr.log")
  check.yes(log:find("^line 1\n") and log:find("line 20000\nthe end$") and true)
  check.equal({ times(err, "line 1\n"), times(err, "is only in the stderr.log") }, { 1, 1 })
  check.yes(#err < 80000)
end

function tests.test_each_line_once_on_the_screen()
  local err = run("same", 'io.stderr:write("take care\\nseed ", run.seed, "\\nmind the gap")', 4)
  check.equal({ times(err, "take care"), times(err, "seed "), times(err, "mind the gap") },
    { 1, 4, 1 })
  check.equal(times(log_of("same", "stderr.log"), "take care"), 4)
end

function tests.test_programs_and_the_library_say_it_there_too()
  local err = run("programs", 'os.execute "echo from outside >&2; printf open >&2"', 1)
  check.equal(log_of("programs", "stderr.log"), "from outside\nopen")
  check.equal({ times(err, "from outside\n"), times(err, "open\n") }, { 1, 1 })
end

-- An attempt that did not end keeps what it said; the next one's is its own.
function tests.test_attempts_have_logs_of_their_own()
  local path = check.file("again.lua", study("again", [[
    io.stderr:write("attempt ", os.getenv "LATE" and "failed" or "calm")
    if os.getenv "LATE" then error "late" end
  ]]))
  local _, err, failed = check.runner({ path }, "LATE=1")
  check.equal({ failed, times(err, "attempt failed\n") }, { 1, 1 })
  check.runner { "retry", "again" }
  local _, later, status = check.runner { path }
  check.equal({ status, times(later, "attempt calm\n"), times(later, "attempt failed") },
    { 0, 1, 0 })
  check.equal(log_of("again", "stderr.log"), "attempt calm")
  check.equal(log_of("again", "stderr-1.log"), "attempt failed")
end

-- What it said before its process died, and not what the trial before said.
function tests.test_last_words_are_those_of_the_trial()
  local path = check.file("dies.lua", study("dies", [[
    if run.seed == 1 then io.stderr:write "well\n" return { score = 1 } end
    io.stderr:write("unwell")
    os.execute "kill -9 $PPID"
  ]], 2))
  local _, _, status = check.runner { "--jobs", "1", path }
  check.equal(status, 1)
  check.yes(log_of("dies", "result.json"):find('it said:\\nunwell', 1, true) ~= nil)
end

function tests.test_show_says_where_it_stands()
  run("shown", 'io.stderr:write("careful") print "out"')
  run("mute", "")
  local id = io.popen("ls " .. check.temp .. "/runs/shown/trials"):read "l"
  local out = check.runner { "show", "shown/" .. id }
  check.yes(out:find("\nstdout: runs/shown/trials/" .. id .. "/stdout.log\n", 1, true) ~= nil)
  check.yes(out:find("\nstderr: runs/shown/trials/" .. id .. "/stderr.log\n", 1, true) ~= nil)
  local none = check.runner { "show", "mute/" .. id }
  check.yes(none:find("stderr", 1, true) == nil)
end

function tests.test_digests_know_nothing_of_it()
  local function digest(name)
    return log_of(name, "result.json"):match '"digest": "(%x+)"'
  end
  run("quiet", "")
  run("loud", 'io.stderr:write("much\\n") print "ado"')
  check.yes(digest "quiet" ~= nil)
  check.equal(digest "loud", digest "quiet")
end

-- -- trials that run in the same process --------------------------------------------------

local body = [[
  print "by print"
  io.stdout:write "by io\n"
  io.stdout:flush()
  os.execute "echo by a program; echo wrong >&2"
  io.stderr:write "no end"
  local table = data.csv("rows.csv", { target = "y" })
  train.fit(nn.Sequential { nn.Dense(1) }, table, { loss = "mse", epochs = 1, run = run })
  train.fit(nn.Sequential { nn.Dense(2) }, moons, { loss = "cross_entropy", epochs = 1 })
]]

local function record(name)
  local meta = log_of(name, "meta.json")
  return { digest = log_of(name, "result.json"):match '"digest": "(%x+)"',
           out = log_of(name, "stdout.log"), err = log_of(name, "stderr.log"),
           data = meta:match '"data": (%b{})' }
end

function tests.test_they_are_recorded_as_workers_record_them()
  check.file("rows.csv", "x,y\n1,2\n2,3.5\n3,4\n")
  local head = 'local moons = data.moons { n = 24 } local n = #moons\n'
  local made = {}
  local path = check.file("work.lua", head .. study("work", body))
  local _, _, status = check.runner { path }
  check.equal(status, 0)
  made.work = record "work"
  local out, err
  out, err, status = check.runner { "-e", head .. study("here", body) }
  check.equal(status, 0)
  made.here = record "here"
  check.equal(made.here, made.work)
  check.yes(made.here.data and made.here.data:find("rows.csv", 1, true) ~= nil)
  check.yes(made.here.data:find("moons", 1, true) ~= nil)
  check.equal(made.here.out, "by print\nby io\nby a program\n")
  check.equal(made.here.err, "wrong\nno end")
  check.equal({ times(out, "by print\n"), times(out, "by a program\n"), times(err, "wrong\n"),
    times(err, "no end\n") }, { 1, 1, 1, 1 })
end

function tests.test_all_that_they_printed_is_shown()
  local out, _, status = check.runner { "-e", study("prints", [[
    local line = ("x"):rep(999)
    for i = 1, 20000 do print(line) end
    print "the end"
  ]]) }
  check.equal({ status, times(out, ("x"):rep(999) .. "\n"), times(out, "the end\n") },
    { 0, 20000, 1 })
end

-- What one trial read is no part of the next one's record; what was read before a study counts
-- for all its trials.
function tests.test_each_notes_what_it_read_itself()
  check.file("rows.csv", "x,y\n1,2\n2,3.5\n3,4\n")
  local _, err, status = check.runner { "-e", [[
    local kept
    local function trial(c, run)
      kept = kept or data.csv("rows.csv", { target = "y" })
      return { score = c.a == 1 and #kept or 1 }
    end
    for i = 1, 2 do
      experiment { name = "part" .. i, factors = { a = { 1, 2 } }, seeds = 1, metric = "score",
        goal = "max", record = true, trial = trial }
      collectgarbage()
    end
  ]] }
  check.equal({ status, err:find("error", 1, true) }, { 0 })
  local first, second = log_of("part1", "meta.json"), log_of("part2", "meta.json")
  check.equal({ times(first, "rows.csv"), times(first, '"data": {}') }, { 1, 1 })
  check.equal({ times(second, "rows.csv"), times(second, '"data": {}') }, { 2, 0 })
end

check.run(tests)
