-- What is refused has changed nothing; what ends badly ends with the best weights, if that
-- was asked for.

local check = dofile "tests/check.lua"
local tests = {}

local x = tensor.linspace(-1, 1, 16):reshape(16, 1)
local set = data.set(x, x * 3)

local function line() return nn.Sequential { nn.Dense(1, { init = "zeros" }) } end

local function fit(net, options)
  options.loss, options.verbose = options.loss or "mse", false
  options.batch_size = options.batch_size or 16
  return train.fit(net, set, options)
end

-- -- schedules -------------------------------------------------------------------------

function tests.test_a_refused_fit_leaves_the_optimizers_schedule()
  local o, net = optim.SGD { lr = 0.1, schedule = optim.exponential(0.5) }, line()
  check.fails(function()
    fit(net, { optimizer = o, callbacks = { train.schedule(optim.step(1)) } })
  end, "schedule")
  check.near(fit(net, { optimizer = o, epochs = 3 }).lr, { 0.1, 0.05, 0.025 })
end

-- One that began before another was refused goes again; the optimizer has none afterwards.
function tests.test_a_refused_fit_takes_its_schedule_back()
  local o, net = optim.SGD { lr = 0.1 }, line()
  local halve = train.schedule(function(epoch, lr) return lr / 2 ^ epoch end)
  for _, other in ipairs { train.early_stopping { monitor = "nothing" }, halve } do
    check.fails(function() fit(net, { optimizer = o, callbacks = { halve, other } }) end)
    check.equal(o.schedule, nil)
  end
  check.fails(function()
    fit(net, { optimizer = o, callbacks = { halve, function() error "no more" end } })
  end, "no more")
  check.near(fit(net, { optimizer = o, epochs = 2 }).lr, { 0.1, 0.1 })
  check.near(fit(net, { optimizer = o, epochs = 2, callbacks = { halve } }).lr, { 0.1, 0.05 })
end

function tests.test_a_schedule_that_a_callback_gives_stays()
  local o = optim.SGD { lr = 0.1 }
  fit(line(), { optimizer = o, epochs = 2, callbacks = { train.schedule(optim.step(1)),
    function() o.schedule = optim.constant { per = "step" } end } })
  check.yes(o.schedule ~= nil)
end

function tests.test_rates_that_are_none_are_refused()
  local net = line()
  net:build { 1 }
  local before = net:state()
  for _, rate in ipairs { -1, 0 / 0, 1 / 0, -1e-300 } do
    local o = optim.SGD { lr = 0.1, schedule = function() return rate end }
    check.fails(function() fit(net, { optimizer = o }) end, "the rate at epoch 0 is",
      "finite number of at least 0")
  end
  check.fails(function()
    fit(net, { optimizer = optim.SGD { schedule = function() error "no rate" end } })
  end, "no rate")
  check.fails(train.step(function() return net(x):sum() end, net,
    optim.SGD { schedule = optim.step(1) }), 'per = "step"')
  check.equal(net:state()["dense_1.weight"]:totable(), before["dense_1.weight"]:totable())
end

-- -- what is refused -------------------------------------------------------------------

local script = [[
  local args = args { refused = false }
  local set = data.set(tensor.randn(12, 3), tensor.randn(12, 1))
  local net = nn.Sequential { nn.Dense(4), nn.Dropout(0.5), nn.Dense(1) }
  local o = optim.Adam { lr = 0.1 }
  local function fit(options, other)
    options.loss, options.verbose = options.loss or "mse", false
    options.optimizer, options.validation = options.optimizer or o, 0.25
    return train.fit(net, other or set, options)
  end
  local function no() error "no" end
  local function own(y, t) return (y - t):square():mean() end
  local ways = {
    function() fit { loss = no } end,
    function() fit { loss = own, metrics = { "accuracy" } } end,
    function() fit({}, data.set(tensor.ones(12, 5), tensor.ones(12, 2))) end,
    function() fit({}, data.set(tensor.ones(12, 5), tensor.full(0 / 0, 12, 1))) end,
    function() fit({}, data.set(tensor.ones(12, 5))) end,
    function() fit({}, data.set(tensor.ones(1, 5), tensor.ones(1, 1))) end,
    function() fit { callbacks = { train.early_stopping { monitor = "accuracy" } } } end,
    function() fit { callbacks = { train.schedule(no) } } end,
    function() fit { batch_size = 100, drop_last = true } end,
    function() fit { epochs = 0 } end,
    function() fit { epochs = 1e16 } end,
    function() fit { test = data.set(tensor.ones(3, 3)) } end,
  }
  for i, way in ipairs(args.refused and ways or {}) do
    assert(not pcall(way), i .. " was not refused")
  end
  local h = fit { epochs = 3 }
  for i = 1, 3 do print(("%a %a"):format(h.loss[i], h.val_loss[i])) end
  print(tensor.rand(1):item())
  for name, t in pairs(net:state()) do
    for _, v in ipairs(t:reshape(-1):totable()) do print(name, ("%a"):format(v)) end
  end
]]

function tests.test_a_refused_fit_shifts_nothing()
  local run = check.script_output(script)
  check.yes(run { "refused=true" } == run())
end

function tests.test_the_history_is_that_of_the_last_fit_that_began()
  local h = fit(line(), { epochs = 2 })
  check.fails(function() fit(line(), { callbacks = {
    train.early_stopping { monitor = "accuracy" } } }) end)
  check.yes(train.history() == h)
  check.fails(function() fit(line(), { callbacks = { function() error "no" end } }) end)
  check.equal(#train.history().loss, 1)
end

-- -- what ends badly -------------------------------------------------------------------

-- Two epochs at a rate that learns, then `how` ends the fit badly.
local function ends_badly(how, callbacks, what)
  local net = line()
  local options = { optimizer = optim.SGD { lr = 0.5, schedule = how.schedule }, epochs = 30,
    validation_data = set, callbacks = { train.early_stopping { patience = 50 },
      table.unpack(callbacks or {}) } }
  options.test = set
  if how.callback then table.insert(options.callbacks, how.callback) end
  check.fails(function() fit(net, options) end, what)
  local h, best = train.history(), 1
  for epoch, v in ipairs(h.val_loss) do if v < h.val_loss[best] then best = epoch end end
  check.yes(best < #h.val_loss)
  check.equal(h.best_epoch, best)
  check.equal(h.test_loss, nil)
  check.near(net:evaluate(set, { loss = "mse" }).loss, h.val_loss[best], 1e-5)
  return net, h
end

local function worse(t) return t < 2 and 0.5 or 8 end
local function far_worse(t) return t < 2 and 0.5 or 1e30 end

function tests.test_best_weights_after_a_divergence()
  ends_badly({ schedule = far_worse }, nil, "not finite")
end

function tests.test_best_weights_after_faults()
  ends_badly({ schedule = worse, callback = function(info)
    if info.epoch == 4 then error "enough" end
  end }, nil, "enough")
  ends_badly({ schedule = function(t) return t == 6 and -1 or worse(t) end }, nil, "rate")
  local target = loss.mse {}
  local calls = 0
  local net = line()
  check.fails(function()
    fit(net, { loss = function(y, t)
      calls = calls + 1
      if calls == 7 then error "no loss" end
      return target(y, t)
    end, validation_data = set, epochs = 9, optimizer = optim.SGD { lr = 0.5, schedule = worse },
      callbacks = { train.early_stopping { patience = 50 } } })
  end, "no loss")
  check.equal(train.history().best_epoch, 2)
  check.near(net:evaluate(set, { loss = "mse" }).loss, train.history().val_loss[2], 1e-5)
end

-- The file of the best epoch is what the net ends with.
function tests.test_the_checkpoint_of_the_best_epoch_stays()
  local path = check.temp .. "/best.safetensors"
  local net = ends_badly({ schedule = worse, callback = function(info)
    if info.epoch == 5 then error "enough" end
  end }, { train.checkpoint { path = path, save_best_only = true } }, "enough")
  local saved = line()
  saved:build { 1 }
  saved:load(path)
  for name, t in pairs(net:state()) do
    check.equal(saved:state()[name]:totable(), t:totable())
  end
end

-- Nothing to put back: no epoch was finished, or it was not asked for.
function tests.test_weights_that_are_not_put_back()
  local net = line()
  check.fails(function()
    fit(net, { optimizer = optim.SGD { lr = 0.5 }, batch_size = 4, validation_data = set,
      callbacks = { function() error "at once" end, train.early_stopping {} } })
  end, "at once")
  check.equal(train.history().best_epoch, nil)
  check.yes(net:state()["dense_1.weight"]:item() ~= 0)
  check.fails(function()
    fit(net, { optimizer = optim.SGD { lr = 0.5, schedule = far_worse }, epochs = 30,
      validation_data = set,
      callbacks = { train.early_stopping { patience = 50, restore_best = false } } })
  end, "not finite")
  check.equal(train.history().best_epoch, nil)
end

function tests.test_a_layer_that_joins_after_the_best_epoch()
  local net = nn.Sequential { nn.Dense(1) }
  fit(net, { epochs = 6, validation_data = set, optimizer = "adam", callbacks = {
    train.early_stopping { mode = "max", patience = 50 },
    function(info) if info.epoch == 2 then info.net:add(nn.Dense(1)) end end } })
  check.equal(#net:parameters(), 4)
end

check.run(tests)
