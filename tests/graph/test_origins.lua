-- What grad knows of tensors that were evaluated and forgot how: exact, never a silent zero.

local check = dofile "tests/check.lua"
local tests = {}

-- -- variables: exact at any depth -------------------------------------------------------

function tests.test_an_evaluated_tensor_hides_no_variable()
  for n = 1, 200 do
    local w = tensor.variable(tensor.ones(3))
    local x = (tensor.ones(3) * n):eval()
    check.near(grad((w * x):sum(), { w })[1], { n, n, n })
  end
end

function tests.test_parameters_of_a_deep_net_and_an_evaluated_slice()
  local x, t = tensor.randn(24, 4):eval(), tensor.randint(1, 3, 24):eval()
  local net = nn.Sequential {}
  for _ = 1, 60 do net:add(nn.Dense(4, { activation = "selu" })) end
  net:add(nn.Dense(3))
  loss.cross_entropy(net(x), t):item()
  local step = train.step(function(a, b) return loss.cross_entropy(net(a), b) end, net,
    optim.SGD { lr = 1e-4 })
  for i = 0, 2 do
    local rows = { 8 * i + 1, 8 * i + 8 }
    step(((x - x:mean(1)) / x:var(1):sqrt()):slice(rows, nil):eval(), t:slice(rows):eval())
  end
end

-- Both loops are cut; each forgot one of two variables.
function tests.test_a_cut_history_hides_its_own_variables_only()
  local w, u = tensor.variable(tensor { 1 }), tensor.variable(tensor { 2 })
  local v = tensor { 0 }
  for _ = 1, 12000 do v = v + w end
  check.near(grad((v * u):sum(), { u })[1], v)
  check.fails(function() grad((v * u):sum(), { u, w }) end, "cut at")
  local d = (v:detach() * w):sum()
  check.near(grad(d, { w })[1], v)
end

-- Each round reads another constant: more than are remembered.
function tests.test_a_cut_with_many_leaves_stays_exact_for_variables()
  local w, u = tensor.variable(tensor { 1 }), tensor.variable(tensor { 2 })
  local v = tensor { 0 }
  for i = 1, 6000 do v = v + w * tensor { i } end
  check.near(grad((v * u):sum(), { u })[1], v)
  check.fails(function() grad(v:sum(), { w }) end, "cut at")
end

-- -- tensors that are no variables -------------------------------------------------------

function tests.test_leaves_are_told_apart()
  for n = 1, 200 do
    local w, a = tensor { 1, 2 }, tensor { n, n }
    local x = (a * 2):eval()
    check.near(grad((w * x):sum(), { w })[1], { 2 * n, 2 * n })
    check.fails(function() grad((w * x):sum(), { a }) end, "forgot its inputs", "mul")
  end
end

function tests.test_computed_tensors_are_told_apart()
  local raw = tensor { 1, 2, 3 }
  local x, mask = (raw / 2):eval(), raw:gt(1):eval()
  check.near(grad((x * x * mask):sum(), { x })[1], { 0, 2, 3 })
  local y = (x + 1):eval()
  check.fails(function() grad((x * y):sum(), { x }) end, "forgot its inputs", "add")
  local pending = raw * 3
  local user = (pending + 1):eval()
  check.fails(function() grad(user:sum(), { pending }) end, "forgot its inputs")
  check.fails(function() grad(user:sum(), { raw }) end, "forgot its inputs")
  check.near(grad((user * x):sum(), { x })[1], user)
end

function tests.test_a_computed_tensor_below_a_cut()
  local w = tensor.variable(tensor { 1 })
  local z, v = w * 2, tensor { 0 }
  local other = w * 3
  for _ = 1, 12000 do v = v + z end
  check.fails(function() grad(v:sum(), { z }) end, "cut at")
  local k = tensor.variable(tensor { 5 })
  local apart = k * 2
  check.near(grad((v * apart):sum(), { apart })[1], v)
  check.near(grad((v * other):sum(), { other })[1], v)
  check.near(grad((other * 2):sum(), { other })[1], { 2 })
end

-- Many rounds on one tensor: few leaves, however long the loop.
function tests.test_a_long_evaluated_loop_on_few_leaves()
  local x, w, s = tensor { 1, 1 }, tensor { 2, 3 }, tensor { 0, 0 }
  for _ = 1, 3000 do s = (s + x):eval() end
  check.near(grad((w * s):sum(), { w })[1], { 3000, 3000 })
  check.fails(function() grad((w * s):sum(), { x }) end, "forgot its inputs")
end

function tests.test_up_to_1024_leaves()
  local old, exact, w, many = tensor { 3 }
  local function made_in_between(n)
    local s = tensor { 0 }
    for i = 2, n do
      s = s + tensor { i }
      if i == n - 1 then w = tensor { 3 } end
    end
    return s:eval()
  end
  exact = made_in_between(1024)
  check.near(grad((w * exact):sum(), { w })[1], { 524799 })
  many = made_in_between(1100)
  check.fails(function() grad((w * many):sum(), { w }) end, "1024", "tensor.variable", "grad(f)")
  check.near(grad((old * many):sum(), { old })[1], many)
  local later, variable = tensor { 2 }, tensor.variable(tensor { 2 })
  check.near(grad((later * many):sum(), { later })[1], many)
  check.near(grad((variable * many):sum(), { variable })[1], many)
  check.near(grad(function(x) return (x * many):sum() end)(w), many)
end

function tests.test_long_loops_stay_small()
  collectgarbage()
  local w, v = tensor.variable(tensor { 1 }), tensor { 0 }
  local s, x = tensor { 0 }, tensor { 1 }
  for i = 1, 60000 do
    v = v + w
    if i % 4 == 0 then s = (s + x * i):eval() end
  end
  check.equal(v:item(), 60000.0)
  check.yes(s:item() > 0)
end

-- -- many tensors at once, and integers --------------------------------------------------

function tests.test_any_number_of_tensors()
  local net = nn.Sequential {}
  for _ = 1, 40 do net:add(nn.Dense(2)) end
  local y = net(tensor.ones(2, 2)):sum()
  local all = grad(y, net:parameters())
  check.equal(#all, 80)
  check.near(all[80], { 2, 2 })
  check.near(all[1], grad(y, { net:parameters()[1] })[1])
  local list, sum = {}, tensor(0)
  for i = 1, 300 do
    list[i] = tensor(i)
    sum = sum + list[i] * i
  end
  local order = {}
  for i = 1, 300 do order[i] = list[301 - i] end
  order[301] = list[7]
  local g = grad(sum, order)
  for i = 1, 300 do check.equal(g[i]:item(), 301.0 - i) end
  check.equal(g[301]:item(), 7.0)
  check.equal(#grad(sum, {}), 0)
end

function tests.test_of_a_function_of_many_arguments()
  local function f(...)
    local y = 0
    for i, x in ipairs { ... } do y = y + x * i end
    return y
  end
  local args = {}
  for i = 1, 150 do args[i] = tensor(1) end
  local g = { grad(f)(table.unpack(args)) }
  check.equal(#g, 150)
  check.equal(g[150]:item(), 150.0)
end

function tests.test_only_reals_have_gradients()
  for _, dtype in ipairs { "int32", "uint8" } do
    local x = tensor({ 1, 2 }, { dtype = dtype })
    local w = tensor { 1, 2 }
    check.fails(function() grad((x * w):sum(), { w, x }) end, "tensor 2", dtype,
      "only real tensors have gradients", 'cast "real"')
    check.fails(function() grad(function(a) return (a * w):sum() end)(x) end, dtype)
    local real = x:cast "real"
    check.near(grad((real * w):sum(), { real })[1], w)
  end
  local v = tensor.variable(tensor({ 1 }, { dtype = "int32" }), "labels")
  local step = train.step(function() return (v * 2):sum() end, { v }, optim.SGD { lr = 1 })
  check.fails(step, "labels", "int32", "only real tensors")
end

check.run(tests)
