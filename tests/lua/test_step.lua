-- train.step: its arguments, what it trains, and its warning.

local check = dofile "tests/check.lua"
local tests = {}

local function said(code)
  local path = check.file("step.lua", code)
  local out, err, status = check.runner { path }
  check.equal(status, 0, err)
  return err, out
end

-- -- parameters of a net that is not built -----------------------------------------------

function tests.test_parameters_get_their_value_in_the_first_step()
  local function losses(what, build)
    tensor.seed(3)
    local net = nn.Sequential { nn.Dense(4, { activation = "tanh" }), nn.BatchNorm(), nn.Dense(1) }
    if build then net:build { 2 } end
    local p = net:parameters()
    check.equal(#p, 6)
    check.equal(p[1].name, "dense_1.weight")
    if not build then
      check.yes(p[1].shape == nil)
      check.fails(function() p[1]:item() end, "dense_1.weight", "net:build(shape)")
    end
    local step = train.step(function(x) return (net(x) - 1):square():mean() end,
      what == "net" and net or p, optim.Adam { lr = 0.1 })
    local x, out = tensor.linspace(-1, 1, 16):reshape(8, 2), {}
    for i = 1, 4 do out[i] = step(x) end
    out[5] = p[6]:item()
    return out
  end
  local want = losses("net", true)
  check.yes(want[5] ~= 0)
  check.equal(losses("net", false), want)
  check.equal(losses("parameters", true), want)
  check.equal(losses("parameters", false), want)
end

function tests.test_parameters_of_a_net_that_is_never_used()
  local used, idle = nn.Dense(1), nn.Dense(1)
  local both = { used:parameters()[1], idle:parameters()[1] }
  local step = train.step(function(x) return used(x):sum() end, both, optim.SGD { lr = 0.1 })
  local before = step(tensor.ones(1, 2))
  check.near(step(tensor.ones(1, 2)), before - 0.2)
  check.fails(train.step(function() return tensor(1) end, { idle:parameters()[1] },
    optim.SGD { lr = 0.1 }), "nothing to train")
end

-- -- arguments ---------------------------------------------------------------------------

function tests.test_arguments_are_values()
  local err = said [[
    local x, t = tensor.randn(40, 8, 3):eval(), tensor.randint(1, 2, 40, 8):eval()
    local net = nn.Dense(2)
    local step = train.step(function(a, b) return loss.cross_entropy(net(a), b) end, net, "sgd")
    for i = 1, 40 do step(x[i], t[i]) end
  ]]
  check.equal(err, "")
end

function tests.test_both_ways_give_the_same_bytes()
  local function losses(prepare, static)
    tensor.seed(4)
    local x, net = tensor.randn(20, 8, 3), nn.Dense(1)
    local step = train.step(function(a) return net(a):square():sum() end, net,
      optim.SGD { lr = 0.01 }, { static = static })
    local out = {}
    for i = 1, 20 do out[i] = step(prepare(x[i])) end
    return out
  end
  local want = losses(function(v) return v:eval() end)
  check.equal(losses(function(v) return v end), want)
  check.equal(losses(function(v) return v end, true), want)
end

function tests.test_an_argument_that_depends_on_a_variable_keeps_its_gradient()
  for _, static in ipairs { false, true } do
    local w = tensor.variable(tensor { 2, 3 })
    local step = train.step(function(a) return a:sum() end, { w }, optim.SGD { lr = 1 },
      { static = static })
    step((w * tensor { 1, 2 }):eval())
    check.near(w, { 1, 1 })
    step(w * tensor { 3, 4 })
    check.near(w, { -2, -3 })
    check.equal(step(w * tensor { 1, 1 }), -5.0)
    check.near(w, { -3, -4 })
    local u, v = tensor.variable(tensor { 1, 1 }), tensor.variable(tensor { 5, 5 })
    local add = train.step(function(a) return (a * w):sum() end, { w }, optim.SGD { lr = 1 },
      { static = static })
    check.equal(add(u), -7.0)
    check.equal(add(v), -45.0)
  end
end

-- -- the warning -------------------------------------------------------------------------

function tests.test_steps_that_are_planned_once_each_warn_nobody()
  local err = said [[
    for width = 1, 12 do
      local net = nn.Sequential { nn.Dense(width), nn.Dense(2) }
      train.fit(net, data.moons { n = 30 }, { loss = "cross_entropy", epochs = 2,
        batch_size = 10, verbose = false, record = false })
      local w = tensor.variable(tensor.ones(width))
      train.step(function() return (w * w):sum() end, { w }, "sgd")()
    end
  ]]
  check.equal(err, "")
end

function tests.test_a_step_that_changes_says_what_changed()
  local function warning(body, argument)
    return said(([[
      local w, x = tensor.variable(tensor.ones(3)), tensor.ones(40, 3):eval()
      local step = train.step(function(a) %s end, { w }, "sgd")
      for i = 1, 12 do step(%s) end
    ]]):format(body, argument))
  end
  local function has(err, ...)
    check.yes(err:find("each of the last 8 calls of this step", 1, true) ~= nil, err)
    for _, word in ipairs { ... } do check.yes(err:find(word, 1, true) ~= nil, err) end
    check.equal(select(2, err:gsub("planned anew", "")), 1)
  end
  has(warning("return (w * x[a]):sum()", "i"), "slice (1x3)", '"ranges" was another')
  has(warning("return (w * a):sum()", "tensor.ones(i, 3):eval()"), "8x3", "was 7x3 real")
  has(warning("local y = w for _ = 1, a do y = y + 1 end return y:sum()", "i"), "was sum")
end

-- Initial values that were not looked at yet, of nets that the function does not read.
function tests.test_nets_that_the_function_does_not_read()
  local function built() return nn.Sequential { nn.Dense(3) }:build { 2 } end
  for _, optimizer in ipairs { optim.SGD(), optim.Adam() } do
    local used, unused, alone = built(), built(), built()
    local step = train.step(function(x) return used(x):mean() end, { used, unused }, optimizer)
    step(tensor.ones(2, 2))
    step(tensor.ones(2, 2))
    check.equal(train.step(function() return tensor(3) end, alone, optimizer)(), 3)
    local inside
    train.step(function(x)
      inside = inside or built()
      return used(x):mean() + inside(x):detach():mean()
    end, { used }, optimizer)(tensor.ones(2, 2))
    for _, net in ipairs { unused, alone } do
      check.yes(net:parameters()[1]:abs():sum():item() > 0)
    end
  end
end

check.run(tests)
