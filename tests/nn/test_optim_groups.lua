-- What is around the rule of every optimizer: groups of parameters, gradients that accumulate,
-- lookahead, a rate that decays; in steps and in fits, traced and replayed.

local check = dofile "tests/check.lua"
local tests = {}

local x, y = tensor.randn(22, 4):eval(), tensor.randn(22, 2):eval()

local function net_of()
  tensor.seed(5)
  local net = nn.Sequential { nn.Dense(6, { activation = "tanh" }), nn.Dense(2) }
  return net:build { 4 }
end

local function values_of(net)
  local all = {}
  for name, t in pairs(net:state()) do all[name] = t:totable() end
  return all
end

local function trained(optimizer, options, set)
  local net = net_of()
  local how = { loss = "mse", optimizer = optimizer, epochs = 2, batch_size = 4, verbose = false,
    shuffle = "none" }
  for name, value in pairs(options or {}) do how[name] = value end
  train.fit(net, set or data.set(x, y), how)
  return values_of(net)
end

-- -- groups ------------------------------------------------------------------------------

function tests.test_no_decay_on_biases_is_one_line()
  local all = trained(optim.SGD { lr = 0.1, weight_decay = 0.5 })
  local none = trained(optim.SGD { lr = 0.1 })
  local some = trained(optim.SGD { lr = 0.1, weight_decay = 0.5,
    groups = { { "*.weight", weight_decay = 0 }, { "*.bias", weight_decay = 0 } } })
  check.equal(some, none)
  check.yes(all["dense_1.weight"][1][1] ~= none["dense_1.weight"][1][1])
  local still = trained(optim.Adam { groups = { { "dense_1", lr = 0 } } })
  check.equal(still["dense_1.bias"], values_of(net_of())["dense_1.bias"], "a layer's name")
  check.yes(still["dense_2.bias"][1] ~= 0)
end

-- The first group that fits counts; a rate that is set counts from the next step on, replayed
-- or not.
function tests.test_rates_of_groups_can_be_set()
  for _, static in ipairs { false, true } do
    local v, w = tensor.variable({ 0 }, "v"), tensor.variable({ 0 }, "w")
    local group = optim.group("v", { lr = 1 })
    local o = optim.SGD { lr = 10, groups = { group, { "*", lr = 2 } } }
    local step = train.step(function() return (v + w):sum() end, { v, w }, o, { static = static })
    step()
    check.equal({ v:item(), w:item() }, { -1, -2 })
    group.lr = 0.5
    step()
    check.equal({ v:item(), w:item() }, { -1.5, -4 })
    o.groups = {}
    step()
    check.equal({ v:item(), w:item() }, { -11.5, -14 })
  end
end

function tests.test_groups_that_say_nothing_are_refused()
  local function refused(groups, text)
    check.fails(function() optim.SGD { groups = groups } end, text)
  end
  refused({ { "*.bias" } }, "says nothing; allowed: lr, weight_decay")
  refused({ { "*.bias", wait_decay = 1 } }, 'did you mean "weight_decay"?')
  refused({ { "*.bias", lr = -1 } }, "lr")
  refused({ { lr = 1 } }, '"pattern" is missing')
  refused({ { "a", "b", lr = 1 } }, "by name")
  refused({ 3 }, "groups")
  check.fails(function() trained(optim.SGD { groups = { { "*.bais", lr = 1 } } }) end,
    '"*.bais" is the name of no variable or layer')
end

-- A frozen layer is met by its group, which counts once it thaws.
function tests.test_a_group_of_a_frozen_layer()
  local net = net_of():freeze "dense_1"
  local o = optim.SGD { lr = 0.1, groups = { { "dense_1", lr = 0 } } }
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net, o)
  local before = values_of(net)
  step(x, y)
  net:unfreeze()
  step(x, y)
  check.equal(values_of(net)["dense_1.weight"], before["dense_1.weight"])
  check.yes(values_of(net)["dense_2.bias"][1] ~= before["dense_2.bias"][1])
end

-- -- accumulation ------------------------------------------------------------------------

local function are_near(a, b)
  for name, t in pairs(a) do
    local off = (tensor(t) - tensor(b[name])):abs():max():item()
    check.yes(off <= 1e4 * check.eps, ("%s is off by %g"):format(name, off))
  end
end

-- Four rows and the last two make one update as the batch of all of them does, whatever the
-- rows weigh: the mean is over rows, not over batches.
function tests.test_steps_that_accumulate_are_one_of_a_larger_batch()
  local weight = tensor(x:sum(2):abs():totable()) + 0.1
  for _, set in ipairs { data.set(x, y), data.set(x, y, { weight = weight:eval() }) } do
    for _, make in ipairs { optim.Adam, optim.SGD } do
      local small = trained(make { lr = 0.05, accumulate = 3, clipnorm = 0.3 }, nil, set)
      local large = trained(make { lr = 0.05, clipnorm = 0.3 }, { batch_size = 12 }, set)
      are_near(small, large)
    end
  end
end

function tests.test_rates_count_updates()
  local v = tensor.variable { 0 }
  local o = optim.SGD { lr = 1, accumulate = 2, schedule = { function(t) return t + 1 end,
    per = "step" } }
  local step = train.step(function(g) return (v * g):sum() end, { v }, o, { static = true })
  local seen = {}
  for i = 1, 5 do
    step(tensor({ i }):eval())
    seen[i] = v:item()
  end
  check.equal(seen, { 0, -1.5, -1.5, -8.5, -8.5 })
end

-- A gradient that is no number is refused wherever it comes: what waits stays as it was.
function tests.test_a_refused_step_that_only_accumulates()
  local function run(bad)
    local v = tensor.variable { 1, 2 }
    local step = train.step(function(g) return (v * g):sum() end, { v },
      optim.Adam { lr = 0.1, accumulate = 2 })
    step(tensor({ 1, 2 }):eval())
    if bad then
      check.fails(function() step(tensor({ 1, 0 / 0 }):eval()) end, "step 1: ")
    end
    step(tensor({ 3, 2 }):eval())
    return v:totable()
  end
  check.equal(run(true), run(false))
  local v = tensor.variable { 1 }
  local never = train.step(function() return (v / 0):sum() end, { v }, optim.SGD { accumulate = 2 })
  check.fails(never, "step 1: ")
end

-- What a fit left waiting is not part of the next.
function tests.test_a_fit_that_ends_early_leaves_nothing()
  local o, net = optim.SGD { lr = 0.1, accumulate = 5 }, net_of()
  local stop = train.step(function(a, b) return loss.mse(net(a), b) end, net, o)
  stop(x, y)
  train.fit(net, data.set(x, y), { loss = "mse", optimizer = o, epochs = 2, batch_size = 4,
    verbose = false, shuffle = "none" })
  check.equal(values_of(net), trained(optim.SGD { lr = 0.1, accumulate = 5 }))
end

-- -- lookahead, decay --------------------------------------------------------------------

function tests.test_lookahead_goes_back()
  local v = tensor.variable { 0 }
  local step = train.step(function() return v:sum() end, { v },
    optim.SGD { lr = 1, lookahead = 2, lookahead_share = 0.25 }, { static = true })
  local seen = {}
  for i = 1, 4 do
    step()
    seen[i] = v:item()
  end
  check.equal(seen, { -1, -0.5, -1.5, -1 })
end

function tests.test_the_rate_decays_as_in_keras()
  local h = {}
  trained(optim.SGD { lr = 1e-3, decay = 0.5 }, { batch_size = 11, callbacks = {
    function(info) h[#h + 1] = info.lr end } })
  check.near(h[1], 1e-3 / 1.5, 1e-12)
  check.near(h[2], 1e-3 / 2.5, 1e-12)
end

function tests.test_options_that_do_not_fit()
  check.fails(function() optim.SGD { dampening = 0.1 } end, "needs a momentum above 0")
  check.fails(function() optim.SGD { dampening = 0.1, momentum = 0.9, nesterov = true } end,
    "without nesterov")
  check.fails(function() optim.SGD { accumulate = 0 } end, "accumulate")
  check.fails(function() optim.Muon { iterations = 0 } end, "iterations")
end

-- The singular values of a matrix's step are near 1, whatever the gradient's are; what has no
-- two axes steps as AdamW does.
function tests.test_muon()
  local w, b = tensor.variable(tensor.zeros(2, 8)), tensor.variable(tensor.zeros(3))
  local o = optim.Muon { lr = 1, adam_lr = 0.1, momentum = 0 }
  local step = train.step(function(g, h) return (w * g):sum() + (b * h):sum() end, { w, b }, o)
  local g = tensor.randn(2, 8) * tensor { { 1 }, { 30 } }
  step(g:eval(), tensor({ 1, -20, 3 }):eval())
  local gram = (w:matmul(w:transpose()) / 4):totable()
  check.yes(gram[1][1] > 0.4 and gram[1][1] < 1.5 and gram[2][2] > 0.4 and gram[2][2] < 1.5)
  check.yes(math.abs(gram[1][2]) < 0.3)
  local moved = b:totable()
  check.near(moved[1], -0.1, 1e-6)
  check.near(moved[2], 0.1, 1e-6)
end

-- Along a valley a hundred times as long as it is wide; two parameters are one vector.
function tests.test_lbfgs()
  local function after(optimizer, steps)
    local v, w = tensor.variable { 3 }, tensor.variable { -2 }
    local step = train.step(function()
      return (v:square() * 100 + w:square() + v * w):sum() / 2
    end, { v, w }, optimizer, { static = true })
    for _ = 1, steps do step() end
    return math.abs(v:item()) + math.abs(w:item())
  end
  check.yes(after(optim.LBFGS(), 15) < 1e-5)
  check.yes(after(optim.SGD { lr = 0.01 }, 15) > 1)
  check.fails(function() optim.LBFGS { history = 11 } end, "history")
end

check.run(tests)
