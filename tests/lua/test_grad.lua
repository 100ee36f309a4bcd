-- Gradients from Lua.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_of_a_variable()
  local w = tensor.variable(tensor { 1, 2, 3 })
  local g = grad((w * w):sum(), { w })
  check.near(g[1], { 2, 4, 6 })
  check.near(grad(w:sum(), w)[1], { 1, 1, 1 })
end

function tests.test_of_a_plain_tensor_before_it_is_evaluated()
  local x = tensor { 1, 2, 3 }
  local y = (x:sin() * 2):sum()
  check.near(grad(y, { x })[1], { 2 * math.cos(1), 2 * math.cos(2), 2 * math.cos(3) })
end

function tests.test_history_that_was_forgotten_is_an_error()
  local x = tensor { 1, 2 }
  local y = (x * x):sum()
  check.equal(y:item(), 5.0)
  check.fails(function() grad(y, { x }) end, "forgot its inputs", "tensor.variable")
end

function tests.test_history_of_variables_is_kept()
  local w = tensor.variable(tensor { 1, 2 })
  local y = (w * w):sum()
  check.equal(y:item(), 5.0)
  check.near(grad(y, { w })[1], { 2, 4 })
end

function tests.test_with_gy_and_without_dependence()
  local w, v = tensor.variable(tensor { 1, 2 }), tensor.variable(tensor { 5 })
  local g = grad(w * 3, { w, v }, tensor { 1, 10 })
  check.near(g[1], { 3, 30 })
  check.near(g[2], { 0 })
  check.fails(function() grad(w * 3, { w }) end, "one element")
  check.fails(function() grad(w * 3, { w }, tensor { 1 }) end, "gy")
end

function tests.test_of_a_gradient()
  local x = tensor.variable(tensor { 0.5, 1.5 })
  local first = grad((x ^ 3):sum(), { x })[1]
  local second = grad(first:sum(), { x })[1]
  local third = grad(second:sum(), { x })[1]
  check.near(first, { 0.75, 6.75 }, 1e-6)
  check.near(second, { 3, 9 }, 1e-6)
  check.near(third, { 6, 6 }, 1e-5)
end

function tests.test_of_a_function()
  local df = grad(function(x, y) return (x * y):sum() end)
  local gx, gy = df(tensor { 1, 2 }, tensor { 3, 4 })
  check.near(gx, { 3, 4 })
  check.near(gy, { 1, 2 })
  local d2f = grad(function(x) return df(x, x):sum() end)
  check.near(d2f(tensor { 1, 2 }), { 1, 1 })
  check.fails(function() grad(function() return "x" end)(tensor { 1 }) end, "string")
end

function tests.test_detach_stops_it()
  local w = tensor.variable(tensor { 2 })
  check.near(grad((w * w:detach()):sum(), { w })[1], { 2 })
end

-- Also of a tensor that has no history to be cut from, and however often.
function tests.test_detach_stops_it_at_a_leaf()
  local x = tensor { 1, 2 }
  local pending, done, view = x * 3, (x + 1):eval(), x:reshape(1, 2)
  for _, t in ipairs { x, pending, done, view } do
    local d = t:detach()
    check.near(d, t)
    check.near(grad((t * d):sum(), { t, d }), { t, t })
    check.near(grad((t * d:detach()):sum(), { t, d }), { t, t * 0 })
    check.near(grad((t * (d * 2):eval()):sum(), { t })[1], t * 2)
  end
  check.near(grad((x * pending:detach()):sum(), { x })[1], { 3, 6 })
  for _ = 1, 20000 do x = x:detach() end
  check.near(x, { 1, 2 })
end

-- What a step detaches is its own argument at every call, also where it is replayed.
function tests.test_detach_in_a_step()
  local function losses(static)
    local w = tensor.variable(tensor { 1, 2 })
    local step = train.step(function(a)
      local d = a:detach()
      return ((w * d):square() + w * (a * 2):detach()):sum(), d + 1
    end, { w }, optim.SGD { lr = 0.125 }, { static = static })
    local out = {}
    for i = 1, 6 do
      local loss, d = step(tensor { i / 8, 0.5 })
      out[2 * i - 1], out[2 * i] = loss, d:totable()
    end
    return out
  end
  local traced = losses(false)
  check.equal(traced[12], { 1.75, 1.5 })
  check.equal(losses(true), traced)
end

function tests.test_two_reads_of_a_variable_both_count()
  local w = tensor.variable(tensor { 3 })
  local before = w * 2
  w:assign(tensor { 10 })
  check.near(grad((before + w):sum(), { w })[1], { 3 })
end

-- As many tensors as there are, as of a deep net.
function tests.test_by_many_tensors()
  local net = nn.Sequential {}
  for _ = 1, 70 do net:add(nn.Dense(2)) end
  local parameters = (net(tensor.ones(1, 2)) and net):parameters()
  local g = grad(net(tensor.ones(1, 2)):sum(), parameters)
  check.equal({ #parameters, #g }, { 140, 140 })
  check.near(g[140], { 1, 1 })
end

function tests.test_not_by_integers()
  local x = tensor({ 1, 2 }, { dtype = "int32" })
  check.fails(function() grad((x * 2):sum(), { x }) end, "only real tensors")
end

function tests.test_nothing_flows_through_integers()
  local x = tensor { 1, 2 }
  check.near(grad(x:cast("int32"):one_hot(3):sum(), { x })[1], { 0, 0 })
  local labels = tensor({ 1, 2 }, { dtype = "int32" })
  check.fails(function() grad(labels:one_hot(3):sum(), { labels }) end, "only real tensors")
end

check.run(tests)
