-- Every optimizer, with what it can do, in training as scripts do it: rates by schedules,
-- frozen, thawed and shared layers, steps refused; the same traced and replayed.

local check = dofile "tests/check.lua"
local tests = {}

local made = {
  function(o) o.momentum, o.nesterov = 0.9, true; return optim.SGD(o) end,
  function(o) return optim.Adam(o) end,
  function(o) return optim.AdamW(o) end,
  function(o) return optim.RMSprop(o) end,
  function(o) o.momentum, o.centered, o.eps = 0.9, true, 1e-3; return optim.RMSprop(o) end,
  function(o) return optim.Lion(o) end,
}

local function each(f) for _, make in ipairs(made) do f(make) end end

local x, y = tensor.randn(24, 5):eval(), tensor.randn(24, 3):eval()

local function net_of()
  tensor.seed(7)
  local net = nn.Sequential { nn.Dense(7, { activation = "tanh" }), nn.Dense(3) }
  net:build { 5 }
  return net
end

local function state_of(net)
  local all = {}
  for _, p in ipairs(net:parameters()) do all[#all + 1] = p:totable() end
  return all
end

local function options()
  return { lr = 0.02, weight_decay = 0.01, clipvalue = 0.5, clipnorm = 0.8,
    schedule = optim.exponential { gamma = 0.9, per = "step", warmup = 3 } }
end

-- Traced and replayed: the bytes are the same, and it learns.
function tests.test_ways_of_a_step_give_the_same()
  each(function(make)
    local want
    for _, static in ipairs { false, true } do
      local net = net_of()
      local first, last
      local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
        make(options()), { static = static })
      for _ = 1, 20 do
        last = step(x, y)
        first = first or last
      end
      check.yes(last < first)
      want = want or state_of(net)
      check.equal(state_of(net), want)
    end
  end)
end

-- A layer that is frozen stays to the bit, and goes on when it thaws; no step, no trace.
function tests.test_frozen_layers()
  each(function(make)
    local net = net_of()
    local step = train.step(function(a, b) return loss.mse(net(a), b) end, net, make(options()))
    step(x, y)
    net:freeze "dense_1"
    local before = state_of(net)
    for _ = 1, 3 do step(x, y) end
    local after = state_of(net)
    check.equal(after[1], before[1])
    check.yes(after[3][1][1] ~= before[3][1][1])
    net:unfreeze "dense_1"
    step(x, y)
    check.yes(state_of(net)[1][1][1] ~= before[1][1][1])
  end)
end

-- Two steps that share an optimizer and a parameter go on from each other's slots.
function tests.test_shared_parameters()
  each(function(make)
    local function run(shared)
      local v, o = tensor.variable(tensor { 1, -2, 3 }), make(options())
      local function new() return train.step(function() return (v * v):sum() end, { v }, o) end
      local one = new()
      local two = shared and new() or one
      for _ = 1, 5 do one(); two() end
      return v:totable()
    end
    check.equal(run(true), run(false))
  end)
end

-- A gradient that is no number is refused, and nothing has changed: the next steps are as if
-- it had not been.
function tests.test_a_refused_step()
  each(function(make)
    local function run(bad)
      local v = tensor.variable(tensor { 1, -2, 3 })
      local step = train.step(function(a) return (v * a):square():sum() end, { v },
        make(options()), { static = true })
      for i = 1, 6 do
        if bad and i == 4 then
          local before = v:totable()
          check.equal(pcall(step, tensor { 1, 0 / 0, 1 }:eval()), false)
          check.equal(v:totable(), before)
        end
        step(tensor { 1, 0.5, 2 }:eval())
      end
      return v:totable()
    end
    check.equal(run(true), run(false))
  end)
end

-- A fit that was cut in two is the fit that was not; so a second one goes on with the slots.
function tests.test_fits_go_on()
  each(function(make)
    local set = data.set(x, y)
    local function run(...)
      local net, o = net_of(), make { lr = 0.01, weight_decay = 0.01 }
      for _, n in ipairs { ... } do
        train.fit(net, set, { loss = "mse", optimizer = o, epochs = n, batch_size = 8,
          shuffle = "none", verbose = false })
      end
      return state_of(net)
    end
    check.equal(run(2, 3), run(5))
  end)
end

-- The gradient is 3 at every step: w falls by lr 3 / (sqrt(start + 9 t) + eps).
function tests.test_adagrad_starts_where_it_is_said()
  local w = tensor.variable(tensor { 1 })
  local step = train.step(function() return (w * 3):sum() end, { w },
    optim.Adagrad { lr = 0.1, initial_accumulator_value = 0.1, eps = 1e-12 })
  local want = 1
  for t = 1, 3 do
    step()
    want = want - 0.1 * 3 / (math.sqrt(0.1 + 9 * t) + 1e-12)
    check.near(w, { want }, 4 * check.eps)
  end
end

-- The gradient is 3 at every step, so m / (1 - b1^t) = 3 and v = 9 (1 - b2^t): where eps stands
-- in the root, by the equation of each.
function tests.test_eps_inside_the_root()
  local eps, b2 = 0.5, 0.9
  local function corrected() return 3 / math.sqrt(9 + eps) end
  local function rectified(t)
    local most, power = 2 / (1 - b2) - 1, b2 ^ t
    local now = most - 2 * t * power / (1 - power)
    if now <= 5 then return 3 end
    local share = math.sqrt((now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now))
    return 3 * share * math.sqrt(1 - power) / math.sqrt(9 * (1 - power) + eps)
  end
  for step_of, make in pairs { [rectified] = optim.RAdam, [corrected] = optim.Adam,
    [function(t) return corrected(t) end] = optim.Muon } do
    local w, want = tensor.variable(tensor { 1 }), 1
    local o = { lr = 0.1, beta2 = b2, eps = eps, eps_inside = true }
    if make == optim.Muon then o.adam_lr = 0.1 end
    local step = train.step(function() return (w * 3):sum() end, { w }, make(o))
    for t = 1, 9 do
      step()
      want = want - 0.1 * step_of(t)
      check.near(w, { want }, 40 * check.eps)
    end
  end
end

check.run(tests)
