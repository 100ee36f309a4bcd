-- Regularizers and constraints of layers: what they add to loss and gradient, what they bound.

local check = dofile "tests/check.lua"
local tests = {}

local x, y = tensor.randn(6, 4):eval(), tensor.randn(6, 3):eval()

local function net_of(options)
  tensor.seed(9)
  options.units = 3
  return nn.Sequential { nn.Dense(options) }:build { 4 }
end

local function values_of(net) return net:state() end

-- One step of SGD, and the loss of it.
local function stepped(options, f)
  local net = net_of(options)
  if f then f(net) end
  local value = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.SGD { lr = 0.1 })(x, y)
  return net, value
end

local function near(a, b) check.yes((a - b):abs():max():item() <= 20 * check.eps) end

-- The same penalty written by hand gives the same loss and the same weights.
local function by_hand(penalty, bias)
  local net = net_of { bias_init = bias }
  local value = train.step(function(a, b)
    local output = net(a)
    local all = net:parameters()
    return loss.mse(output, b) + penalty(all[1], all[2], output)
  end, net, optim.SGD { lr = 0.1 })(x, y)
  return net, value
end

local function is_same(options, penalty)
  local net, value = stepped(options)
  local wanted, want = by_hand(penalty, options.bias_init)
  check.near(value / want, 1, 20 * check.eps)
  near(net:state()["dense_1.weight"], wanted:state()["dense_1.weight"])
  near(net:state()["dense_1.bias"], wanted:state()["dense_1.bias"])
end

function tests.test_penalties_are_part_of_the_loss()
  is_same({ weight_regularizer = nn.l2(0.3) }, function(w) return w:square():sum() * 0.3 end)
  is_same({ kernel_regularizer = "l1" }, function(w) return w:abs():sum() * 0.01 end)
  is_same({ kernel_regularizer = nn.l1_l2(0.2, 0.1), bias_init = "ones",
    bias_regularizer = nn.l1(0.5) }, function(w, b)
    return w:abs():sum() * 0.2 + w:square():sum() * 0.1 + b:abs():sum() * 0.5
  end)
end

function tests.test_biases_and_activities()
  local function ones(net) net:parameters()[2]:assign(tensor { 1, -2, 3 }) end
  local plain, first = stepped({}, ones)
  local net, value = stepped({ bias_regularizer = nn.l1(0.5) }, ones)
  check.near(value, first + 3, 1e-5)
  near(net:state()["dense_1.bias"], plain:state()["dense_1.bias"] -
    tensor { 0.05, -0.05, 0.05 })
  is_same({ activity_regularizer = nn.l2(0.3) }, function(_, _, o)
    return o:square():sum() * (0.3 / 6)
  end)
end

-- Called twice in a step, a layer's weights are penalized once; inference and validation are not.
function tests.test_when_they_count()
  local net = net_of { weight_regularizer = nn.l2(0.3) }
  local w = net:state()["dense_1.weight"]
  local value = train.step(function(a) return net(a):sum() * 0 + net(a):sum() * 0 end, net,
    optim.SGD { lr = 0 })(x)
  check.near(value, 0.3 * w:square():sum():item(), 1e-5)
  local h = train.fit(net, data.set(x, y), { loss = "mse", optimizer = optim.SGD { lr = 0 },
    batch_size = 6, validation_data = data.set(x, y), verbose = false })
  check.near(h.loss[1] - h.val_loss[1], 0.3 * w:square():sum():item(), 1e-5)
  local one = net_of { weight_regularizer = nn.l2(0) }
  check.near(stepped({ weight_regularizer = nn.l2(0) }) and 1, 1)
  check.yes(one ~= nil)
end

-- -- constraints -------------------------------------------------------------------------

local function norms(t) return t:square():sum(1):sqrt():totable() end

function tests.test_units_are_bounded_after_the_update()
  for _, static in ipairs { false, true } do
    for _, o in ipairs { optim.SGD { lr = 0.5, momentum = 0.9 }, optim.Adam { lr = 0.5 },
      optim.SGD { lr = 0.5, accumulate = 2 } } do
      local net = net_of { weight_constraint = nn.max_norm(0.7), kernel_initializer = "ones",
        bias_constraint = nn.unit_norm() }
      local step = train.step(function(a, b) return loss.mse(net(a), b) end, net, o,
        { static = static })
      for _ = 1, 4 do step(x, y) end
      for _, n in ipairs(norms(net:state()["dense_1.weight"])) do
        check.yes(n <= 0.7 * (1 + 10 * check.eps), tostring(n))
      end
      check.near(net:state()["dense_1.bias"]:square():sum():item(), 1, 1e-5)
    end
  end
  local free = stepped { weight_constraint = nn.max_norm(1e6) }
  near(free:state()["dense_1.weight"], (stepped {}):state()["dense_1.weight"])
end

-- Set later, or taken away, they count from the next step on.
function tests.test_they_can_be_set()
  local net = net_of {}
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.SGD { lr = 0.1 }, { static = true })
  local before = step(x, y)
  net[1].weight_constraint = nn.unit_norm()
  net[1].weight_regularizer = nn.l2(100)
  check.yes(step(x, y) > before + 10)
  for _, n in ipairs(norms(net:state()["dense_1.weight"])) do check.near(n, 1, 1e-5) end
  net[1].weight_constraint = nn.max_norm(0.5)
  step(x, y)
  for _, n in ipairs(norms(net:state()["dense_1.weight"])) do check.near(n, 0.5, 1e-5) end
end

function tests.test_of_convolutions_each_filter_is_a_unit()
  tensor.seed(3)
  local net = nn.Sequential { nn.Conv2D(2, 3, { kernel_constraint = "unit_norm" }) }
  net:build { 1, 5, 5 }
  train.step(function(a) return net(a):square():mean() end, net, "sgd")(tensor.randn(2, 1, 5, 5))
  local w = net:state()["conv2d_1.weight"] or net:state()["conv_1.weight"]
  for _, n in ipairs(w:reshape(2, 9):square():sum(2):totable()) do check.near(n, 1, 1e-5) end
end

function tests.test_what_is_refused()
  check.fails(function() nn.Dense(3, { weight_regularizer = "l3" }) end, 'unknown regularizer "l3"')
  check.fails(function() nn.Dense(3, { weight_regularizer = nn.l2(-1) }) end, "l2")
  check.fails(function() nn.Dense(3, { weight_constraint = nn.max_norm(0) }) end, "max")
  check.fails(function() nn.Dense(3, { kernel_constraint = nn.l2() }) end, "constraint")
  check.fails(function() nn.Dense(3, { kernel_regularisation = nn.l2() }) end, "unknown option")
end

-- A net comes back from its file; resume points say the options.
function tests.test_save_and_load()
  local net = stepped { weight_regularizer = nn.l1(0.1), weight_constraint = nn.max_norm(1) }
  local path = check.file("regular.safetensors", "")
  net:save(path)
  local other = net_of { weight_regularizer = nn.l1(0.1) }:load(path)
  check.equal(values_of(other)["dense_1.weight"]:totable(),
    values_of(net)["dense_1.weight"]:totable())
end

-- Of layers with several weights: one option for all of them, another for the biases.
function tests.test_weights_of_attention_and_feed_forward_nets()
  local u = tensor.randn(2, 3, 4):eval()
  for _, make in ipairs { function(o) return nn.MultiHeadAttention(2, o) end,
    function(o) return nn.FeedForward(5, o) end } do
    local layer = make { kernel_regularizer = nn.l2(0.3), bias_regularizer = nn.l1(0.5),
      kernel_constraint = nn.max_norm(0.4), bias_constraint = "unit_norm", bias_init = "ones",
      activity_regularizer = nn.l1(0.25) }
    local y, want = layer(u), 0
    want = 0.25 * y:abs():sum():item() / 2
    for name, v in pairs(layer:state()) do
      want = want + (name:find "weight" and 0.3 * v:square():sum() or 0.5 * v:abs():sum()):item()
    end
    local value = train.step(function(a) return layer(a):sum() * 0 end, layer,
      optim.SGD { lr = 0.1 })(u)
    check.near(value / want, 1, 20 * check.eps)
    for name, v in pairs(layer:state()) do
      if name:find "weight" then
        for _, n in ipairs(norms(v)) do check.yes(n <= 0.4 * (1 + 10 * check.eps), name) end
      else check.near(v:square():sum():item(), 1, 1e-5) end
    end
  end
end

-- A weight [3, 4, 2] has two units of twelve numbers.
function tests.test_units_of_a_bilinear_layer()
  local net = nn.Sequential {
    nn.Bilinear(2, { init = "ones", weight_constraint = nn.max_norm(1) }) }
  local step = train.step(function(a, b) return net(a, b):sum() end, net, optim.SGD { lr = 0 })
  step(tensor.ones(5, 3), tensor.ones(5, 4))
  local norms = (net[1].weight ^ 2):sum { 1, 2 }
  check.near(norms, { 1, 1 }, 1e-5)
end

-- Keras's gamma and beta: penalties of weight and bias are part of the loss, bounds hold after
-- each update; a norm without a weight has nothing to be penalized.
function tests.test_of_norms()
  local layers = { nn.BatchNorm, nn.LayerNorm, nn.InstanceNorm, nn.NoisyBatchNorm,
    function(o) o.groups = 2; return nn.GroupNorm(o) end }
  for _, layer in ipairs(layers) do
    local net = nn.Sequential { layer { gamma_regularizer = nn.l1(0.5),
      beta_regularizer = nn.l2(2), weight_constraint = nn.max_norm(0.25),
      bias_constraint = "unit_norm" } }:build { 4, 3, 1 }
    local size = #net[1].weight
    net[1].bias:assign(net[1].bias + 0.1)
    local step = train.step(function(a) return net(a):sum() * 0 end, net, optim.SGD { lr = 0.01 })
    check.near(step(tensor.randn(6, 4, 3, 1)), 0.5 * size + 2 * 0.01 * size, 1e-5)
    check.near(net[1].weight:square():sum(), 0.0625, 1e-5)
    check.near(net[1].bias:square():sum(), 1, 1e-5)
  end
  local rms = nn.RMSNorm { gamma_constraint = nn.max_norm(0.25), gamma_regularizer = "l2" }
  check.near(train.step(function(a) return rms(a):sum() * 0 end, rms,
    "sgd")(tensor.randn(6, 4)), 0.04, 1e-5)
  check.near(rms.weight:square():sum(), 0.0625, 1e-5)
  check.fails(function() nn.RMSNorm { beta_regularizer = "l2" } end, "unknown option")
  local plain = nn.BatchNorm { affine = false, gamma_regularizer = "l2" }
  local w = tensor.variable(tensor.ones(1))
  check.near(train.step(function(a) return plain(a):sum() * 0 + w:sum() end, { w },
    "sgd")(tensor.randn(6, 4)), 1, 1e-5)
end

check.run(tests)
