-- What trains, but hardly as it was meant, is warned of once.

local check = dofile "tests/check.lua"
local tests = {}

local function count(text, part) return select(2, text:gsub(part, "")) end

local function stderr_of(code)
  local path = check.file("s.lua", code)
  local _, err, status = check.runner { path }
  return err, status
end

-- -- a variable that no step trains ------------------------------------------------------

local set = [[
  local set = data.moons { n = 32 }
  local how = { loss = "cross_entropy", epochs = 3, verbose = false, record = false }
]]
local untrained = "the loss reads a variable that is not trained"

function tests.test_a_variable_in_a_lambda_or_a_loss()
  for _, code in ipairs {
    [[local net = nn.Sequential { nn.Dense(2), nn.Lambda(function(x) return x * v end) }]],
    [[local net = nn.Sequential { nn.Dense(2) }
      how.loss = function(y, t) return loss.cross_entropy(y, t) + v:square():sum() end]],
  } do
    local err, status = stderr_of(("local v = tensor.variable(tensor { 1, 2 }, 'scale')\n%s\n%s " ..
      "train.fit(net, set, how) train.fit(net, set, how)"):format(set, code))
    check.equal(status, 0)
    check.equal(count(err, untrained), 1, err)
    check.yes(err:find('"scale" made at %S*s.lua:1;') ~= nil, err)
  end
end

function tests.test_a_variable_in_a_step()
  local code = [[
    local v, w = tensor.variable(tensor { 1 }), tensor.variable(tensor { 2 })
    local step = train.step(function(x) return (w * x %s):sum() end, { w }, "sgd")
    for _ = 1, 3 do step(tensor { 3 }) end]]
  check.equal(count(stderr_of(code:format "+ v"), untrained), 1)
  check.equal(stderr_of(code:format "+ v:detach()"), "")
  check.equal(stderr_of(code:format ""), "")
  check.equal(stderr_of((code:gsub("{ w }", "{ w, v }")):format "+ v"), "")
end

-- However many there are, the warning ends with what to do.
function tests.test_many_variables_are_told_in_short()
  local err = stderr_of [[
    local w, vs = tensor.variable(tensor { 1 }), {}
    for i = 1, 300 do vs[i] = tensor.variable(tensor { i }) end
    train.step(function(x)
      for i = 1, 300 do x = x * vs[i] * vs[i] end
      return (w * x):sum()
    end, { w }, "sgd")(tensor { 0.001 })]]
  check.yes(err:find("s%.lua:2 and 297 more; give it to train%.step.*meant to stay") ~= nil, err)
end

-- Trained in turn, by a layer in Lua, assigned by the script, or only looked at.
function tests.test_variables_that_are_meant_so()
  check.equal(stderr_of [[
    local v, w = tensor.variable(tensor { 1 }), tensor.variable(tensor { 2 })
    local function f(x) return (v * w * x):sum() end
    local a, b = train.step(f, { v }, "sgd"), train.step(f, { w }, "sgd")
    a(tensor { 1 }) b(tensor { 1 })]], "")
  check.equal(stderr_of(set .. [[
    local layer = { scale = tensor.variable(tensor { 1, 2 }) }
    function layer:forward(x) return x * self.scale end
    train.fit(nn.Sequential { nn.Dense(2), layer }, set, how)]]), "")
  check.equal(stderr_of(set .. [[
    local beta = tensor.variable(1)
    how.callbacks = { function(e) beta:assign(1 / e.epoch) end }
    beta:assign(2)
    local net = nn.Sequential { nn.Dense(2), nn.Lambda(function(x) return x * beta end) }
    train.fit(net, set, how)]]), "")
  check.equal(stderr_of [[
    local v, w = tensor.variable(tensor { 1 }), tensor.variable(tensor { 2 })
    train.step(function() return w:sum(), v:sum() end, { w }, "sgd")()]], "")
end

-- -- a loss that goes astray ---------------------------------------------------------------

local line = [[
  local x = tensor.randn(64, 3)
  local net = nn.Sequential { nn.Dense(1) }
  local function fit(lr, epochs, verbose)
    return pcall(train.fit, net, data.set(x, x:sum(2):reshape(64, 1)), { loss = "mse",
      epochs = epochs, optimizer = optim.SGD { lr = lr }, validation = 0.25,
      record = false, verbose = verbose })
  end
]]

function tests.test_large_losses_are_short_and_told_once()
  local err = stderr_of(line .. "fit(2, 8, true)")
  check.equal(count(err, "warning: epoch %d+: the loss is %S+ times that of the first epoch; " ..
    "is the learning rate too large%?"), 1, err)
  local largest = 0
  for number in err:gmatch "loss (%S+)" do
    check.yes(#number <= 10, number)
    largest = math.max(largest, tonumber(number) or 0)
  end
  check.yes(largest >= 1e5, err)
end

function tests.test_the_first_epoch_and_losses_that_are_not_finite()
  local err = stderr_of(line .. "fit(1e9, 3, false)")
  check.equal(count(err, "warning: epoch 1: "), 1, err)
  local why = err:find("val_loss is inf", 1, true) or err:find("of the first step", 1, true)
  check.yes(why ~= nil, err)
  check.equal(stderr_of(line .. "fit(0.01, 6, false)"), "")
end

check.run(tests)
