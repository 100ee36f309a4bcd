-- Training through the public interface: what optimizers compute, what fits refuse and
-- keep, and how a signal ends a script.

local check = dofile "tests/check.lua"
local tests = {}

local SCE = "sparse_categorical_crossentropy"

-- -- optimizers against their formulas ------------------------------------------------

local start = { 0.5, -1.2, 2.0 }
local gradients = { { 0.3, -0.7, 5 }, { -0.1, 0.2, -3 }, { 1e-4, 0, 0.5 }, { 2, 2, 2 } }

-- Steps along given gradients; formula(w, g, state) changes w in place.
local function follows(optimizer, formula)
  local w = tensor.variable(tensor(start))
  local step = train.step(function(g) return (w * g):sum() end, { w }, optimizer)
  local want, state = { table.unpack(start) }, { t = 0, m = { 0, 0, 0 }, v = { 0, 0, 0 } }
  for _, g in ipairs(gradients) do
    step(tensor(g))
    state.t = state.t + 1
    formula(want, g, state)
  end
  check.near(w, want, 1e-5)
end

local function each(f)
  return function(w, g, s)
    for i = 1, 3 do w[i] = f(w[i], g[i], s, i) end
  end
end

local function clipped(limit, formula)
  return function(w, g, s)
    local norm = math.sqrt(g[1] ^ 2 + g[2] ^ 2 + g[3] ^ 2)
    local scale = math.min(1, limit / norm)
    formula(w, { g[1] * scale, g[2] * scale, g[3] * scale }, s)
  end
end

local plain = each(function(w, g) return w - 0.1 * g end)

function tests.test_sgd()
  follows(optim.SGD { lr = 0.1 }, plain)
  follows(optim.SGD { lr = 0.1, momentum = 0.9, weight_decay = 0.05 },
    each(function(w, g, s, i)
      s.v[i] = 0.9 * s.v[i] + g + 0.05 * w
      return w - 0.1 * s.v[i]
    end))
  follows(optim.SGD { lr = 0.1, momentum = 0.9, nesterov = true }, each(function(w, g, s, i)
    s.v[i] = 0.9 * s.v[i] + g
    return w - 0.1 * (g + 0.9 * s.v[i])
  end))
end

local function adam(coupled, decoupled)
  return each(function(w, g, s, i)
    g = g + coupled * w
    s.m[i] = 0.9 * s.m[i] + 0.1 * g
    s.v[i] = 0.999 * s.v[i] + 0.001 * g * g
    local m, v = s.m[i] / (1 - 0.9 ^ s.t), s.v[i] / (1 - 0.999 ^ s.t)
    return w - 0.01 * (m / (math.sqrt(v) + 1e-8) + decoupled * w)
  end)
end

function tests.test_adam_and_adamw()
  follows(optim.Adam { lr = 0.01 }, adam(0, 0))
  follows(optim.Adam { lr = 0.01, weight_decay = 0.1 }, adam(0.1, 0))
  follows(optim.AdamW { lr = 0.01, weight_decay = 0.1 }, adam(0, 0.1))
end

function tests.test_clipping()
  follows(optim.SGD { lr = 0.1, clipnorm = 0.5 }, clipped(0.5, plain))
  follows(optim.SGD { lr = 0.1, global_clipnorm = 0.5 }, clipped(0.5, plain))
  follows(optim.SGD { lr = 0.1, clipvalue = 0.4 }, each(function(w, g)
    return w - 0.1 * math.max(-0.4, math.min(0.4, g))
  end))
  local a, b = tensor.variable(tensor { 3, 4 }), tensor.variable(tensor { 12 })
  local step = train.step(function() return (a * a):sum() / 2 + (b * b):sum() / 2 end,
    { a, b }, optim.SGD { lr = 1, global_clipnorm = 1 })
  step()
  check.near(a, { 3 - 3 / 13, 4 - 4 / 13 }, 1e-5)
  check.near(b, { 12 - 12 / 13 }, 1e-5)
end

-- -- fits ------------------------------------------------------------------------------

local function small()
  return nn.Sequential { nn.Dense(8, { activation = "tanh" }), nn.Dense(3) }
end

local function fit(options, net)
  options.loss, options.verbose = options.loss or SCE, false
  return train.fit(net or small(), data.spirals { n = 60, classes = 3 }, options)
end

function tests.test_missing_arguments_are_named()
  check.fails(function() train.fit(small(), data.moons()) end, "loss", "missing")
  check.fails(function() train.fit(small()) end, "argument #2", "data set")
end

function tests.test_wrong_elements_of_lists_name_the_option()
  check.fails(function() fit { callbacks = { 1 } } end, 'train.fit: option "callbacks"',
    "a number")
  check.fails(function() fit { metrics = { "acuracy" } } end, 'train.fit: option "metrics"',
    'did you mean "accuracy"')
  check.fails(function() nn.Sequential { nn.Dense(1), 7 } end, "nn.Sequential", "a number")
end

function tests.test_an_option_given_twice_is_refused()
  check.fails(function() optim.SGD { lr = 1, learning_rate = 2 } end, '"lr"', "twice")
  check.fails(function() nn.Dense(2, { bias = true, use_bias = false }) end, "twice")
  check.fails(function() fit { validation = 0.1, validation_split = 0.2 } end, "twice")
end

function tests.test_two_metrics_need_two_names()
  local function f(output) return output:sum() end
  check.fails(function() fit { metrics = { f, f } } end, '"metric"', "another name")
  check.fails(function() fit { metrics = { "accuracy", "acc" } } end, '"accuracy"')
  check.fails(function() fit { metrics = { train.metric(f, { name = "loss" }) } } end, '"loss"')
  local h = fit { metrics = { f, train.metric(f, { name = "again" }) } }
  check.equal(h.metric, h.again)
end

function tests.test_early_stopping_ends_with_the_best_weights()
  local best, least, net = nil, math.huge, small()
  local function values(n)
    local all = {}
    for name, t in pairs(n:state()) do all[name] = t:totable() end
    return all
  end
  local h = fit({ epochs = 40, validation = 0.3, optimizer = optim.SGD { lr = 2, momentum = 0.9 },
    callbacks = { train.early_stopping { patience = 3 }, function(info)
      if info.val_loss < least then least, best = info.val_loss, values(info.net) end
    end } }, net)
  check.yes(h.stopped and h.best_epoch == #h.loss - 3)
  check.equal(values(net), best)
end

-- A single output is judged by the same rule in evaluate and predict_classes.
function tests.test_accuracy_of_a_logit_without_a_loss()
  local net = nn.Sequential { nn.Dense(1, { init = "ones" }) }
  local set = data.set(tensor { { 0.2 }, { -0.2 } }, tensor({ 2, 1 }, { dtype = "int32" }))
  check.equal(net:predict_classes(tensor { { 0.2 }, { -0.2 } }):totable(), { 2, 1 })
  check.equal(net:evaluate(set).accuracy, 1.0)
end

function tests.test_load_says_what_is_no_tensor()
  local net = small():build { 2 }
  check.fails(function() net:load { ["dense_1.bias"] = 5 } end, "dense_1.bias = a number")
end

function tests.test_empty_layer_name()
  check.fails(function() nn.Sequential { nn.Dense(1, { name = "" }) }:build { 1 } end, "name")
end

-- -- signals ---------------------------------------------------------------------------

-- Runs the script, sends it the signal once it has written its pid file; gives stdout,
-- stderr and the exit status. A script that does not end is killed after ten seconds.
local function signalled(signal, code)
  local path = check.file("long.lua", code)
  local dir = check.temp
  local command = ("cd '%s' && rm -rf ready runs-signal && { '%s' --runs runs-signal '%s' "
    .. ">out.txt 2>err.txt & p=$!; while [ ! -e ready ] && kill -0 $p; do sleep 0.05; done; "
    .. "kill -%s $p; (sleep 10; kill -9 $p) 2>/dev/null >&2 & k=$!; wait $p; s=$?; "
    .. "kill $k; exit $s; } 2>/dev/null"):format(dir, os.getenv "RUNNER", path, signal)
  local _, _, status = os.execute(command)
  return check.read(dir .. "/out.txt"), check.read(dir .. "/err.txt"), status
end

local prologue = [[
  local function ready() io.open("ready", "w"):close() end
  local set = data.spirals { n = 300, classes = 3 }
  local net = nn.Sequential { nn.Dense(8), nn.Dense(3) }
  local options = { loss = "sparse_categorical_crossentropy", epochs = 1000000,
    callbacks = { function(info) if info.epoch == 2 then ready() end end } }
]]

function tests.test_a_signal_ends_a_fit_and_keeps_its_record()
  for _, signal in ipairs { "INT", "TERM" } do
    local _, err, status = signalled(signal, prologue .. [[train.fit(net, set, options)]])
    check.equal(status, 3)
    local result = check.read(check.temp .. "/" .. err:match "record: (%S+)" .. "/result.json")
    check.yes(result:find('"state": "interrupted"', 1, true) ~= nil)
    check.yes(result:find('"loss"', 1, true) ~= nil)
    local metrics = check.read(check.temp .. "/" .. err:match "record: (%S+)" .. "/metrics.csv")
    local header, rows = metrics:match "^(epoch,loss[^\n]*)\n(.*)\n$"
    local epoch = 0
    for row in rows:gmatch "[^\n]+" do
      epoch = epoch + 1
      check.equal(tonumber(row:match "^(%d+),"), epoch)
      check.equal(select(2, row:gsub(",", "")), select(2, header:gsub(",", "")))
    end
    check.yes(epoch >= 2)
  end
end

function tests.test_a_signal_ends_a_loop_of_steps()
  local _, _, status = signalled("INT", prologue .. [[
    local step = train.step(function(x, y)
      return loss.sparse_categorical_crossentropy(net(x), y)
    end, net, "sgd")
    while true do
      for x, y in set:batches(32) do step(x, y) end
      ready()
    end]])
  check.equal(status, 3)
end

function tests.test_a_signal_ends_a_script_that_only_computes()
  local _, _, status = signalled("TERM", [[
    io.open("ready", "w"):close()
    while true do end]])
  check.equal(status, 3)
end

function tests.test_a_signal_ends_a_script_that_catches_faults()
  local _, _, status = signalled("TERM", prologue .. [[
    while true do pcall(train.fit, net, set, options) end]])
  check.equal(status, 3)
end

function tests.test_what_was_learned_can_be_saved_after_a_signal()
  local out, err, status = signalled("INT", prologue .. [[
    local ok = pcall(train.fit, net, set, options)
    net:save "kept.safetensors"
    print(ok, #train.history().loss > 1)]])
  check.equal({ out, status }, { "false\ttrue\n", 3 })
  check.yes(check.read(check.temp .. "/kept.safetensors"):find("dense_2.bias", 1, true) ~= nil)
  local result = check.read(check.temp .. "/" .. err:match "record: (%S+)" .. "/result.json")
  check.yes(result:find('"state": "interrupted"', 1, true) ~= nil)
end

check.run(tests)
