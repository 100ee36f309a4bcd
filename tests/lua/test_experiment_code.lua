-- The code of a trial: what counts as changed code and what does not. A study is run, its
-- script is edited and run again; exit status 2 asks what to do with results of other code.

local check = dofile "tests/check.lua"
local tests = {}

local function replaced(text, from, to)
  local at, stop = text:find(from, 1, true)
  assert(at, from)
  return text:sub(1, at - 1) .. to .. text:sub(stop + 1)
end

local n_runs = 0

-- Runs the script, then the same with `from` in place of `to`; status and stderr of the latter.
local function rerun(text, from, to)
  n_runs = n_runs + 1
  local function run(script)
    return check.runner { "--runs", "runs" .. n_runs, "--jobs", "1", check.file("x.lua", script) }
  end
  local _, err, status = run(text)
  if status ~= 0 then error(err) end
  _, err, status = run(replaced(text, from, to))
  return status, err
end

-- A study of one trial, with `head` before it, whose loss is the expression.
local function study(head, loss, factors)
  return ("%s\nexperiment { name = 'x', seeds = 1, metric = 'loss', factors = { %s },\n"
    .. "trial = function(c, run) return { loss = %s } end }\n"):format(head,
    factors or "a = { 1 }", loss)
end

-- Each: what is at the head of a script, the loss, what is edited there, and to what.
local function all_change(cases)
  for _, case in ipairs(cases) do
    local head, loss, from, to, factors = table.unpack(case, 1, 5)
    local status, err = rerun(study(head, loss, factors), from, to)
    if status ~= 2 then error(("%s -> %s: status %s: %s"):format(from, to, status, err)) end
  end
end

local function none_change(cases)
  for _, case in ipairs(cases) do
    local head, loss, from, to, factors = table.unpack(case, 1, 5)
    local status, err = rerun(study(head, loss, factors), from, to)
    if status ~= 0 or not err:find("0 to run", 1, true) then
      error(("%s -> %s: status %s: %s"):format(from, to, status, err))
    end
  end
end

-- A result of an earlier program, whose trainings gave other bytes, is one of other code.
function tests.test_numerics()
  local path = check.file("numerics.lua", study("", "1"))
  local function run() return check.runner { "--runs", "old", "--jobs", "1", path } end
  local function records(pattern)
    local list = io.popen("ls " .. check.temp .. "/old/x/" .. pattern)
    local names = list:read "a"
    list:close()
    return names:gmatch "[^\n]+"
  end
  local function write(record, text)
    local f <close> = assert(io.open(record, "wb"))
    f:write(text)
  end
  run()
  local at = records "code/*-listing" ()
  local listing, now = check.read(at), at:match "(%x+)%-listing$"
  local before = now:reverse()
  local number = math.tointeger(listing:match "\nnumerics\t(%d+)\n")
  local was, is = "numerics\t" .. number - 1, "numerics\t" .. number
  write(at:gsub(now, before), replaced(listing, is, was))
  for record in records "trials/*/*.json" do
    local text = check.read(record):gsub(now, before)
    write(record, text)
  end
  local _, err, status = run()
  check.equal(status, 2)
  check.yes(err:find(("numerics: %d  ->  %d"):format(number - 1, number), 1, true) ~= nil)
end

local called = "net(tensor { { 1 } }):sum():item()"
local net = "local net = nn.Sequential { nn.Dense(3, { init = 'ones' }), nn.Lambda(function(x) "
  .. "return x * 2 end), nn.Residual(nn.Dense(3, { activation = function(x) return x + 1 end }))"
  .. " }"

function tests.test_options_and_functions_of_layers()
  all_change {
    { net, called, "Dense(3", "Dense(50" },
    { net, called, "x * 2", "x * 30" },
    { net, called, "x + 1", "x + 5" },
    { net, called, "'ones'", "init.constant(2)" },
    { "local net = nn.Lambda(function(x) return x * 2 end)", called, "x * 2", "x * 30" },
    { "local k = 2 local net = nn.Lambda(function(x) return x * k end)", called, "k = 2", "k = 3" },
    { "local net = nn.Dense(1, { activation = function(x) return x end })", called,
      "return x", "return -x" },
    { "local net = { forward = function(self, x) return self.a(x) end, a = nn.Dense(2) }",
      "nn.Sequential { net }(tensor { { 1 } }):sum():item()", "Dense(2)", "Dense(3)" },
    { "local w = tensor.variable(tensor { 2 })", "w:sum():item()", "{ 2 }", "{ 3 }" },
    { "local f = grad(function(x) return x * 3 end)", "f(tensor { 1 }):item()", "x * 3", "x * 4" },
  }
end

function tests.test_keys_of_tables()
  local head = "local a, b, f = nn.Dense(1), nn.Dense(2), function() return 3 end "
    .. "local t = { [a] = 10, [b] = 20, [f] = 30, [true] = 40, [1.5] = 50 } t[t] = 60"
  local loss = "t[a] + t[b] + t[f] + t[true] + t[1.5] + t[t]"
  local cases = {}
  for i, digit in ipairs { "10", "20", "30", "40", "50", "60" } do
    cases[i] = { head, loss, digit, "70" }
  end
  all_change(cases)
  none_change { { head, loss, "local", "local  " }, { head, loss, "local", "local   " } }
end

function tests.test_weights_of_nets()
  local built = "local net = nn.Sequential { nn.Dense(1), nn.BatchNorm() }:build { 1 }\n"
  local first = "net:load { ['dense_1.weight'] = tensor { { 2 } }, ['dense_1.bias'] = tensor { 0 },"
    .. " ['batch_norm_1.weight'] = tensor { 1 }, ['batch_norm_1.bias'] = tensor { 0 },"
    .. " ['batch_norm_1.running_mean'] = tensor { 0.5 },"
    .. " ['batch_norm_1.running_var'] = tensor { 1 } }"
  all_change {
    { built .. first, called, "{ { 2 } }", "{ { 3 } }" },
    { built .. first, called, "{ 0.5 }", "{ 0.25 }" },
    { built, called, "build { 1 }", "build { 1 }:freeze '*'" },
    { "local other = nn.Dense(1)", "nn.Dense(1)(tensor { { 1 } }):item()", "Dense(1)",
      "Dense(1):build { 1 }" },
  }
  none_change { { built .. first, called, "local net", "-- a comment\nlocal   net" } }
end

function tests.test_optimizers_data_and_steps()
  local fit = "train.fit(nn.Dense(1), set, { loss = 'mse', optimizer = opt, epochs = 1, "
    .. "callbacks = { cb } }).loss[1]"
  local head = "local set = data.set(tensor { { 1 }, { 2 } }, tensor { { 1 }, { 2.5 } }) "
    .. "local cb = train.callback(function(t) return t.loss < 0 end) "
    .. "local opt = optim.SGD { lr = 0.125, schedule = function(t, lr) return lr * 2 end }"
  all_change {
    { head, fit, "0.125", "0.25" },
    { head, fit, "lr * 2", "lr * 3" },
    { head, fit, "t.loss < 0", "t.loss < -1" },
    { head, fit, "2.5", "3.5" },
    { head, fit, "{ 2.5 } })", "{ 2.5 } }):take(1)" },
    { "local set = data.spirals { n = 30, noise = 0.25 }", "#set", "0.25", "0.5" },
    { "local w = tensor.variable(tensor { 1 }) "
      .. "local step = train.step(function() return (w * 3):sum() end, { w }, 'sgd')",
      "step()", "w * 3", "w * 4" },
    { "local w = tensor.variable(tensor { 1 }) "
      .. "local step = train.step(function() return (w * 3):sum() end, { w }, 'sgd')",
      "step()", "'sgd'", "'adam'" },
  }
  none_change { { head, fit, "local cb", "print(#set) local cb" } }
end

-- Sets that methods make of rows count by more than the values: by their unit, by what the numbers
-- stand for, by classes that do not occur; and are the same before and after they are used.
function tests.test_made_sets()
  local images = check.file("images.idx", "\0\0\8\2\0\0\0\2\0\0\0\2\1\2\3\4")
  local labels = check.file("labels.idx", "\0\0\8\1\0\0\0\2\0\1")
  local lines = check.file("lines.txt", "ab\nb")
  all_change {
    { ("local set = data.idx(%q, %q, { scale = true }):one_hot()"):format(images, labels),
      "set:tensors():sum():item()", "true", "false" },
    { ("local set = data.lines(%q, { vocabulary = 'abc' }):cache()"):format(lines),
      "#set.vocabulary", "'abc'", "'abd'" },
    { "local y = tensor({ 1, 2 }, { dtype = 'int32' }) "
      .. "local set = data.set(tensor { { 1 }, { 2 } }, y, { classes = 3 }):cache()",
      "set.classes", "classes = 3", "classes = 4" },
  }
  none_change { { "local set = data.parity { n = 9, length = 4, shortest = 1 }:buckets(2):cache()",
    "#set", ":cache()", ":cache() print(#set)" } }
end

function tests.test_library_values_and_globals()
  all_change {
    { "local f = math.floor", "f(1.5)", "floor", "ceil" },
    { "local f = nn.relu", "nn.Sequential { f() }(tensor { { -1 } }):item()", "relu", "sigmoid" },
    { "local n = 9007199254740992", "n % 2", "992", "993" },
    { "rawset(_G, 'k', function() return 1 end)", "k()", "return 1", "return 2" },
    { "nn.One = function() return nn.Dense(1) end", "#nn.One():parameters()", "Dense(1)",
      "Dense(2)" },
    { "local f = coroutine.wrap(function() return 1 end)", "f()", "return 1", "return 2" },
  }
end

-- A script that is read from stdin has no text to look at.
function tests.test_globals_of_a_script_without_a_file()
  local text = replaced(study("rawset(_G, 'k', function() return 1 end)", "k()"), "seeds = 1",
    "seeds = 1, record = true")
  local function run(script)
    local _, _, status = os.execute(("cd %s && %s --runs stdin - < %s > out.txt 2> err.txt")
      :format(check.temp, os.getenv "RUNNER", check.file("stdin.lua", script)))
    return status
  end
  check.equal({ run(text), run(text), run(replaced(text, "return 1", "return 2")) }, { 0, 0, 2 })
end

-- What a script trains before its experiment counts by its weights, not by times.
function tests.test_what_was_trained_before()
  local head = "local set = data.set(tensor { { 1 }, { 2 } }, tensor { { 1 }, { 2.5 } }) "
    .. "local net, opt = nn.Dense(1), optim.Adam { lr = 0.5 } "
    .. "local before = train.fit(net, set, { loss = 'mse', optimizer = opt, epochs = 2 })"
  local loss = called .. " + opt.lr + before.loss[1]"
  all_change { { head, loss, "0.5", "0.25" }, { head, loss, "epochs = 2", "epochs = 3" },
    { "nn.Dense(1):build { 1 }", "nn.Dense(1)(tensor { { 1 } }):item()", "nn", "nn.Dense(1):build "
      .. "{ 1 } nn" } }
  none_change { { head, loss, "local set", "local   set" },
    { "local limit = { time_s = 1 }", "limit.time_s", "local", "local  " } }
  all_change { { "local limit = { time_s = 1 }", "limit.time_s", "time_s = 1", "time_s = 2" } }
end

-- What only has an address counts by its type.
function tests.test_addresses_are_not_listed()
  none_change {
    { "local co, out = coroutine.create(function() return 1 end), io.stdout",
      "select(2, coroutine.resume(co)) + (out and 1 or 0)", "local", "local  " },
    { "local f, id = ('a b'):gmatch '%w', debug.upvalueid(function() return check end, 1)",
      "f() and id and 1 or 0", "local f", "local   f" },
    { "local t = {} t.net = nn.Lambda(function(x) return t.net and x end)",
      "t.net(tensor { 1 }):item()", "local", "local  " },
  }
end

function tests.test_named_levels()
  local factors = "opt = { 'adam', 'sgd' }, lr = function(c) return { name = 'best', value = "
    .. "c.opt == 'adam' and 0.001 or 0.1 } end"
  local text = study("", "c.lr", factors)
  local status, err = rerun(text, "0.1 }", "0.5 }")
  check.equal(status, 2)
  check.yes(err:find("1 of the trials", 1, true) ~= nil)
  check.yes(err:find("lr=best: float 0.10000000000000001  ->  float 0.5", 1, true) ~= nil)
  check.equal((rerun(text, "0.001", "0.002")), 2)
  all_change { { "", "c.a(tensor { 1 }):item()", "x * 2", "x * 3",
    "a = { { name = 'mine', value = nn.Lambda(function(x) return x * 2 end) } }" } }
end

function tests.test_types_of_levels()
  local text = study("", "c.norm and 1 or 2", "norm = { 'true', 'false' }")
  check.equal((rerun(text, "'true', 'false'", "true, false")), 2)
  text = study("", "c.n", "n = { 1, 2 }")
  local status, err = rerun(text, "1, 2", "1, 2.0")
  check.equal(status, 2)
  check.yes(err:find("1 of the trials", 1, true) ~= nil)
  check.yes(err:find("n: integer  ->  float", 1, true) ~= nil)
  none_change { { "", "c.n", "1, 2", "2, 1", "n = { 1, 2 }" },
    { "", "c.n", "seeds = 1", "seeds = { 1 }", "n = { 1, 2 }" } }
  status, err = rerun(text, "1, 2", "3.5, 1, 2")
  check.equal(status, 0)
  check.yes(err:find("3 trials: 2 done, 0 failed, 1 to run", 1, true) ~= nil)
end

function tests.test_types_of_tuned_values()
  local text = study("", "c.k + c.a", "a = { 1 }")
  text = replaced(text, "seeds = 1", "seeds = 1, tune = { k = { 1, 2 } }, tune_seeds = 1")
  check.equal((rerun(text, "{ 1, 2 }", "{ 1.0, 2.0 }")), 2)
  check.equal((rerun(text, "{ 1, 2 }", "{ 2, 1 }")), 0)
end

local function digests(runs)
  local pipe = io.popen(("cd %s/%s/x/trials && grep -ho 'digest[^,]*' */result.json")
    :format(check.temp, runs))
  local text = pipe:read "a"
  pipe:close()
  return text
end

-- Trials in place number their nets on from the script's, whatever ran before them there.
function tests.test_tuning_in_place_and_in_workers()
  local text = study("", "nn.Dense(1, { init = 'he_normal' })(tensor { { 1 } }):item() + c.k")
  local path = check.file("in-place.lua", replaced(text, "seeds = 1",
    "seeds = 2, record = true, tune = { k = { 1, 2 } }, tune_seeds = 1"))
  check.runner { "--runs", "worker", path }
  for _ = 1, 2 do
    local _, _, status = os.execute(("cd %s && %s --runs here - < %s > out.txt 2> err.txt")
      :format(check.temp, os.getenv "RUNNER", path))
    check.equal(status, 0)
  end
  check.equal(digests "here", digests "worker")
  check.equal(select(2, digests("here"):gsub("\n", "")), 4)
end

-- A worker keeps what it read for its later trials: each gets the rows that it asks for.
function tests.test_columns_of_a_file_that_is_read_once()
  local path = check.file("columns.csv", "a,p,q\n1,10,20\n2,11,21\n3,12,22\n")
  local text = study("", ("select(2, data.csv(%q, { target = c.t }):tensors()):sum():item()")
    :format(path), "t = { 'p', 'q' }")
  local out = check.runner { "--runs", "columns", "--jobs", "1", check.file("columns.lua", text) }
  check.equal({ out:match "p +1 +(%S+)", out:match "q +1 +(%S+)" }, { "33.0", "63.0" })
end

-- From another directory and with other threads.
function tests.test_run_again_from_elsewhere()
  local text = study(net .. " net:build { 1 }", called)
  local path = check.file("elsewhere.lua", text)
  check.runner { "--runs", check.temp .. "/elsewhere", path }
  os.execute("mkdir -p " .. check.temp .. "/deep")
  for _, command in ipairs { "cd deep && %s --runs ../elsewhere ../elsewhere.lua",
    "%s --runs elsewhere --threads 2 --jobs 2 elsewhere.lua" } do
    os.execute(("cd %s && " .. command .. " > out.txt 2> %s/err.txt"):format(check.temp,
      os.getenv "RUNNER", check.temp))
    local err = check.read(check.temp .. "/err.txt")
    if not err:find("1 done, 0 failed, 0 to run", 1, true) then error(err) end
  end
end

function tests.test_constants_of_the_compiler()
  all_change {
    { "local K <const> = 8", "c.a * K", "= 8", "= 16" },
    { "local K <const> = 'four'", "#K", "four", "three" },
    { "local K <const> = 8 local function f(x) return x * K end", "f(c.a)", "= 8", "= 16" },
    { "local K <const> = 8", "c.f(2)", "= 8", "= 16",
      "f = { { name = 'f', value = function(x) return x * K end } }" },
  }
  none_change { { "local K <const> = 8", "c.a * K", "local", "-- a comment\n\n  local" } }
end

function tests.test_methods_on_one_line()
  local head = "local M = { k = 1 } function M:a() return self.k * 2 end function M:b() "
    .. "return self.k * 3 end"
  all_change { { head, "M:b()", "k * 3", "k * 4" }, { head, "M:a()", "k * 2", "k * 4" } }
end

function tests.test_arguments_as_the_script_left_them()
  all_change {
    { "local args = args { w = 8 } args.w = args.w * 2", "args.w", "* 2", "* 3" },
    { "local args = args { w = 8 } args.h = { 4 }", "args.h[1]", "{ 4 }", "{ 5 }" },
    { "local args = args { seed = 1 }", "args.seed", "= 1", "= 2" },
  }
end

function tests.test_modules_by_what_is_loaded()
  check.file("values.lua", "return { k = 2 }")
  all_change {
    { "require('values').k = 5", "require('values').k", "= 5", "= 6" },
    { "package.preload.q = function() return { k = 3 } end", "require('q').k", "k = 3", "k = 4" },
    { "package.loaded.q = { k = 3 }", "require('q').k", "k = 3", "k = 4" },
    { "local need = require need('values').k = 5", "need('values').k", "= 5", "= 6" },
    { "local n = 'values' require(n).k = 5", "require(n).k", "= 5", "= 6" },
    { "require [[values]].k = 5", "require [[values]].k", "= 5", "= 6" },
  }
  none_change { { "require('values').k = 5", "c.a", "= 5", "= 6" } }
end

function tests.test_a_file_that_a_trial_runs()
  local path = check.file("file.lua", study("", "dofile 'h.lua'"))
  local function run()
    return select(3, check.runner { "--runs", "file", path })
  end
  check.file("h.lua", "return 1")
  check.equal(run(), 0)
  check.file("h.lua", "return 1 -- one")
  check.equal(run(), 0)
  check.file("h.lua", "return 2")
  check.equal(run(), 2)
end

function tests.test_what_scripts_put_into_the_library()
  all_change {
    { "nn.width = 3", "nn.width", "= 3", "= 4" },
    { "math.sin = math.cos", "math.sin(1)", "math.cos", "math.exp" },
    { "rawset(_G, 'F', math.cos)", "F(1)", "math.cos", "math.exp" },
    { "local M = math function M.two(x) return x * 2 end", "M.two(4)", "x * 2", "x * 3" },
    { "function string.twice(s) return #s * 2 end", "('x'):twice()", "* 2", "* 3" },
  }
end

function tests.test_texts_and_keys_that_look_alike()
  all_change {
    { 'local s = "a\\nb"', "#s", 'a\\nb', 'a\\\\nb' },
    { "local t = { [1] = 5 }", "t[1] or 0", "[1]", "['1']" },
    { "local t = { [true] = 5 }", "t[true] or 0", "[true]", "['true']" },
    { "local list = {} for i = 1, 1000 do list[i] = i end", "list[999]", "= i", "= 2 * i" },
    { "local function mk() local n = 0 return function() n = n + 1 end, function() return n end end"
      .. " local i1, g1 = mk() local i2, g2 = mk() local i, g = i1, g1",
      "(i() or g())", "i, g = i1, g1", "i, g = i1, g2" },
  }
end

-- What trials that run in this state leave behind is no change of the code.
function tests.test_memory_of_trials_in_place()
  local path = check.file("memo.lua", [[
    local memo = {}
    local function square(x) memo[x] = memo[x] or x * x return memo[x] end
    experiment { name = "memo", record = true, factors = { a = { 1, 2 } }, seeds = 2,
      tune = { b = { 1, 2, 3 } }, metric = "loss",
      trial = function(c, run) return { loss = square(c.a) + c.b } end }
  ]])
  local text = check.read(path)
  for _, script in ipairs { text, text, "-- a comment\n\n" .. text } do
    check.file("memo.lua", script)
    local status = os.execute(("cd '%s' && '%s' --runs memo - < memo.lua >out.txt 2>&1"):format(
      check.temp, os.getenv "RUNNER"))
    check.yes(status, check.read(check.temp .. "/out.txt"))
  end
end

check.run(tests)
