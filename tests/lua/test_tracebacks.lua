-- An error says where it was raised and how the script came there: from the innermost frame on,
-- once, and with one position, also where C calls Lua in between.

local check = dofile "tests/check.lua"
local tests = {}

local function count(text, part) return select(2, text:gsub(part, "")) end

-- What the script says on stderr, which must have all the parts, one position of the culprit's
-- line and one traceback, in which the function is.
local function told(code, culprit, ...)
  local path = check.file("s.lua", code)
  local _, err, status = check.runner { path }
  check.equal(status, 1)
  for _, part in ipairs { culprit, ... } do
    check.yes(err:find(part, 1, true) ~= nil, ("%q is not in: %s"):format(part, err))
  end
  check.equal(count(err, "stack traceback:"), 1, err)
  local head = err:match "runner: (.-)\nstack"
  check.equal(count(head, "s%.lua:%d+:"), 1, err)
  for _, own in ipairs { "%[C%]: in %?", "%[runner%]" } do check.equal(err:find(own), nil, err) end
  return err
end

local bad = "local function bad(l) return l:item() end\n"
local set = [[
  local set = data.moons { n = 32 }
  local function fit(o)
    o.verbose, o.record, o.loss = false, false, o.loss or "cross_entropy"
    train.fit(nn.Sequential { o.layer or nn.Identity(), nn.Dense(2) }, set, { loss = o.loss,
      metrics = o.metrics, callbacks = o.callbacks, optimizer = o.optimizer,
      verbose = false, record = false })
  end
]]

function tests.test_the_innermost_frame_of_a_script()
  told("local function f(l) return l:item() end print(1, f(3))", "s.lua:1: in local 'f'",
    "s.lua:1: attempt to index a number value")
  told("local function f() error 'why' end f()", "in function 'error'", "s.lua:1: in local 'f'",
    "s.lua:1: why")
  told("local function f() return tensor { 1, 2 }:reshape(3) + 1 end print(f(), 2)",
    "s.lua:1: in local 'f'", "reshape")
end

function tests.test_functions_that_a_fit_calls()
  local calls = {
    "fit { layer = nn.Lambda(function(x) bad(3) return x end) }",
    "fit { layer = { forward = function(_, x) bad(3) return x end } }",
    "fit { loss = function(y, t) bad(3) return y:sum() end }",
    "fit { metrics = { function() bad(3) return 1 end } }",
    "fit { metrics = { { name = 'm', add = function() bad(3) end, " ..
      "finish = function() return 1 end } } }",
    "fit { callbacks = { function() bad(3) end } }",
    "fit { callbacks = { { epoch_end = function() bad(3) end } } }",
    "fit { optimizer = optim.SGD { lr = 0.1, schedule = function() bad(3) return 1 end } }",
    "fit { layer = nn.Dense(2, { activation = function(x) bad(3) return x end }) }",
  }
  for _, call in ipairs(calls) do
    local err = told(bad .. set .. call, "s.lua:1: in upvalue 'bad'",
      "s.lua:1: attempt to index a number value", "in main chunk")
    check.yes(err:find("train.fit", 1, true) ~= nil, err)
  end
end

function tests.test_functions_that_others_call()
  local of = "s.lua:1: in upvalue 'bad'"
  told(bad .. "nn.Lambda(function(x) bad(3) return x end)(tensor.ones(2, 2))", of)
  told(bad .. "grad(function(x) bad(3) return x:sum() end)(tensor { 1, 2 })", of)
  told(bad .. [[
    local net = nn.Sequential { nn.Dense(2) }
    train.step(function(x) bad(3) return net(x):sum() end, net, "sgd")(tensor.ones(2, 2))]], of)
end

-- Values that an op refuses when it is computed: the place is the op's.
function tests.test_values_that_an_op_refuses()
  told("local t = tensor({ 4 }, { dtype = 'int32' }):one_hot(3)\nprint(t:item())",
    "s.lua:1: one_hot: index 4", "s.lua:2: in main chunk")
  local labels = "local set = data.spirals { n = 30, classes = 3 }\n"
  local net = "local net = nn.Sequential { nn.Dense(2) }\n"
  local refused = "softmax_cross_entropy: label 3"
  told(labels .. net .. "net:build { 2 } net:evaluate(set, { loss = 'cross_entropy' })", refused)
  told(labels .. net .. "train.fit(net, set, { loss = 'cross_entropy', record = false, " ..
    "verbose = false })", refused)
  told(labels .. net .. [[
    local step = train.step(function(x, y) return loss.cross_entropy(net(x), y) end, net, "sgd")
    for x, y in set:batches(30) do step(x, y) end]], refused)
end

-- What an error was raised as is kept: a text with its first position, a table as it is.
function tests.test_what_a_script_catches()
  local ok, message = pcall(grad(function() error { code = 7 } end), tensor { 1 })
  check.equal({ ok, message.code }, { false, 7 })
  told(bad .. set .. [[
    local ok, message = pcall(fit, { layer = nn.Lambda(function(x) bad(3) return x end) })
    error("again: " .. message, 0)]], "in upvalue 'bad'", "runner: again: ", "s.lua:1: attempt")
end

function tests.test_a_trial_that_fails()
  local path = check.file("trial.lua", bad .. set .. [[
    experiment { name = "e", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function() fit { layer = nn.Lambda(function(x) bad(3) return x end) } end }]])
  for _, words in ipairs { { path }, { "-e", check.read(path) } } do
    local out, err = check.runner { "--runs", "trial", table.unpack(words) }
    check.yes((out .. err):find("attempt to index a number value", 1, true) ~= nil, out .. err)
  end
  local file = assert(io.popen(("cat '%s'/trial/e/trials/*/result.json"):format(check.temp)))
  local results = file:read "a"
  file:close()
  check.equal(count(results, "stack traceback:"), 2)
  check.equal(count(results, "in upvalue 'bad'"), 2)
  check.equal(count(results, '"message": "%S*trial.lua:1: attempt'), 2, results)
end

function tests.test_levels_that_follow_from_others()
  told(bad .. [[
    experiment { name = "f", factors = { a = { 1 }, b = function(c) bad(3) return {} end },
      seeds = 1, metric = "loss", record = false, trial = print }]], "in upvalue 'bad'")
end

check.run(tests)
