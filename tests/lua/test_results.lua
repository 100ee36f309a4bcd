-- What functions of the user return: nothing is lost without a word.

local check = dofile "tests/check.lua"
local tests = {}

local x, t = tensor { { 1, 2 }, { 3, 4 } }, tensor { { 0 }, { 1 } }
local set = data.set(x, t)

local function fit(options)
  options.loss = options.loss or "mse"
  options.epochs, options.verbose, options.record = 1, false, false
  return train.fit(nn.Sequential { nn.Dense(1) }, set, options)
end

local function two(value) return value, value end

function tests.test_a_layer_gives_tensors()
  local results = { function(v) return v, nil end, function() end, function() return 3 end,
    function() return {} end, function() return true end, function() return "x" end,
    function(v) return v, 3 end, function(v) return v, v, v, v, v, v, v, v, v end }
  local told = { "value 2 that the function returned is a nil", "returned nothing",
    "returned a number", "returned a table", "returned a boolean", "returned a string",
    "value 2 that the function returned is a number", "9 values; allowed: up to 8 tensors" }
  for i, f in ipairs(results) do
    check.fails(function() nn.Lambda(f)(x) end, "lambda_1: ", told[i])
    local custom = { forward = function(_, v) return f(v) end }
    check.fails(function() nn.Sequential { custom }(x) end, "custom_1", told[i])
    check.fails(function() nn.Sequential { f }(x) end, "lambda_1", told[i])
  end
  check.equal(nn.Lambda(function(v) return v end)(x):totable(), x:totable())
end

function tests.test_activations_and_initializers()
  for _, f in ipairs { two, function() end, function() return {} end } do
    check.fails(function() nn.activation(f)(x) end, "activation: the function returned")
    check.fails(function() nn.Dense(1, { init = f })(x) end, "initializer: the function returned")
  end
end

function tests.test_losses_and_metrics()
  for _, f in ipairs { function(a, b) return two(loss.mse(a, b)) end, function() end,
    function() return {} end } do
    check.fails(function() fit { loss = f } end, "loss.function: the function returned")
    check.fails(function() fit { metrics = { f } } end, "metric: the function returned")
  end
  check.fails(function() fit { loss = function() return 1 end } end, "returned a number")
  check.equal(#fit { metrics = { function() return 2 end } }.loss, 1)
end

function tests.test_schedules_and_callbacks()
  local function with(schedule)
    return fit { optimizer = optim.SGD { schedule = schedule } }
  end
  check.fails(function() with(function() return "fast" end) end, "schedule: ", "a string")
  check.fails(function() with(function() end) end, "returned nothing")
  check.fails(function() with(function(_, lr) return two(lr) end) end, "2 values")
  for _, f in ipairs { function() return two(false) end, function() return 1 end,
    function() return "stop" end } do
    check.fails(function() fit { callbacks = { f } } end, "callback: the function returned")
  end
  check.yes(fit { callbacks = { function() return true end, function() return false end } } ~= nil)
end

function tests.test_what_nets_take()
  local net = nn.Sequential { nn.Dense(1) }
  check.fails(function() net(x, t) end, "dense_1: takes 1 tensor, got 2")
  check.fails(function() net(x, true) end, "net: argument 2 is a boolean", "{ training = true }")
  check.fails(function() net(x, {}, t) end, "net: argument 2 is a table")
  check.fails(function() net(x, { train = true }) end, 'unknown option "train"')
  check.fails(function() net(x, x, x, x, x, x, x, x, x) end, "got 9 tensors; allowed: up to 8")
  check.fails(function() nn.Dense(2)() end, "a tensor")
  check.equal(nn.Dense(2) { { 1, 2 } }.shape, { 1, 2 })
  check.fails(function() net(set) end, "set:tensors()")
end

check.run(tests)
