-- Adam counts the updates of each parameter: one that joins later begins at its own first.
-- Under a constant gradient every step of Adam is the rate (Kingma and Ba, section 2.1), so
-- counts show in the steps: one that is too large for its moments makes them larger at first.

local check = dofile "tests/check.lua"
local tests = {}

local RATE = 0.01
local optimizers = {
  function() return optim.Adam { lr = RATE } end,
  function() return optim.AdamW { lr = RATE, weight_decay = 0 } end,
}

local function variable() return tensor.variable(tensor { 0, 0 }) end

-- A step that moves each variable down, its gradient being 1 everywhere.
local function falling(variables, optimizer, options)
  return train.step(function()
    local sum = 0
    for _, v in ipairs(variables) do sum = sum + v:sum() end
    return sum
  end, variables, optimizer, options)
end

-- It has had `n` updates.
local function moved(v, n) check.near(v, { -RATE * n, -RATE * n }, 2e-4 * n * RATE) end

local function each(f)
  for _, make in ipairs(optimizers) do
    for _, static in ipairs { false, true } do f(make(), { static = static }) end
  end
end

local function times(n, step) for _ = 1, n do step() end end

function tests.test_a_variable_of_a_second_step()
  each(function(o, options)
    local old, new, newer = variable(), variable(), variable()
    times(60, falling({ old }, o, options))
    local both = falling({ old, new }, o, options)
    both()
    moved(old, 61)
    moved(new, 1)
    times(9, both)
    moved(new, 10)
    times(3, falling({ newer, new, old }, o, options))
    moved(newer, 3)
    moved(new, 13)
    moved(old, 73)
  end)
end

-- The groups of a captured step fall apart when another step updates a part of them.
function tests.test_steps_that_take_turns()
  each(function(o, options)
    local a, b, c = variable(), variable(), variable()
    local all, some, one = falling({ a, b, c }, o, options), falling({ a, b }, o, options),
      falling({ c }, o, options)
    for k = 1, 30 do
      all()
      if k % 2 == 0 then some() end
      if k % 3 == 0 then times(2, one) end
    end
    moved(a, 45)
    moved(b, 45)
    moved(c, 50)
  end)
end

-- One variable under two optimizers, and one optimizer for two nets that share a layer.
function tests.test_what_is_shared()
  each(function(o, options)
    local v, other = variable(), optimizers[1]()
    times(40, falling({ v }, o, options))
    times(5, falling({ v }, other, options))
    moved(v, 45)
  end)
  each(function(o, options)
    local function head() return nn.Dense(1, { init = "zeros", bias = true }) end
    local trunk = nn.Dense(1, { init = "zeros", name = "trunk" })
    local one, two = nn.Sequential { trunk, head() }, nn.Sequential { trunk, head() }
    one:build { 1 }
    two:build { 1 }
    local function step_of(net)
      return train.step(function() -- of all parameters, the trunk's as well
        local sum = 0
        for _, p in ipairs(net:parameters()) do sum = sum + p:sum() end
        return sum
      end, net, o, options)
    end
    local first, second = step_of(one), step_of(two)
    times(20, first)
    for _ = 1, 4 do first(); second() end
    for i, n in ipairs { 28, 28, 24, 24 } do
      check.near(one:parameters()[i], { -RATE * n }, 2e-4 * n * RATE)
    end
    check.near(two:parameters()[3], { -RATE * 4 }, 1e-5)
  end)
end

-- Two branches, of which one is frozen at first: the error's sign is each bias's gradient.
local function branches()
  return nn.Concat { nn.Dense(1, { name = "a", init = "zeros" }),
    nn.Dense(1, { name = "b", init = "zeros" }) }
end

local far = data.set(tensor.ones(8, 1), tensor.full(-1000, 8, 2))

local function fit(net, options)
  options.loss, options.verbose, options.batch_size = options.loss or "mae", false, 4
  return train.fit(net, far, options)
end

local function biases(net, name, n)
  check.near(net:state()[name .. ".bias"], { -RATE / 2 * n }, 1e-4 * n * RATE)
end

function tests.test_layers_that_thaw_in_a_fit()
  local custom = function(y, t) return (y - t):abs():mean() end -- traced; "mae" is replayed
  for _, loss in ipairs { "mae", custom } do
    local net, o = branches(), optim.Adam { lr = RATE / 2 }
    net:build { 1 }
    net:freeze "b"
    fit(net, { loss = loss, optimizer = o, epochs = 20, callbacks = { function(info)
      if info.epoch == 10 then net:unfreeze "b" end
      if info.epoch == 12 then net:freeze "a" end
      if info.epoch == 15 then net:unfreeze "a" end
    end } })
    biases(net, "a", 34)
    biases(net, "b", 20)
    fit(net, { loss = loss, optimizer = o, epochs = 5 }) -- a second fit goes on
    biases(net, "a", 44)
    biases(net, "b", 30)
  end
end

function tests.test_a_layer_that_is_added()
  local net, o = nn.Sequential { nn.Dense(1, { init = "zeros" }) }, optim.Adam { lr = RATE }
  net:build { 1 }
  local step = train.step(function()
    local sum = 0
    for _, p in ipairs(net:parameters()) do sum = sum + p:sum() end
    return sum
  end, net, o)
  times(50, step)
  net:add(nn.Dense(1, { init = "zeros" }))
  net:build { 1 }
  times(3, step)
  for i, n in ipairs { 53, 53, 3, 3 } do
    check.near(net:parameters()[i], { -RATE * n }, 2e-4 * n * RATE)
  end
end

-- Frozen, refused and failed steps are no updates; the optimizer knows nothing of them.
function tests.test_steps_that_fail_count_nothing()
  local o, v, w = optim.Adam { lr = RATE }, variable(), variable()
  local factor = 1 / 0
  local bad = train.step(function() return (w * factor):sum() end, { w }, o)
  check.fails(bad, "step 1", "not finite")
  check.fails(train.step(function() error "no" end, { w }, o), "no")
  times(20, falling({ v }, o))
  check.fails(bad, "step 21", "not finite")
  factor = 1
  bad()
  moved(w, 1)
  moved(v, 20)
end

-- What does not correct its bias is not cut into groups: a velocity begins at 0.
function tests.test_momentum_of_a_variable_that_joins()
  local o, old, new = optim.SGD { lr = 1, momentum = 0.5 }, variable(), variable()
  times(3, falling({ old }, o))
  times(2, falling({ old, new }, o))
  check.near(new, { -2.5, -2.5 })
end

local script = [[
  local args = args { static = false }
  local o = optim.AdamW { lr = 0.02, weight_decay = 0.1, global_clipnorm = 1 }
  local a = nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.Dense(2) }
  local b = nn.Sequential { nn.Dense(4), nn.Dense(2) }
  a:build { 3 } b:build { 3 }
  local function step(nets)
    return train.step(function(x)
      local y = 0
      for _, net in ipairs(nets) do y = y + net(x) end
      return (y * y):mean()
    end, nets, o, { static = args.static })
  end
  local one, both = step { a }, step { b, a }
  for i = 1, 14 do
    local x = tensor.rand(6, 3)
    if i % 3 == 1 then one(x) end
    print(("%a"):format(both(x)))
    if i == 7 then a:freeze "dense_1" end
    if i == 10 then a:unfreeze "dense_1" end
  end
  for _, net in ipairs { a, b } do
    for name, t in pairs(net:state()) do
      for _, v in ipairs(t:reshape(-1):totable()) do print(name, ("%a"):format(v)) end
    end
  end
]]

function tests.test_bytes_are_those_of_the_naive_executor()
  local path = check.file("counts.lua", script)
  local function run(static, executor)
    local out, err, status = check.runner({ path, "static=" .. static }, executor)
    if status ~= 0 then error(err) end
    return out
  end
  local naive = run("false", "RUNNER_EXECUTOR=naive")
  check.yes(run("false") == naive)
  check.yes(run("true") == naive)
end

check.run(tests)
