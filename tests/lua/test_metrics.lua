-- Metrics from Lua: exact over batches, read as the loss reads, remembered by the net.

local check = dofile "tests/check.lua"
local tests = {}

local function int(list) return tensor(list, { dtype = "int32" }) end

local function fit(net, set, options)
  options.verbose, options.record = false, false
  return train.fit(net, set, options)
end

local function line()
  return data.set(tensor { { 1 }, { 2 }, { 3 } }, tensor { { 1 }, { 2 }, { 6 } })
end

-- -- functions of the user ------------------------------------------------------------------

function tests.test_one_number_is_asked_once_for_all_rows()
  local calls, seen = 0, nil
  local rmse = train.metric(function(o, t)
    calls, seen = calls + 1, o.shape
    return (o - t):square():mean():sqrt()
  end, { name = "rmse" })
  for _, size in ipairs { 1, 2, 3 } do
    calls = 0
    local r = nn.Sequential { nn.Identity() }:evaluate(line(), { metrics = { rmse },
      batch_size = size })
    check.near(r.rmse, math.sqrt(3))
    check.equal({ calls, seen }, { 1, { 3, 1 } })
  end
end

function tests.test_a_value_per_row_is_averaged()
  local net = nn.Sequential { nn.Identity() }
  local function distance(o, t) return (o - t):abs():reshape(-1) end
  for _, f in ipairs { distance, function(o, t) return (o - t):abs() end } do
    check.near(net:evaluate(line(), { metrics = { f }, batch_size = 2 }).metric, 1)
  end
end

function tests.test_a_plain_number_will_do()
  local net = nn.Sequential { nn.Identity() }
  check.equal(net:evaluate(line(), { metrics = { function() return 7 end } }).metric, 7.0)
end

function tests.test_what_is_neither_is_refused()
  local net = nn.Sequential { nn.Identity() }
  for _, f in ipairs { function() return tensor.zeros(2, 2) end,
    function() return tensor.zeros(2) end, function() return "x" end } do
    check.fails(function() net:evaluate(line(), { metrics = { f } }) end, "metric")
  end
end

-- The mean over the whole of a set of batches of 2 and 1.
local function mean_error(log)
  return { name = "error", begin = function() log[#log + 1] = "begin" return { sum = 0, n = 0 } end,
    add = function(state, o, t)
      log[#log + 1] = #o
      state.sum, state.n = state.sum + (o - t):abs():sum():item(), state.n + #o
      return state
    end,
    finish = function(state) log[#log + 1] = "finish" return state.sum / state.n end }
end

function tests.test_begin_add_and_finish()
  local net, log = nn.Sequential { nn.Identity() }, {}
  for _, metric in ipairs { mean_error(log), train.metric(mean_error(log)) } do
    for i = #log, 1, -1 do log[i] = nil end
    check.near(net:evaluate(line(), { metrics = { metric }, batch_size = 2 }).error, 1)
    check.equal(log, { "begin", 2, 1, "finish" })
  end
  local count = { name = "n", add = function(n, o) return (n or 0) + #o end,
    finish = function(n) return n end }
  check.equal(net:evaluate(line(), { metrics = { count }, batch_size = 2 }).n, 3.0)
end

function tests.test_a_table_that_is_no_metric_says_what_is_missing()
  local net = nn.Sequential { nn.Identity() }
  local function with(metric)
    return function() net:evaluate(line(), { metrics = { metric } }) end
  end
  check.fails(with { add = function() end }, '"finish" is missing')
  check.fails(with { finish = function() end }, '"add" is missing')
  check.fails(with { ad = function() end }, 'did you mean "add"')
  check.fails(with { name = "x" }, '"function" is missing')
  check.fails(with { add = function() end, finish = function() end }, "add returned nothing")
  check.fails(function() train.metric(function() end, { range = { 1 } }) end, "range")
  check.fails(function() train.metric(function() end, { goal = "up" }) end, "goal", '"max"')
end

function tests.test_training_measures_are_over_the_epoch()
  local net = nn.Sequential { nn.Dense(1, { init = "ones" }) }
  local log = {}
  local function largest(o, t) return (o - t):abs():max() end
  local h = fit(net, line(), { loss = "mse", optimizer = optim.SGD { lr = 1e-30 }, batch_size = 2,
    epochs = 2, shuffle = "none", validation_data = line(),
    metrics = { "rmse", "mae", train.metric(largest, { name = "largest" }), mean_error(log) } })
  for _, prefix in ipairs { "", "val_" } do
    check.near(h[prefix .. "rmse"], { math.sqrt(3), math.sqrt(3) })
    check.near(h[prefix .. "mae"], { 1, 1 })
    check.near(h[prefix .. "largest"], { 3, 3 })
    check.near(h[prefix .. "error"], { 1, 1 })
  end
  check.equal(#log, 2 * 2 * 4)   -- begin, two batches, finish; in training and validation
end

-- A metric of the user, too, leaves the steps as they are.
function tests.test_what_is_measured_changes_no_training()
  local run = check.script_output [[
    local metrics = ({ none = {}, some = { "accuracy", "f1", "auc" },
      own = { function(o) return o:mean() end } })[args { metrics = "none" }.metrics]
    local net = nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.Dense(2) }
    train.fit(net, data.moons { n = 50 }, { loss = "cross_entropy", epochs = 3,
      metrics = metrics, verbose = false })
    for _, v in ipairs(net:state()["dense_2.weight"]:reshape(-1):totable()) do
      print(("%a"):format(v))
    end
  ]]
  local plain = run {}
  check.yes(#plain > 50)
  check.equal(run { "metrics=some" }, plain)
  check.equal(run { "metrics=own" }, plain)
end

-- -- as the loss reads ------------------------------------------------------------------------

local function fixed(w, units)
  return nn.Sequential { nn.Dense(units or 1, { init = init.constant { value = w } }) }
end

-- One net and set: what fit, evaluate and predict_classes say.
local function agree(net, set, x, y, options)
  options.metrics, options.validation_data, options.epochs = { "accuracy" }, set, 30
  local h = fit(net, set, options)
  local classes = net:predict_classes(x):cast "real":reshape(#y):totable()
  local hits = 0
  for i, want in ipairs(y) do hits = hits + (classes[i] == want and 1 or 0) end
  local last = h.val_accuracy[#h.val_accuracy]
  check.near({ net:evaluate(set).accuracy, net:evaluate(set, { metrics = { "acc" } }).accuracy,
    hits / #y }, { last, last, last })
  return last
end

function tests.test_fit_evaluate_and_predict_classes_agree()
  tensor.seed(2)
  local x = tensor.randn(101, 2)
  local yes = x:slice(nil, 1):gt(0):reshape(101, 1)
  local list = {}
  for i, v in ipairs(yes:reshape(-1):totable()) do list[i] = 1 + v end
  local labels = data.set(x, int(list))
  for _, loss in ipairs { "mse", "mae", "bce" } do
    local net = nn.Sequential { nn.Dense(1) }
    local good = agree(net, data.set(x, yes), x, list,
      { loss = loss, optimizer = optim.Adam { lr = 0.02 } })
    check.yes(good > 0.6, loss)
  end
  local sigmoid = nn.Sequential { nn.Dense(1), nn.activation "sigmoid" }
  agree(sigmoid, data.set(x, yes), x, list, { loss = "bce", optimizer = "adam" })
  agree(sigmoid, data.set(x, yes), x, list, { loss = "mse", optimizer = "adam" })
  agree(nn.Sequential { nn.Dense(1) }, labels, x, list, { loss = "bce", optimizer = "adam" })
  agree(nn.Sequential { nn.Dense(2) }, labels, x, list,
    { loss = "cross_entropy", optimizer = "adam" })
end

function tests.test_several_yes_no_outputs_have_a_label_each()
  local set = data.set(tensor { { 1, -1 }, { -1, 1 } }, tensor { { 1, 0 }, { 0, 0 } })
  local net = nn.Sequential { nn.Dense(2, { init = function() return tensor.eye(2) end }) }
  local h = fit(net, set, { loss = "bce", optimizer = optim.SGD { lr = 1e-30 },
    metrics = { "accuracy" } })
  check.equal(h.accuracy, { 0.75 })
  check.equal(net:evaluate(set).accuracy, 0.75)
  check.equal(net:predict_classes(tensor { { 1, -1 }, { -1, 1 } }):totable(),
    { { 2, 1 }, { 1, 2 } })
end

function tests.test_accuracy_without_a_loss_that_tells_needs_its_kind()
  local set = data.set(tensor { { 1 }, { 2 } }, tensor { { 1, 0 }, { 0, 1 } })
  local net = fixed(1, 2)
  check.fails(function() net:evaluate(set, { metrics = { "accuracy" } }) end, "kind")
  check.fails(function()
    fit(net, set, { loss = "mse", metrics = { "accuracy" } })
  end, "accuracy", 'kind = "categorical"')
  check.fails(function()
    fit(net, set, { loss = function(o, t) return (o - t):square():mean() end,
      metrics = { "f1" } })
  end, "train.f1")
  local h = fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 1e-30 },
    metrics = { train.accuracy { kind = "categorical" } } })
  check.equal(h.accuracy, { 0.5 })
  h = fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 1e-30 },
    metrics = { train.accuracy { kind = "binary", threshold = 1.5 } } })
  check.equal(h.accuracy, { 0.5 })
  check.equal(net:predict_classes(tensor { { 1 }, { 2 } }):totable(), { { 1, 1 }, { 2, 2 } })
end

-- The refused fit has changed nothing: no weight, nothing that is remembered.
function tests.test_a_refused_metric_leaves_the_net_as_it_was()
  local set = data.set(tensor { { 1 }, { 2 } }, tensor { { 1, 0 }, { 0, 1 } })
  local net = fixed(1, 2):build { 1 }
  local before = net:state()["dense_1.weight"]:totable()
  check.fails(function() fit(net, set, { loss = "mse", metrics = { "accuracy" } }) end, "kind")
  check.equal(net:state()["dense_1.weight"]:totable(), before)
  check.fails(function() net:evaluate(set, { metrics = { "accuracy" } }) end, "kind")
end

-- Whatever made the probabilities, and whatever it is that was minimized.
function tests.test_probabilities_are_read_as_such_without_a_loss()
  local x, y = tensor { { -1 }, { 0.5 }, { 1 } }, tensor { { 0 }, { 0 }, { 1 } }
  for _, f in ipairs { "sigmoid", function(z) return z:sigmoid():reshape(-1, 1) end,
    function(z) return 1 / (1 + (-z):exp()) end, function(z) return z:sigmoid() * 1 end } do
    local net = nn.Sequential { nn.Dense(1, { init = "ones" }), nn.activation(f) }
    check.equal(net:predict_classes(x):reshape(-1):totable(), { 1, 2, 2 })
    local h = fit(net, data.set(x, y), { optimizer = optim.SGD { lr = 1e-30 },
      loss = function(o, t) return (o - t):square():mean() end,
      metrics = { train.accuracy { kind = "binary" } } })
    check.near(h.accuracy, { 2 / 3 })
    check.equal(net:predict_classes(x):reshape(-1):totable(), { 1, 2, 2 })
  end
end

-- Also where only the last row of a set that is measured later says so.
function tests.test_targets_that_no_metric_can_count_are_refused_before_the_first_step()
  local x = tensor { { 1 }, { 2 }, { 3 } }
  local good, bad = data.set(x, tensor { 0, 1, 1 }), data.set(x, tensor { 0, 1, 7 })
  local net = fixed(1):build { 1 }
  for _, case in ipairs { { bad }, { good, validation_data = bad }, { good, test = bad } } do
    for _, metric in ipairs { "accuracy", "f1", "auc" } do
      check.fails(function()
        fit(net, case[1], { loss = "mse", metrics = { "mse", metric }, batch_size = 2,
          shuffle = "none", validation_data = case.validation_data, test = case.test })
      end, "data set", metric .. ": a target is 7", "numbers from 0 to 1")
      check.equal(net:state()["dense_1.weight"]:item(), 1.0)
    end
  end
  check.fails(function()
    fit(fixed(1, 2), data.set(x, int { 1, 2, 3 }), { batch_size = 2, shuffle = "none",
      loss = function(o) return o:square():mean() end, metrics = { "accuracy" } })
  end, "a target is 3", "labels from 1 to 2")
  local h = fit(net, good, { loss = "mse", metrics = { "accuracy" }, test = good, batch_size = 2 })
  check.yes(h.test_accuracy ~= nil)
end

function tests.test_nan_is_no_class()
  local net, nan = fixed(1, 2):build { 1 }, 0 / 0
  net:load { ["dense_1.weight"] = tensor { { nan, nan } }, ["dense_1.bias"] = tensor { nan, nan } }
  local set = data.set(tensor { { 1 }, { 2 } }, int { 1, 1 })
  check.equal(net:evaluate(set).accuracy, 0.0)
  check.fails(function() net:predict_classes(tensor { { 1 }, { 2 } }) end, "row 1", "NaN")
end

-- -- what is remembered ---------------------------------------------------------------------------

function tests.test_evaluate_measures_what_the_net_was_trained_with()
  local set = line()
  local net = fixed(1)
  check.equal(net:evaluate(set).accuracy, nil)
  check.near(net:evaluate(set).loss, 3)
  fit(net, set, { loss = "mae", optimizer = optim.SGD { lr = 1e-30 }, metrics = { "rmse" } })
  local function keys(options)
    local names = {}
    for name in pairs(net:evaluate(set, options)) do names[#names + 1] = name end
    table.sort(names)
    return table.concat(names, " ")
  end
  check.equal(keys(), "loss rmse")
  check.near(net:evaluate(set).loss, 1)
  check.equal(keys { loss = "mse" }, "loss rmse")
  check.equal(keys { metrics = { "mae", "r2" } }, "mae r2")
  check.equal(keys { loss = "mse", metrics = {} }, "loss")
  check.equal(keys { loss = "mse", metrics = { "mae" } }, "loss mae")
end

function tests.test_labels_give_the_accuracy_beside_the_loss()
  local set, net = data.moons { n = 20 }, fixed(1, 2)
  check.yes(net:evaluate(set).accuracy ~= nil and net:evaluate(set).loss == nil)
  local both = net:evaluate(set, { loss = "cross_entropy" })
  check.yes(both.accuracy ~= nil and both.loss ~= nil)
  local trained = nn.Sequential { nn.Dense(2) }
  fit(trained, set, { loss = "cross_entropy" })
  both = trained:evaluate(set)
  check.yes(both.accuracy ~= nil and both.loss ~= nil)
end

function tests.test_a_saved_net_remembers()
  local x, y = tensor { { 0.2 }, { 0.4 }, { 0.6 } }, tensor { { 0 }, { 0 }, { 1 } }
  local set, net = data.set(x, y), fixed(1)
  fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 1e-30 },
    metrics = { "accuracy", function(o) return o:mean() end, train.f1 { average = "macro" } } })
  check.equal(net:predict_classes(x):totable(), { 1, 1, 2 })
  local path = check.temp .. "/remembers.safetensors"
  net:save(path)
  local other = fixed(0):build { 1 }
  check.equal(other:load(net:state()):predict_classes(x):totable(), { 2, 2, 2 })
  other:load(path)
  check.equal(other:predict_classes(x):totable(), { 1, 1, 2 })
  local r = other:evaluate(set)
  check.equal({ r.accuracy, r.f1 }, { 1.0, 1.0 })
  check.yes(r.loss ~= nil and r.metric == nil)
end

function tests.test_what_a_file_says_of_it_may_be_anything()
  local path = check.temp .. "/odd.safetensors"
  fixed(1):build { 1 }:save(path)
  local plain = check.read(path)
  for _, text in ipairs { "[]", "{", '{"metrics": 3}', '{"metrics": [{"kind": "no"}]}', "",
    '{"metrics": [], "loss": {"kind": "mse", "x": 1}}', '{"metrics": [{"kind": "f1"}]}' } do
    local n = string.unpack("<I8", plain)
    local header = plain:sub(9, 8 + n):gsub(" +$", "")
    header = '{"__metadata__":{"trained_with":"' .. text:gsub('"', '\\"') .. '"},' .. header:sub(2)
    header = header .. (" "):rep(-#header % 8)
    check.file("odd.safetensors", string.pack("<I8", #header) .. header .. plain:sub(9 + n))
    check.equal(fixed(0):build { 1 }:load(path)(tensor { { 3 } }):item(), 3.0)
  end
end

-- -- names ----------------------------------------------------------------------------------

local function called(name)
  return train.metric(function(o) return o:mean() end, { name = name })
end

function tests.test_a_metric_is_called_what_a_column_can_be_called()
  for _, name in ipairs { "", "a b", "a,b", "a=b", 'a"', "a\n", ("x"):rep(41) } do
    check.fails(function() called(name) end, 'train.metric: option "name"', "1 to 40")
  end
  for _, name in ipairs { "loss", "epoch", "lr", "time_s", "stopped", "best_epoch", "epochs", "net",
    "val_x", "test_loss" } do
    check.fails(function() called(name) end, 'option "name"', '"' .. name .. '"', "another column")
  end
  for _, kind in ipairs { "accuracy", "auc", "f1", "rmse", "r2" } do
    check.fails(function() train[kind] { name = "lr" } end, "train." .. kind, "another column")
  end
  local long, set = ("x"):rep(40), line()
  local h = fit(fixed(1), set, { loss = "mse", metrics = { called(long) }, validation_data = set,
    test = set })
  check.equal({ #h[long], #h["val_" .. long], math.type(h["test_" .. long]) }, { 1, 1, "float" })
end

function tests.test_two_metrics_of_one_name_are_refused()
  for _, metrics in ipairs { { "mse", "mse" }, { "mse", "mean_squared_error" },
    { called "x", "mae", called "x" } } do
    check.fails(function() fixed(1):evaluate(line(), { metrics = metrics }) end, "net:evaluate",
      "two of them are called")
    check.fails(function() fit(fixed(1), line(), { loss = "mse", metrics = metrics }) end,
      "train.fit", "two of them are called")
  end
end

-- -- which way is better ---------------------------------------------------------------------

local function watched(name, options, monitor_options)
  local values, epoch = { 0.1, 0.9, 0.5, 0.4, 0.3, 0.2 }, 0
  options.name = name
  local metric = train.metric(function() return values[epoch + 1] end, options)
  monitor_options.monitor, monitor_options.patience = "val_" .. name, 2
  local h = fit(fixed(1), line(), { loss = "mse", optimizer = optim.SGD { lr = 1e-3 }, epochs = 6,
    validation_data = line(), metrics = { metric },
    callbacks = { function(info) epoch = info.epoch end, train.early_stopping(monitor_options) } })
  return h.best_epoch or #h.loss
end

function tests.test_early_stopping_goes_where_the_record_says()
  for _, name in ipairs { "f1", "auc", "r2", "precision", "recall", "accuracy", "f1_score" } do
    check.equal({ name, watched(name, {}, {}) }, { name, 2 })
  end
  for _, name in ipairs { "rmse", "mae", "mse", "cross_entropy" } do
    check.equal({ name, watched(name, {}, {}) }, { name, 1 })
  end
  check.equal(watched("score", { goal = "max" }, {}), 2)
  check.equal(watched("score", { goal = "min" }, {}), 1)
  check.equal(watched("score", { goal = "min" }, { mode = "max" }), 2)
  check.equal(watched("score", {}, { mode = "min" }), 1)
  check.equal(watched("f1", { goal = "min" }, {}), 1)
end

function tests.test_a_name_that_tells_nothing_needs_the_mode()
  for _, name in ipairs { "score", "my_accuracy", "accuracy_loss", "accident" } do
    local words = "whether more or less val_" .. name .. " is better does not follow from its name"
    check.fails(function() watched(name, {}, {}) end, "train.early_stopping",
      'option "mode" is missing', words)
    check.fails(function()
      fit(fixed(1), line(), { loss = "mse", validation_data = line(),
        metrics = { train.metric(function() return 1 end, { name = name }) },
        callbacks = { train.checkpoint { path = check.temp .. "/x", save_best_only = true,
          monitor = "val_" .. name } } })
    end, "train.checkpoint", 'option "mode" is missing', words)
  end
  check.fails(function()
    fit(fixed(1), line(), { loss = "mse", callbacks = { train.early_stopping { monitor = "lr" } } })
  end, 'option "mode" is missing')
end

-- The experiment says it in the same words, and trials that measure f1 are compared by it.
function tests.test_an_experiment_goes_where_the_record_says()
  local function script(metric)
    return check.file("f1.lua", ([[
      local asked = args { goal = "", report = %q }
      experiment { name = "f1", factors = { lr = { 0.1, 0.5 } }, seeds = 1, metric = %q,
        goal = asked.goal ~= "" and asked.goal or nil, report = asked.report,
        trial = function(c, run)
          return train.fit(nn.Sequential { nn.Dense(2) }, data.moons { n = 40 }, { epochs = 2,
            loss = "cross_entropy", optimizer = optim.SGD { lr = c.lr }, validation = 0.5,
            metrics = { "f1", train.metric(function(o) return o:mean() end, { name = "score" }) },
            run = run })
        end }]]):format(metric, metric))
  end
  local out, err, status = check.runner { "--runs", "named", script "val_f1" }
  local none   -- what is not looked at
  check.equal(status, 0)
  check.yes(out:find("val_f1 in %, higher is better", 1, true) ~= nil, out .. err)
  none, err, status = check.runner { "--runs", "named", script "val_score" }
  check.equal(status, 1)
  check.yes(err:find('option "goal" is missing: whether more or less val_score is better does '
    .. "not follow from its name", 1, true) ~= nil, err)
  out = check.runner { "--runs", "named", "compare", "f1", "--metric=val_loss" }
  check.yes(out:find("val_loss, lower is better", 1, true) ~= nil, out)
  check.runner { "--runs", "asked", script "val_loss", "goal=max", "report=val_f1" }
  out = check.runner { "--runs", "asked", "compare", "f1", "--metric=val_loss" }
  check.yes(out:find("val_loss, higher is better", 1, true) ~= nil, out)
  none, err, status = check.runner { "--runs", "named", "compare", "f1", "--metric=val_score" }
  check.equal(status, 2)
  check.yes(err:find("--goal max or --goal min", 1, true) ~= nil, err)
end

check.run(tests)
