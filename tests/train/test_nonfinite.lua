-- Values beyond what a real can hold: steps, batches and norms that meet them.
local check = dofile "tests/check.lua"
local tests = {}
local inf, nan = math.huge, 0 / 0
local double = check.eps < 1e-10
local far = double and 1e160 or 1e25        -- its square is no real, its reciprocal is

local function values(net)
  local out = {}
  for name, t in pairs(net:state()) do out[name] = t:totable() end
  return out
end

local function fit(net, set, options)
  options.verbose, options.record = false, false
  return train.fit(net, set, options)
end

local function distance(o, t) return (o - t):square():sum(2):sqrt():mean() end

function tests.test_a_fit_ends_at_a_gradient_that_is_not_finite()
  local net = nn.Sequential { nn.Dense(1) }
  local set = data.set(tensor { { 0, 0 }, { 1, 0 } }, tensor { { 0 }, { 1 } })
  for _, built in ipairs { false, true } do
    if built then net:build { 2 } end
    check.fails(function() fit(net, set, { loss = distance, epochs = 1 }) end,
      "step 1: the gradient of dense_1.weight is not finite (nan at [1, 1])",
      "test_nonfinite.lua:")
    for _, t in pairs(net:state()) do check.yes(t:sum():item() < inf) end
  end
end

function tests.test_static_and_traced_steps_refuse_alike()
  for _, static in ipairs { false, true } do
    local net = nn.Sequential { nn.Dense(1, { bias = false }) }
    net:build { 2 }
    local step = train.step(function(x, y) return distance(net(x), y) end, net,
      optim.Adam { lr = 0.1 }, { static = static })
    local x, y = tensor { { 1, 2 }, { 3, 4 } }, tensor { { 9 }, { 9 } }
    for _ = 1, 3 do step(x, y) end
    local before = values(net)
    check.fails(function() step(x * 0, y * 0) end, "step 4: the gradient of dense_1.weight")
    check.equal(values(net), before)
    local loss = step(x, y)
    check.yes(loss == loss)
  end
end

-- A gradient that is made with its update, at commit, is nowhere as a whole.
function tests.test_a_large_gradient_that_is_not_finite_changes_nothing()
  for _, make in ipairs { optim.Adam, optim.SGD } do
    local net = nn.Sequential { nn.Dense(70, { bias = false }) }
    net:build { 70 }
    local step = train.step(function(x, y) return distance(net(x), y) end, net,
      make { lr = 0.1 })
    local x, y = tensor.ones(3, 70), tensor.ones(3, 70) * 5
    for _ = 1, 4 do step(x, y) end
    local before = values(net)
    check.fails(function() step(x * 0, y * 0) end, "step 5: the gradient of dense_1.weight")
    check.fails(function() step(x * far * far, y) end, "step 5")
    check.equal(values(net), before)
    local loss = step(x, y)
    check.yes(loss == loss)
  end
end

function tests.test_clipvalue_makes_a_finite_number_of_inf_and_none_of_nan()
  local function step(g)
    local w = tensor.variable(tensor { 1, 1 })
    train.step(function() return (w * 0 + w * tensor(g)):mean() end, { w },
      optim.SGD { lr = 0.1, clipvalue = 0.5 })()
    return w
  end
  local function slope(x)       -- a loss of 0 whose slope is infinite: sqrt at 0
    local w = tensor.variable(tensor { x })
    train.step(function() return w:sqrt():sum() end, { w },
      optim.SGD { lr = 0.1, clipvalue = 0.5 })()
    return w
  end
  check.near(step { 4, 2 }, { 0.95, 0.95 })
  check.near(slope(0), { -0.05 })
  check.fails(function()
    local w = tensor.variable(tensor { 0 })
    train.step(function() return w:square():sqrt():sum() end, { w },
      optim.SGD { lr = 0.1, clipvalue = 0.5 })()
  end, "the gradient of variable 1 is not finite (nan at [1])")
end

function tests.test_norms_for_clipping_do_not_overflow_or_vanish()
  local big, small = double and 3e200 or 3e20, double and 1e-200 or 1e-25
  local both = { clipnorm = 1, global_clipnorm = 1 }
  for _, o in ipairs { { global_clipnorm = 1 }, { clipnorm = 1 }, both } do
    for _, scale in ipairs { 1, big / 3, small } do
      local limit = scale == small and small or 1
      for name in pairs(o) do o[name] = limit end
      o.lr = 0.1
      local w = tensor.variable(tensor { limit, limit })
      local g = tensor { 3 * scale, 4 * scale }
      train.step(function() return (w * g):sum() end, { w }, optim.SGD(o))()
      check.near(w / limit, { 0.94, 0.92 }, 1e-6)
    end
  end
end

function tests.test_the_norm_of_many_gradients_is_that_of_all_together()
  local vars = {}
  for i = 1, 150 do vars[i] = tensor.variable(tensor { 0, 0 }) end
  local step = train.step(function()
    local sum = 0
    for i = 1, #vars do sum = sum + (vars[i] * tensor { i, -i }):sum() end
    return sum
  end, vars, optim.SGD { lr = 1, global_clipnorm = 1 })
  step()
  local norm = 0
  for i = 1, #vars do norm = norm + 2 * i * i end
  for i = 1, #vars do check.near(vars[i], { -i / norm ^ 0.5, i / norm ^ 0.5 }, 1e-6) end
end

function tests.test_gradients_of_zeros_and_norms_without_a_factor()
  local w = tensor.variable(tensor { 1 })
  train.step(function() return (w * 0):sum() end, { w }, optim.SGD { lr = 1, clipnorm = 1 })()
  check.near(w, { 1 })
  local v, most = tensor.variable(tensor { 1, -1 }), double and 1.5e308 or 3e38
  check.fails(function()
    train.step(function() return (v * tensor { most, most }):sum() end, { v },
      optim.SGD { lr = 1, clipnorm = 1 })()
  end, "the new value of variable 1 is not finite (nan at [1])")
  check.near(v, { 1, -1 })
end

function tests.test_a_batch_beyond_a_real_leaves_the_running_statistics()
  local function two(f) return nn.Sequential { nn.BatchNorm(), nn.Lambda(f), nn.BatchNorm() } end
  local net = two(function(x) return x * x end)
  net:build { 1 }
  net(tensor { { 1 }, { 2 }, { 3.5 } }, { training = true })
  local before = values(net)
  local function refused(x, ...)
    check.fails(function() net(tensor(x), { training = true }) end, ...)
    check.equal(values(net), before)
  end
  refused({ { far }, { -far }, { 0 } }, "batch_norm_1", "variance",
    "running_var would become inf at [1]")
  refused({ { nan }, { 1 }, { 0 } }, "batch_norm_1", "running_mean would become nan at [1]")
  refused({ { inf }, { 1 }, { 0 } }, "batch_norm_1", "mean")
  local second = two(function(x) return x * far end)
  second:build { 1 }
  local initial = values(second)
  check.fails(function() second(tensor { { 1 }, { 2 }, { 3 } }, { training = true }) end,
    "batch_norm_2")
  check.equal(values(second), initial)
end

function tests.test_a_step_names_the_statistic()
  local net = nn.Sequential { nn.BatchNorm(), nn.Dense(1) }
  net:build { 1 }
  local step = train.step(function(x) return net(x):square():mean() end, net,
    optim.SGD { lr = 0.1 })
  local before = values(net)
  check.fails(function() step(tensor { { far }, { -far }, { 0 } }) end,
    "step 1: what the function assigned to batch_norm_1.running_var is not finite (inf at [1])")
  check.equal(values(net), before)
end

function tests.test_a_training_forward_updates_exactly_once_where_nobody_looks()
  local net, looked = nn.Sequential { nn.BatchNorm() }, nn.Sequential { nn.BatchNorm() }
  local x = tensor { { 1 }, { 2 }, { 3 } }
  net(x, { training = true })
  looked(x, { training = true }):eval()
  check.near(net:state()["batch_norm_1.running_mean"], { 0.2 })
  check.equal(values(net), values(looked))
end

function tests.test_normalizations_of_rows_whose_variance_is_no_real()
  local x = { { 1, 2, 4 }, { -1, 0, 3 }, { 0, 1, 0 } }
  local factors = tensor { { 1, 2, -1 }, { 0, 1, 3 }, { 2, 1, 0 } }
  for _, kind in ipairs { "layer_norm", "batch_norm" } do
    local function gradients(scale)
      local v, w = tensor.variable(tensor(x) * scale), tensor.variable(tensor { 1, 1, 1 })
      local y = v[kind](v, w, { eps = 0 })
      local g = grad((y * factors):sum(), { v, w })
      return y, g[1] * scale, g[2]
    end
    local y, gx, gw = gradients(1)
    local far_y, far_gx, far_gw = gradients(far)
    check.near(far_y, y, 1e-5)
    check.near(far_gx, gx, 1e-5)
    check.near(far_gw, gw, 1e-5)
  end
end

function tests.test_a_parameter_that_is_infinite_but_frozen_does_not_matter()
  local net = nn.Sequential { nn.Dense(1, { bias = false }), nn.Dense(1, { bias = false }) }
  net:build { 1 }
  net:load { ["dense_1.weight"] = tensor { { 1 } }, ["dense_2.weight"] = tensor { { inf } } }
  net:freeze "dense_2"
  local first = nn.Sequential { nn.Dense(1) }
  local step = train.step(function(x) return first(x):sum() + (net(x) * 0):lt(1):sum() * 0 end,
    { first, net }, optim.SGD { lr = 0.1 })
  check.yes(step(tensor { { 1 } }) < inf)
end

-- A trial whose losses are all finite ends as diverged when a new value is not.
function tests.test_a_trial_with_a_finite_loss_is_diverged()
  local path = check.file("finite.lua", [[
    experiment { name = "finite", factors = { at = { 0, 1 } }, seeds = 1, metric = "loss",
      trial = function(c, run)
        local net = nn.Sequential { nn.Dense(1) }
        local set = data.set(tensor { { 0, 0 }, { 1, 0 } }, tensor { { c.at }, { 1 + c.at } })
        return train.fit(net, set, { epochs = 1, run = run, optimizer = optim.SGD { lr = 0.1 },
          loss = function(o, t) return (o - t):square():sum(2):sqrt():mean() end })
      end }
  ]])
  check.runner { "--runs", "finite", path }
  local function results(at)
    local pipe = io.popen(("cat %s/finite/finite/trials/*/%s"):format(check.temp, at))
    return pipe:read "a"
  end
  local _, diverged = results "result.json":gsub('"state": "diverged"', "")
  local _, complete = results "result.json":gsub('"state": "complete"', "")
  check.equal({ diverged, complete }, { 1, 1 })
  check.yes(results "result.json":find '"layer": "dense_1"' ~= nil)
end

check.run(tests)
