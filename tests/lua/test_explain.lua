-- train.explain: one step with everything that is computed in it, on the example of
-- back-propagation worked by hand (tests/lua/test_backprop.lua), and on other nets.
local check = dofile "tests/check.lua"
local tests = {}
local tolerance = 1e-7

local x, target = tensor { { 0.1, 0.2 } }, tensor { { 0.4, 0.6 } }
local function squared_error(y, t) return ((t - y) ^ 2):sum() / 2 end

local function network()
  local net = nn.Sequential {
    nn.Dense(2, { activation = "sigmoid", bias = false }),
    nn.Dense(2, { activation = "sigmoid", bias = false }),
  }
  net:build { 2 }
  return net:load { ["dense_1.weight"] = tensor { { 0.3, 0.4 }, { 0.25, 0.35 } },
                    ["dense_2.weight"] = tensor { { 0.45, 0.7 }, { 0.4, 0.6 } } }
end

local function part(result, name)
  for _, p in ipairs(result.parts) do
    if p.name == name then return p end
  end
  error("no part is called " .. name)
end

function tests.test_the_example_worked_by_hand()
  local net = network()
  local result = train.explain(net, x, target,
    { loss = squared_error, optimizer = optim.SGD { lr = 0.5 } })
  check.near(result.loss, 0.02397190, tolerance)
  check.near(part(result, "v2").value, { { 0.51998934, 0.52747230 } }, tolerance)
  check.near(part(result, "v4").value, { { 0.60944600, 0.66384491 } }, tolerance)
  -- d loss/d output, then d loss/d net input of the second layer, then of the first.
  check.near(part(result, "v4").gradient, { { 0.20944600, 0.06384491 } }, tolerance)
  check.near(part(result, "v3").gradient, { { 0.04985268, 0.01424729 } }, tolerance)
  check.near(part(result, "v1").gradient, { { 0.00808876, 0.00710088 } }, tolerance)
  local first, second = result.updates[1], result.updates[2]
  check.equal({ first.name, second.name }, { "dense_1.weight", "dense_2.weight" })
  check.near(first.after, { { 0.29959556, 0.39964496 }, { 0.24919112, 0.34928991 } }, tolerance)
  check.near(second.after, { { 0.43703857, 0.69629578 }, { 0.38685205, 0.59624247 } }, tolerance)
  check.near(first.before - 0.5 * first.gradient, first.after, tolerance)
  check.near(net:state()["dense_1.weight"], first.after, 0)
  check.near(squared_error(net(x), target), 0.02323634, tolerance)
end

function tests.test_the_text_has_every_step()
  local text = tostring(train.explain(network(), x, target,
    { loss = squared_error, optimizer = optim.SGD { lr = 0.5 } }))
  local at = 1
  for _, line in ipairs { "Forward", "v1 = matmul(x, dense_1.weight)   (dense_1)",
                          "v2 = sigmoid(v1)   (dense_1)", "loss = div(v7, 2)", "0.02397190",
                          "Backward, by the chain rule", "d v4/d v3, sigmoid of each element",
                          "d loss/d v3 = d loss/d v4 . d v4/d v3",
                          "d loss/d dense_1.weight = d loss/d v1 . d v1/d dense_1.weight",
                          "Update, by optim.SGD, lr = 0.5",
                          "dense_1.weight: before, gradient, after" } do
    local found = text:find(line, at, true)
    check.yes(found ~= nil, line .. " is not in\n" .. text)
    at = found
  end
end

-- The step is that of train.step, whatever is in the net: what draws, what has statistics.
function tests.test_it_is_a_training_step()
  local function trained(run)
    tensor.seed(4)
    local net = nn.Sequential { nn.Dense(4, { activation = "relu" }), nn.BatchNorm(),
                                nn.Dropout(0.5), nn.Dense(3) }
    local rows = tensor.randn(5, 2)
    net:build { 2 }
    local value = run(net, rows, tensor({ 1, 2, 3, 1, 2 }, { dtype = "int32" }))
    local state = {}
    for name, t in pairs(net:state()) do state[name] = t:totable() end
    return { value, state }
  end
  local explained = trained(function(net, a, y)
    local result = train.explain(net, a, y, { loss = "cross_entropy", optimizer = optim.Adam {} })
    check.yes(#tostring(result) > 1000)
    return result.loss
  end)
  check.equal(explained, trained(function(net, a, y)
    return train.step(function() return loss.cross_entropy(net(a), y) end, net, optim.Adam {})()
  end))
end

-- A value that goes into several others has the sum of what comes back from them.
function tests.test_branches_add_up()
  local net = nn.Sequential { nn.Residual(nn.Dense(2, { activation = "tanh" })) }
  local result = train.explain(net, tensor { { 1, 2 } }, tensor { { 0, 0 } })
  check.yes(tostring(result):find("loss = ", 1, true) ~= nil)
  local n = 0
  for _, p in ipairs(result.parts) do n = n + (p.gradient and 1 or 0) end
  check.yes(n >= 6)
  check.equal(result.optimizer.lr, optim.SGD {}.lr)
end

function tests.test_what_is_refused()
  local net = network()
  check.fails(function() train.explain(net, x, target, { los = "mse" }) end,
              'unknown option "los"', 'did you mean "loss"')
  check.fails(function() train.explain(net, x, target, { loss = "mes" }) end, 'did you mean "mse"')
  check.fails(function() train.explain(net, x, target, { optimizer = "sgdd" }) end, "sgdd")
  check.fails(function()
    train.explain(net, x, target, { optimizer = optim.SGD { accumulate = 2 } })
  end, "updates after 2 steps; allowed: accumulate = 1")
  check.fails(function() train.explain(net, x, target, 3) end, "test_explain.lua:",
    "table of options")
  local deep = nn.Sequential {}
  for _ = 1, 500 do deep:add(nn.Dense(2, { activation = "tanh" })) end
  check.fails(function() train.explain(deep, x, target) end, "more than 1000 parts")
end

check.run(tests)
