-- The back-propagation example worked by hand: two inputs, two hidden units, two outputs,
-- sigmoid everywhere, no bias, squared error; one step of SGD at rate 0.5.

local check = dofile "tests/check.lua"
local tests = {}
local tolerance = 1e-7

local x, target = tensor { { 0.1, 0.2 } }, tensor { { 0.4, 0.6 } }

-- Weights are [in, out]: column j holds the weights into unit j.
local first = { { 0.3, 0.4 }, { 0.25, 0.35 } }
local second = { { 0.45, 0.7 }, { 0.4, 0.6 } }
local first_after = { { 0.29959556, 0.39964496 }, { 0.24919112, 0.34928991 } }
local second_after = { { 0.43703857, 0.69629578 }, { 0.38685205, 0.59624247 } }

local function squared_error(y) return ((target - y) ^ 2):sum() / 2 end

local function network()
  local net = nn.Sequential {
    nn.Dense(2, { activation = "sigmoid", bias = false }),
    nn.Dense(2, { activation = "sigmoid", bias = false }),
  }
  net:build { 2 }
  net:load { ["dense_1.weight"] = tensor(first), ["dense_2.weight"] = tensor(second) }
  return net
end

function tests.test_forward()
  local y = network()(x)
  check.near(y, { { 0.60944600, 0.66384491 } }, tolerance)
  check.near(squared_error(y), 0.02397190, tolerance)
end

function tests.test_step_with_a_net()
  local net = network()
  local step = train.step(function(input) return squared_error(net(input)) end, net,
    optim.SGD { lr = 0.5 })
  check.near(step(x), 0.02397190, tolerance)
  local state = net:state()
  check.near(state["dense_1.weight"], first_after, tolerance)
  check.near(state["dense_2.weight"], second_after, tolerance)
  check.near(squared_error(net(x)), 0.02323634, tolerance)
end

function tests.test_step_with_variables_and_grad()
  local a, b = tensor.variable(tensor(first)), tensor.variable(tensor(second))
  local function forward() return x:matmul(a):sigmoid():matmul(b):sigmoid() end
  local g = grad(squared_error(forward()), { a, b })
  a:assign(a - 0.5 * g[1])
  b:assign(b - 0.5 * g[2])
  check.near(a, first_after, tolerance)
  check.near(b, second_after, tolerance)
  check.near(squared_error(forward()), 0.02323634, tolerance)
end

function tests.test_dense_2_on_3_inputs_has_8_parameters()
  local net = nn.Sequential { nn.Dense(2) }
  net:build { 3 }
  local summary = tostring(net:summary())
  check.yes(summary:find("dense_1[^\n]*8") ~= nil)
  check.yes(summary:find("[Tt]otal[^\n]*8") ~= nil)
end

check.run(tests)
