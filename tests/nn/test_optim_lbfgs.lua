-- L-BFGS with its line search: the points of torch.optim.LBFGS, and what a step that evaluates
-- several times must not do several times.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

local wanted = tensor.load "tests/nn/reference/lbfgs.safetensors"
local exact = reference.exact
local search = "strong_wolfe"

local cases = {
  rosenbrock = { line_search = search },
  rosenbrock_20 = { line_search_fn = search, max_iter = 20, history_size = 5 },
  search = { line_search = search },
  short_rate = { line_search = search, lr = 0.05, history = 3 },
  long_rate = { line_search = search, lr = 30 },
  several = { line_search = search, max_iter = 6, max_eval = 9, history = 4 },
  tolerance = { line_search = search, max_iter = 30, tolerance_change = 1e-3 },
  gradient = { line_search = search, max_iter = 50, max_eval = 500, tolerance_grad = 3e-2,
    tolerance_change = 0 },
  none = { lr = 0.3, max_iter = 5 },
}

-- Of all but the first value, with those before: a - (1 - a)^2 and so on.
local function rosenbrock(p)
  local n = #p
  local a, b = p:slice { 1, n - 1 }, p:slice { 2, n }
  return ((1 - a) ^ 2 + (b - a ^ 2) ^ 2 * 100):sum()
end

local function of(name, begin) return reference.begun_with(name .. "." .. begin, wanted) end

-- The step of a case, and its parameters by name.
local function begun(name, options)
  local begin, optimizer = of(name, "begin."), optim.LBFGS(cases[name])
  if begin.p then
    local p = tensor.variable(begin.p)
    return train.step(function() return rosenbrock(p) end, { p }, optimizer, options),
      function() return { p = p } end
  end
  local net = nn.Sequential { nn.Dense(6, { activation = "tanh" }), nn.Dense(2) }:build { 4 }
  net:load(begin)
  local step = train.step(function(x, t) return loss.mse(net(x), t) end, net, optimizer, options)
  local x, t = wanted[name .. ".x"]:eval(), wanted[name .. ".t"]:eval()
  return function() return step(x, t) end, function() return net:state() end
end

local function near(got, want, name, bound)
  local off = check.error_of(got, want, 1)
  local ok = off <= bound
  check.yes(ok, ("%s: off by %.3g, allowed: %.3g"):format(name, off, bound))
end

-- In float the cubic through two near points has few digits, so the paths part; they fall all the
-- way, and end as low.
local function is_near(name, options)
  local step, values = begun(name, options)
  local want, losses = wanted[name .. ".loss"], {}
  for i = 1, #want do losses[i] = step() end
  if not exact then
    for i = 2, #want do check.yes(losses[i] <= losses[i - 1] * (1 + 1e-5), name) end
    check.yes(losses[#want] < 0.8 * losses[1], name)
    return
  end
  near(tensor(losses), want, name .. ".loss", 1e-8)
  for key, t in pairs(of(name, "end.")) do near(values()[key], t, name .. "." .. key, 1e-8) end
end

for name in pairs(cases) do
  tests["test_as_pytorch_" .. name] = function()
    is_near(name)
    is_near(name, { static = true })
  end
end

-- -- what happens once --------------------------------------------------------------------

local x, y = tensor.randn(24, 5):eval(), tensor.randn(24, 3):eval()

local function net_of(...)
  tensor.seed(7)
  return nn.Sequential { nn.Dense(8), ... }:build { 5 }
end

local function searching(options)
  options = options or {}
  options.line_search = search
  return optim.LBFGS(options)
end

local function mse_of(net) return function(a, b) return loss.mse(net(a), b) end end

local function state_of(net)
  local all = {}
  for name, t in pairs(net:state()) do all[name] = t:totable() end
  return all
end

-- The draws of a step are the same at each of its points, and as many are made as by a step of
-- SGD; statistics move as SGD's do, and the function runs once.
function tests.test_draws_and_statistics()
  local function seen(optimizer, static)
    local net, calls = net_of(nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(3)), 0
    local step = train.step(function(a, b)
      calls = calls + 1
      return loss.mse(net(a), b)
    end, net, optimizer, { static = static })
    local all = { loss = step(x, y), calls = calls, mean = net[2].running_mean:totable(),
      var = net[2].running_var:totable() }
    step(x, y)
    all.mask = nn.Sequential { net[3] }(tensor.ones(30, 8), { training = true }):totable()
    return all
  end
  for _, static in ipairs { false, true } do
    check.equal(seen(searching(), static), seen(optim.SGD { lr = 0 }, static))
  end
end

-- Between two steps the loss of the first one's mask has fallen: p is pulled to what the mask
-- leaves, which no other mask would.
function tests.test_each_point_has_the_same_mask()
  local p, drop = tensor.variable(tensor.ones(64)), nn.Dropout(0.5)
  train.step(function() return ((p - drop(tensor.ones(64))) ^ 2):sum() end, { p },
    searching { max_iter = 20 })()
  check.near(p, p:gt(1.5):cast "real" * 2, 1e-3)
  check.yes(p:max():item() > 1.9 and p:min():item() < 0.1)
end

-- Traced, replayed and in a fit: the same bytes; what was taken before a step stays as it was.
function tests.test_ways_of_a_step()
  local want
  for _, way in ipairs { "traced", "static", "fit" } do
    local net, o = net_of(nn.Dropout(0.2), nn.Dense(3)), searching { max_iter = 2 }
    if way == "fit" then
      train.fit(net, data.set(x, y), { loss = "mse", optimizer = o, epochs = 3, batch_size = 24,
        shuffle = "none", verbose = false, metrics = { "mae" } })
    else
      local step = train.step(mse_of(net), net, o, { static = way == "static" })
      local before, kept = net:state(), state_of(net)
      for _ = 1, 3 do step(x, y) end
      check.equal(before["dense_1.weight"]:totable(), kept["dense_1.weight"])
    end
    want = want or state_of(net)
    check.equal(state_of(net), want, way)
  end
end

-- Half the weight decay times the squares is part of what is searched: it ends where its whole
-- gradient is 0, groups with a decay of their own too.
function tests.test_weight_decay()
  local w, b = tensor.variable(tensor { 3, -1 }), tensor.variable(tensor { 2 })
  local step = train.step(function() return ((w - 1) ^ 2):sum() + ((b - 1) ^ 2):sum() end, { w, b },
    searching { weight_decay = 2, max_iter = 20 })
  for _ = 1, 3 do step() end
  check.near(w, { 0.5, 0.5 }, 1e-4)
  check.near(b, { 0.5 }, 1e-4)
end

-- -- points that are too far -----------------------------------------------------------

-- log(p) is not a number behind 0, exp(p^2) infinite far out: the step is shortened.
function tests.test_points_that_are_not_finite()
  local functions = {
    function(p) return (p * 100 - p:log()):sum() end,
    function(p) return ((p ^ 2):exp() - p):sum() end,
  }
  for _, f in ipairs(functions) do
    for _, lr in ipairs { 1, 30, 1e4 } do
      local p = tensor.variable(tensor { 1, 2 })
      local step, last = train.step(function() return f(p) end, { p }, searching { lr = lr })
      for _ = 1, 15 do
        local now = step()
        check.yes(now <= (last or now), ("%g after %g"):format(now, last or now))
        last = now
      end
      check.yes(last < f(tensor { 0.5, 0.5 }):item() and p:abs():max():item() < 2)
    end
  end
end

-- Without a search, such a point ends the step where it was.
function tests.test_without_a_search()
  local p = tensor.variable(tensor { 1 })
  local step = train.step(function() return (p * 100 - p:log()):sum() end, { p },
    optim.LBFGS { lr = 300, max_iter = 5 })
  step()
  check.equal(p:totable(), { 1 })
end

function tests.test_a_step_that_cannot_begin()
  local net, o = net_of(nn.BatchNorm(), nn.Dense(3)), searching()
  local step = train.step(mse_of(net), net, o)
  step(x, y)
  local before = state_of(net)
  local bad = y:totable()
  bad[3][2] = 0 / 0
  check.fails(function() step(x, tensor(bad)) end, "the loss is not finite")
  check.equal(state_of(net), before)
  step(x, y)
end

-- Where the gradient is 0 a step changes nothing, and training goes on afterwards.
function tests.test_where_nothing_is_to_be_done()
  local p, factor = tensor.variable(tensor { 2 }), tensor.variable(tensor { 0 })
  local step = train.step(function() return ((p - 1) ^ 2 * factor:detach()):sum() end, { p },
    searching())
  step()
  check.equal(p:totable(), { 2 })
  factor:assign(tensor { 1 })
  for _ = 1, 5 do step() end
  check.near(p, { 1 }, 1e-4)
end

function tests.test_what_is_refused()
  for name, value in pairs { clipnorm = 1, global_clipnorm = 1, clipvalue = 1, accumulate = 2,
    lookahead = 5 } do
    check.fails(function() searching { [name] = value } end, name, "line_search")
    optim.LBFGS { [name] = value }
  end
  check.fails(function() searching { groups = { { "*.bias", lr = 0.1 } } } end, "lr of a group")
  check.fails(function() optim.LBFGS { line_search = "wolfe" } end, "strong_wolfe")
  local net = nn.Sequential { nn.Dense(3, { weight_constraint = "max_norm" }) }:build { 5 }
  local before = state_of(net)
  check.fails(function() train.step(mse_of(net), net, searching())(x, y) end, "max_norm",
    "dense_1.weight")
  check.equal(state_of(net), before)
  local p = tensor.variable(tensor { 1 })
  check.fails(function()
    train.step(function()
      p:assign(p * 2)
      return p:sum()
    end, { p }, searching())()
  end, "assigned")
end

function tests.test_of_each_case_in_the_file_there_is_one_here()
  for key in pairs(wanted) do check.yes(cases[key:match "^[^.]*"] ~= nil, key) end
end

check.run(tests)
