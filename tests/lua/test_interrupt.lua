-- An interruption is no ordinary error: what catches errors lets it pass, in a trial at once, in
-- a plain script after it was caught once; no process of a study outlives it.

local check = dofile "tests/check.lua"
local tests = {}

-- In a shell that waits for an event, for a minute at most: the machine may be loaded.
local shell_functions = [[
  until_true() { n=0; until "$@"; do [ $((n=n+1)) -lt 1200 ] || exit 99; sleep 0.05; done; }
  all_there() { for f; do [ -e $f ] || return 1; done; }
  runs() { [ -e /proc/$1 ] && ! grep -q '^State:.Z' /proc/$1/status 2>/dev/null; }
  gone() { for q; do runs $q && return 1; done; return 0; }
  ticks() { cut -d ' ' -f 14 /proc/$1/stat; }
  works() { [ $(ticks $1) -ge $2 ]; }
]]

local function shell(code)
  local path = check.file("shell.sh", shell_functions .. code)
  local _, _, status = os.execute(("cd '%s' && sh '%s' >shell.out 2>&1"):format(check.temp, path))
  return status, check.read(check.temp .. "/shell.out")
end

local runner = "'" .. os.getenv "RUNNER" .. "' --threads 1"

-- What all scripts have: `ready()` says that the signal may come; closing(f) is closed by f.
local prologue = [[
  local function closing(f) return setmetatable({}, { __close = f }) end
  local function ready() io.open("ready", "w"):close() end
  local function loop() ready() while true do end end
  local function save(text) local f = io.open("saved", "w") f:write(text) f:close() end
  local set = data.moons { n = 100 }
  local net = nn.Sequential { nn.Dense(4), nn.Dense(2) }
  local function fit()
    return train.fit(net, set, { loss = "cross_entropy", epochs = 1000000000, verbose = false,
      callbacks = { function(at) if at.epoch == 2 then ready() end end } })
  end
]]

-- The status of the script, which gets the signal once, or again and again; its stderr, and
-- what it saved. `within`: once it is in the midst of what follows `ready()`, and computes.
local function signalled(code, again, within)
  check.file("long.lua", prologue .. code)
  local status = shell(([[
    rm -f ready saved
    %s --runs plain long.lua >out.txt 2>err.txt & p=$!
    until_true [ -e ready ]
    (sleep 60; kill -9 $p) 2>/dev/null >&2 & k=$!
    %s
    kill -INT $p
    %s
    wait $p; s=$?; kill $k; exit $s]])
    :format(runner, within and "until_true works $p $(($(ticks $p) + 5))" or "",
      again and "while sleep 0.2; kill -INT $p 2>/dev/null; do :; done" or ""))
  local file = io.open(check.temp .. "/saved")
  local saved = file and file:read "a"
  if file then file:close() end
  return status, check.read(check.temp .. "/err.txt"), saved
end

-- -- plain scripts ---------------------------------------------------------------------------

local endless = {
  pcall = "while true do pcall(loop) end",
  nested = "pcall(function() while true do pcall(pcall, loop) end end) loop()",
  fit = "while true do pcall(fit) end",
  xpcall = "while true do xpcall(loop, function() return 0 end) end",
  handler = "xpcall(loop, function() while true do end end)",
  handler_of_a_fit = "xpcall(fit, function() while true do end end)",
  handler_of_an_error = "xpcall(error, function() ready() while true do end end)",
  handler_that_catches = "xpcall(loop, function() while true do pcall(loop) end end)",
  resume = "while true do coroutine.resume(coroutine.create(loop)) end",
  wrap = "while true do pcall(coroutine.wrap(loop)) end",
  yield = [[local co = coroutine.wrap(function() while true do pcall(coroutine.yield) end end)
    ready() while true do pcall(co) end]],
  short_threads = [[ready() while true do
    pcall(coroutine.wrap(function() for _ = 1, 100 do end end)) end]],
  reader = "while true do load(loop) end",
  close = "local c <close> = closing(function() while true do end end) loop()",
  close_of_a_thread = [[while true do
    local co = coroutine.create(function()
      local c <close> = closing(loop)
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co) end]],
  close_that_catches = [[while true do pcall(function()
    local c <close> = closing(function() while true do pcall(loop) end end)
    loop() end) end]],
  no_hook = "debug.sethook() loop()",
  hook_of_lines = [[debug.sethook(function() for _ = 1, 20 do end end, 'l') loop()]],
  own_hook = "debug.sethook(function() end, 'clr', 10) while true do pcall(loop) end",
  hook_of_a_thread = [[local co = coroutine.create(loop) debug.sethook(co)
    coroutine.resume(co) loop()]],
  programs = "ready() while true do pcall(os.execute, 'sleep 0.1') end",
  pipes = "ready() while true do pcall(function() io.popen('sleep 0.1'):read 'a' end) end",
  words = "local ok, e = pcall(loop) error('it went wrong: ' .. e)",
}

function tests.test_no_script_goes_on_for_ever()
  for name, code in pairs(endless) do
    local again = name == "programs" or name == "pipes"
    local status, err = signalled(code, again)
    if status ~= 3 or err:find "traceback" then
      error(("%s: status %s: %s"):format(name, status, err))
    end
  end
end

function tests.test_the_first_is_raised_at_the_next_instruction()
  local status = signalled "ready() while true do os.execute 'sleep 0.1' end"
  check.equal(status, 3)
  status = signalled "ready() while true do io.popen('sleep 0.1'):read 'a' end"
  check.equal(status, 3)
end

function tests.test_what_was_caught_once_leaves_room_to_save()
  local status, _, saved = signalled [[
    pcall(loop)
    local sum = 0
    for i = 1, 100000 do sum = sum + i end
    assert(os.execute "true" and not pcall(error))
    save(tostring(sum))
    while true do end]]
  check.equal({ status, saved }, { 3, "5000050000" })
end

function tests.test_close_handlers_run_to_their_end()
  for _, how in ipairs { "loop()", "fit()", "coroutine.wrap(loop)()", "pcall(loop) loop()" } do
    local status, _, saved = signalled(([[
      local c <close> = closing(function(_, e)
        local ok = pcall(error, "of its own")
        for i = 1, 10000 do end
        save(tostring(ok) .. tostring(e):match "interrupted")
      end)
      %s]]):format(how))
    check.equal({ status, saved }, { 3, "falseinterrupted" })
  end
end

function tests.test_what_runs_in_c_and_finalizers_end_at_the_third()
  for _, code in ipairs {
    "ready() local _ = ('a'):rep(100000):find '.-.-.-.-.-.-b'",
    "setmetatable({}, { __gc = loop }) collectgarbage()",
    "debug.sethook(loop, 'l') local _ = 1",
  } do
    check.equal((signalled(code, true, true)), 130)
  end
end

function tests.test_a_program_that_died_of_sigint_asks_for_an_interruption()
  for _, code in ipairs {
    "os.execute 'kill -INT $$'", "coroutine.wrap(os.execute) 'kill -INT $$'",
    "io.popen 'kill -INT $$':close()", "pcall(os.execute, 'kill -INT $$') while true do end",
  } do
    local _, err, status = check.runner { "-e", code .. " print(1)" }
    check.equal({ status, err }, { 3, "runner: -e:1: interrupted\n" })
  end
  local out, _, status = check.runner { "-e", [[print(os.execute "exit 7")
    print(os.execute "kill $$") print(io.popen "exit 130":close()) print(os.execute()) ]] }
  check.equal({ out, status }, { "nil\texit\t7\nnil\tsignal\t15\nnil\texit\t130\ntrue\n", 0 })
end

-- Of one that comes while the library's Lua part runs for the script, too.
function tests.test_the_place_is_the_line_of_the_script()
  local _, err, status = check.runner { "-e", [[
    local function signal_within_the_library()
      if not debug.getinfo(2, "S").short_src:find("[runner]", 1, true) then return end
      debug.sethook()
      os.execute "kill -INT $PPID"
    end
    experiment { factors = { a = { 1 } }, seeds = 1, metric = "s", goal = "max", record = false,
      trial = function(c)
        debug.sethook(signal_within_the_library, "c")
        return { s = c.a }
      end } ]] }
  check.equal({ status, err:match "runner: [^\n]*" }, { 3, "runner: -e:9: interrupted" })
end

-- In this process, too: of a study in records, and of one that records nothing.
function tests.test_a_study_that_is_stopped_here_says_what_is_left()
  for _, record in ipairs { "true", "false" } do
    local _, err, status = check.runner { "--runs=stopped", "-e", ([[
      experiment { name = "here", factors = { a = { 1, 2, 3 } }, seeds = 2, metric = "s",
        goal = "max", record = %s, trial = function(c, run)
          if run.seed == 2 then os.execute "kill -INT $PPID" end
          return { s = c.a }
        end } ]]):format(record) }
    check.equal(status, 3)
    local left = record == "true" and "here: the same command runs what is left: 3 of 6 trials\n"
      or "here: 3 of 6 trials are left; nothing was recorded, the same command runs all\n"
    check.yes(err:find(left, 1, true) ~= nil, err)
  end
end

-- -- they are Lua's own otherwise ----------------------------------------------------------------

function tests.test_errors_are_caught_as_in_lua()
  check.equal({ pcall(error, "a", 0) }, { false, "a" })
  check.equal({ pcall(function(...) return ... end, 1, nil, 3) }, { true, 1, nil, 3 })
  check.equal({ pcall(pcall) }, { false, "bad argument #1 to 'pcall' (value expected)" })
  check.equal({ xpcall(error, function(e) return e .. "!" end, "a", 0) }, { false, "a!" })
  check.equal({ xpcall(select, print, 2, "a", "b", "c") }, { true, "b", "c" })
  check.yes(select(2, pcall(xpcall, print)):find("bad argument #2 to 'xpcall'", 1, true) ~= nil)
  local deep = select(2, xpcall(function() error "x" end, debug.traceback))
  check.yes(deep:find("in function <tests/lua/test_interrupt.lua", 1, true) ~= nil)
  check.equal(select(2, xpcall(error, function() error "again" end)) ~= nil, true)
end

function tests.test_coroutines_are_those_of_lua()
  local co = coroutine.create(function(a, b)
    local c = coroutine.yield(a + b)
    local ok, d = pcall(function() return coroutine.yield(c) end)
    ok, d = xpcall(function() error(coroutine.yield(d), 0) end, function(e) return e .. "!" end)
    return ok, d
  end)
  check.equal({ coroutine.resume(co, 1, 2) }, { true, 3 })
  check.equal({ coroutine.resume(co, 4) }, { true, 4 })
  check.equal({ coroutine.resume(co, 5) }, { true, 5 })
  check.equal({ coroutine.resume(co, "e") }, { true, false, "e!" })
  check.equal({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
  local closed = false
  local wrapped = coroutine.wrap(function()
    local c <close> = setmetatable({}, { __close = function() closed = true end })
    coroutine.yield()
    error "here"
  end)
  wrapped()
  check.yes(select(2, pcall(wrapped)):find "here$" ~= nil)
  check.yes(closed)
  check.fails(wrapped, "cannot resume dead coroutine")
  check.equal({ pcall(coroutine.wrap(function() error { 1 } end)) }, { false, { 1 } })
  check.fails(function() coroutine.resume(1) end, "bad argument #1 to 'resume'", "coroutine")
  check.fails(function() coroutine.wrap(1) end, "bad argument #1 to 'wrap'")
  check.fails(function() coroutine.close(1) end, "bad argument #1 to 'close'")
  check.fails(function() load() end, "bad argument #1 to 'load'")
  check.equal(load(function() error "x" end), nil)
  local n = 0
  for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do n = n + i end
  check.equal(n, 6)
end

function tests.test_hooks_of_a_script_are_called()
  check.equal({ debug.gethook() }, {})
  local events, lines = {}, 0
  local function hook(event, line)
    events[event] = (events[event] or 0) + 1
    lines = line or lines
  end
  debug.sethook(hook, "crl")
  local set = { debug.gethook() }
  pcall(print == nil)
  debug.sethook(hook, "", 7000)
  for _ = 1, 100000 do end
  debug.sethook()
  check.equal(set, { hook, "crl", 0 })
  check.equal({ debug.gethook() }, {})
  check.yes(events.call > 0 and events["return"] > 0 and events.line > 2 and lines > 0)
  check.yes(events.count >= 14 and events.count <= 16)
  local count = 0
  local co = coroutine.create(function() for _ = 1, 100000 do end end)
  debug.sethook(co, function() count = count + 1 end, "", 25000)
  coroutine.resume(co)
  check.equal(count, 4)
  check.fails(function() debug.sethook(1, "l") end, "bad argument #1 to 'sethook'")
end

function tests.test_programs_are_read_and_written_as_in_lua()
  local p = io.popen "echo said; exit 3"
  check.equal(p:read "a", "said\n")
  check.equal({ p:close() }, { nil, "exit", 3 })
  check.equal(io.popen("cat >/dev/null", "w"):write("x"):close(), true)
  check.fails(function() io.popen("true", "x") end, "bad argument #2 to 'popen' (invalid mode)")
  check.fails(function() io.popen() end, "bad argument #1 to 'popen'")
  check.equal({ os.execute "kill -KILL $$" }, { nil, "signal", 9 })
end

-- -- trials --------------------------------------------------------------------------------------

-- Each level does not end by itself, unless CALM is set.
local study = [[
  local how = {
    caught = function(begin) pcall(begin) return 0 end,
    fit = function(begin, run)
      local net = nn.Sequential { nn.Dense(4), nn.Dense(2) }
      local c <close> = setmetatable({}, { __close = function() end })
      local ok, h = pcall(train.fit, net, data.moons { n = 100 }, { loss = "cross_entropy",
        epochs = 1000000000, verbose = false, run = run, callbacks = { function(at)
          if at.epoch == 2 then begin(true) end end } })
      return ok and h.loss[1] or 0
    end,
    words = function(begin) local ok, e = pcall(begin) error("it went wrong: " .. e) end,
    handler = function(begin) xpcall(begin, function() while true do end end) return 0 end,
    wrap = function(begin) pcall(coroutine.wrap(begin)) return 0 end,
    resume = function(begin) coroutine.resume(coroutine.create(begin)) return 0 end,
    close = function(begin)
      local c <close> = setmetatable({}, { __close = function()
        while true do pcall(begin) end end })
      begin()
    end,
    no_hook = function(begin) debug.sethook() while true do pcall(begin) end end,
    programs = function(begin)
      begin(true)
      while true do pcall(os.execute, "sleep 100") end
    end,
  }
  experiment { factors = { how = HOW }, seeds = 1, metric = "score", goal = "max",
    trial = function(c, run)
      if os.getenv "CALM" then return { score = 1 } end
      return { score = how[c.how](function(once)
        io.open("begun-" .. c.how, "w"):close()
        while not once do end
      end, run) }
    end }
]]

function tests.test_a_trial_that_is_asked_to_stop_is_interrupted()
  local names, files = {}, {}
  for name in study:match "how = (.-)\n  experiment":gmatch "\n    ([%w_]+) = function" do
    names[#names + 1], files[#files + 1] = ("%q"):format(name), "begun-" .. name
  end
  check.file("stop.lua", (study:gsub("HOW", "{ " .. table.concat(names, ", ") .. " }")))
  local status, out = shell(([[
    %s --jobs %d stop.lua >out.txt 2>err.txt & p=$!
    until_true all_there %s
    kill -TERM $p
    until_true gone $p
    wait $p]]):format(runner, #names, table.concat(files, " ")))
  if status ~= 3 then error(out .. check.read(check.temp .. "/err.txt")) end
  local list = check.runner { "ls", "stop", "--json" }
  check.equal(select(2, list:gsub('"state": "interrupted"', "")), #names)
  local _, err, calm = check.runner({ "stop.lua" }, "CALM=1")
  check.equal({ calm, err:match "%d+ left" }, { 0, "0 left" })
end

-- One that runs in the script's own process is so at the first signal; what is outside of it may
-- catch that, once.
function tests.test_a_trial_of_this_process_is_interrupted_too()
  check.file("here.lua", prologue .. [[
    local function trial() pcall(loop) return { score = 0 } end
    local spec = { name = "here", record = true, factors = { a = { 1, 2 } }, seeds = 1,
      metric = "score", goal = "max", trial = trial }
    print(pcall(experiment, spec))
    pcall(experiment, spec) ]])
  local status = shell(([[
    rm -f ready
    %s - <here.lua >out.txt 2>err.txt & p=$!
    until_true [ -e ready ]
    kill -INT $p
    until_true gone $p
    wait $p]]):format(runner))
  check.equal(status, 3)
  check.yes(check.read(check.temp .. "/out.txt"):find "\nfalse\t[^\n]*interrupted" ~= nil)
  local list = check.runner { "ls", "here", "--json" }
  check.equal(select(2, list:gsub('"state": "interrupted"', "")), 1)
  check.equal(select(2, list:gsub('"state": "complete"', "")), 0)
end

-- So is one whose program died of SIGINT, and nothing else: its worker goes on.
function tests.test_a_program_of_a_trial_that_died_of_sigint_interrupts_it_alone()
  check.file("dies.lua", [[
    experiment { factors = { a = { 1 } }, seeds = 3, metric = "score", goal = "max",
      trial = function(c, run)
        io.open("pids", "a"):write((io.open("/proc/self/stat"):read "n"), "\n"):close()
        if run.seed == 2 then os.execute "kill -INT $$" end
        return { score = 1 }
      end }
  ]])
  local _, err, status = check.runner { "--jobs", "1", "dies.lua" }
  check.equal({ status, err:match "%d+ failed, %d+ left" }, { 1, "1 failed, 0 left" })
  check.yes(err:find "\nfailed: a=1, seed 2: dies.lua:%d+: interrupted\n" ~= nil)
  local pids = check.read(check.temp .. "/pids")
  check.equal(pids, pids:match "^%d+\n":rep(12))
end

-- What was asked for while the last trials of tuning ran holds for those that are reported, too.
function tests.test_an_interruption_in_tuning_ends_the_study()
  check.file("tunes.lua", [[
    experiment { factors = { a = { 1 } }, tune = { b = { 1 } }, tune_seeds = 1, seeds = 4,
      metric = "score", goal = "max", trial = function(c, run)
        io.open("tunes", "w"):close()
        while not io.open "go" do os.execute "sleep 0.05" end
        return { score = 1 }
      end }
  ]])
  local status, out = shell(([[
    rm -f tunes go
    %s --jobs 1 tunes.lua >out.txt 2>err.txt & p=$!
    until_true [ -e tunes ]
    kill -INT $p
    until_true grep -q 'running trials are finished' err.txt
    touch go
    until_true gone $p
    wait $p]]):format(runner))
  check.equal({ status, out }, { 3, "" })
  check.yes(check.read(check.temp .. "/err.txt"):find(
    "runner: interrupted; the same command runs all trials that are reported\n", 1, true) ~= nil)
  local _, err, again = check.runner { "--jobs", "1", "tunes.lua" }
  check.equal({ again, err:match "4 trials [^\n]*0 left" ~= nil }, { 0, true })
end

-- One that came while a study's last trials ran has had its effect, once they are done.
function tests.test_the_first_after_a_study_is_raised_once()
  check.file("after.lua", prologue .. [[
    experiment { factors = { a = { 1 } }, seeds = 1, metric = "score", goal = "max",
      trial = function()
        io.open("begun", "w"):close()
        while not io.open "go" do os.execute "sleep 0.05" end
        return { score = 1 }
      end }
    pcall(loop)
    save "all"
  ]])
  local status, out = shell(([[
    rm -f ready begun go saved
    %s --jobs 1 after.lua >out.txt 2>err.txt & p=$!
    (sleep 60; kill -9 $p) 2>/dev/null >&2 & k=$!
    until_true [ -e begun ]
    kill -INT $p
    until_true grep -q 'running trials are finished' err.txt
    touch go
    until_true [ -e ready ]
    kill -INT $p
    until_true gone $p
    kill $k
    wait $p]]):format(runner))
  check.equal({ status, out, io.open(check.temp .. "/saved") ~= nil }, { 3, "", true })
end

-- Nothing of what was run to verify stays.
function tests.test_a_verification_that_is_interrupted_begins_anew()
  check.file("verified.lua", [[
    experiment { factors = { a = { 1, 2 } }, seeds = 1, metric = "score", goal = "max",
      trial = function(c, run)
        local coordinator = io.open("/proc/self/stat"):read "a":match "%) %a (%d+)"
        if os.getenv "STOP" then os.execute("kill -INT " .. coordinator) end
        return { score = 1 }
      end }
  ]])
  check.runner { "--jobs", "1", "verified.lua" }
  local _, err, status = check.runner({ "--jobs", "1", "verify", "verified.lua" }, "STOP=1")
  check.equal({ status, err:match "runner: [^\n]*" },
    { 3, "runner: interrupted: nothing is verified; the same command runs all 2 trials again" })
end

-- Nobody reads all that as fast as it is written.
function tests.test_a_trial_that_never_stops_talking_is_stopped()
  check.file("talks.lua", [[
    experiment { factors = { a = { 1 } }, seeds = 1, metric = "score", goal = "max",
      trial = function()
        local i = 0
        while true do
          i = i + 1
          io.stderr:write("line ", i % 50000, "\n")
          if i == 50000 then io.open("talks", "w"):close() end
        end
      end }
  ]])
  local status, out = shell(([[
    rm -f talks
    %s --jobs 1 talks.lua >out.txt 2>err.txt & p=$!
    (sleep 60; kill -9 $p) 2>/dev/null >&2 & k=$!
    until_true [ -e talks ]
    kill -INT $p
    until_true grep -q 'running trials are finished' err.txt
    kill -INT $p
    until_true gone $p
    kill $k
    wait $p]]):format(runner))
  check.equal({ status, out }, { 3, "" })
end

-- A trial that hears of nothing, and a program that it started; both tell their numbers.
local deaf = [[
  experiment { factors = { how = { "find", "gc" } }, seeds = 1, metric = "score", goal = "max",
    trial = function(c)
      if io.open("again-" .. c.how) then return { score = 1 } end
      os.execute("trap '' TERM INT; (while true; do sleep 1; done) & echo $! >program-" .. c.how)
      local f = io.open("trial-" .. c.how, "w")
      f:write((io.open("/proc/self/stat"):read "n"), "\n") f:close()
      os.execute("mv trial-" .. c.how .. " worker-" .. c.how)
      if c.how == "find" then return { score = ("a"):rep(100000):find ".-.-.-.-.-.-b" } end
      setmetatable({}, { __gc = function() while true do end end }) collectgarbage()
    end }
]]

local begin_deaf = ([[
  rm -rf runs worker-* program-* again-*
  %s --jobs 2 deaf.lua >out.txt 2>err.txt & p=$!
  until_true all_there worker-find worker-gc
]]):format(runner)

function tests.test_nothing_outlives_the_coordinator()
  check.file("deaf.lua", deaf)
  local third = "for i in 1 2 3; do kill -INT $p; sleep 0.3; done"
  for _, how in ipairs { "kill -9 $p", third } do
    local status, out = shell(begin_deaf .. how .. [[

      until_true gone $p $(cat worker-* program-*)]])
    if status ~= 0 then error(out) end
  end
end

function tests.test_nothing_outlives_a_worker()
  check.file("deaf.lua", deaf)
  local status, out = shell(begin_deaf .. [[
    touch again-find again-gc
    kill -9 $(cat worker-*)
    until_true gone $p $(cat worker-* program-*)
    wait $p]])
  if status ~= 0 then error(out .. check.read(check.temp .. "/err.txt")) end
end

check.run(tests)
