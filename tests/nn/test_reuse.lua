-- Nets made of others: parts, copies, other heads; what is shared and what is not.
local check = dofile "tests/check.lua"
local tests = {}

local function network()
  local net = nn.Sequential {
    nn.Dense(5, { activation = "prelu" }), nn.BatchNorm(),
    nn.Residual(nn.Sequential { nn.Dense(5, { activation = "tanh", name = "inner" }) }),
    nn.Dropout(0.3), nn.Dense(3),
  }
  return net:build { 2 }
end

local function values(net)
  local list = {}
  for name, t in pairs(net:state()) do list[name] = t:totable() end
  return list
end

local function train_once(net)
  local x = tensor.randn(8, 2)
  train.step(function() return (net(x) ^ 2):mean() end, net, optim.SGD { lr = 0.5 })()
end

function tests.test_a_clone_has_weights_of_its_own()
  local net = network()
  train_once(net)
  net:freeze "dense_1"
  local copy = net:clone()
  check.equal(values(copy), values(net))
  local before = values(net)
  train_once(copy)
  check.equal(values(net), before)
  check.equal(values(copy)["dense_1.weight"], before["dense_1.weight"])   -- frozen, too
  check.yes(values(copy)["inner.weight"][1][1] ~= before["inner.weight"][1][1])
  check.yes(tostring(copy) == tostring(net))
end

function tests.test_a_clone_with_new_weights_draws_anew()
  local net = network()
  local copy = net:clone { weights = false }
  check.fails(function() return copy[1].weight end, "has no value yet")
  copy:build { 2 }
  check.yes(values(copy)["dense_1.weight"][1][1] ~= values(net)["dense_1.weight"][1][1])
  local twice = net:clone { weights = false }:build { 3 }
  check.equal(twice[1].weight.shape, { 3, 5 })
end

-- A layer that a net holds twice is there twice in the copy, as one.
function tests.test_what_is_shared_inside_stays_shared()
  local dense = nn.Dense(2, { activation = "tanh" })
  local net = nn.Sequential { dense, nn.Dense(2), dense }:build { 2 }
  local copy = net:clone()
  check.equal(#copy:parameters(), 4)
  copy[1].weight:assign(tensor.zeros(2, 2))
  check.near(copy[3].weight, tensor.zeros(2, 2))
  check.yes(dense.weight:abs():sum():item() > 0)
end

function tests.test_cut_shares_its_layers()
  local net = network()
  local features, x = net:cut(-1), tensor.randn(4, 2)
  check.equal({ #features, features(x).shape }, { 4, { 4, 5 } })
  check.near(net[5](features(x)), net(x), 1e-5)
  local other = nn.Sequential { features, nn.Dense(2) }
  local before = net[1].weight:totable()
  train_once(other)
  check.yes(net[1].weight:totable()[1][1] ~= before[1][1])
  check.equal({ #net:cut(2), #net:cut(5), #net }, { 2, 5, 5 })
  for _, n in ipairs { 0, 6, -5, -6 } do
    check.fails(function() net:cut(n) end, ("got %d"):format(n), "1 to 5", "-1 to -4")
  end
  check.fails(function() net[1]:cut(1) end, "nn.Dense holds no list", "nn.Sequential")
  check.fails(function() net:cut(1.5) end, "integer")
end

function tests.test_replace_puts_a_layer_in_its_place()
  local net = network()
  local x = tensor.randn(4, 2)
  check.yes(net:replace("dense_3", nn.Dense(7)) == net)
  check.equal(net(x).shape, { 4, 7 })
  net:replace("inner", nn.Dense(5, { activation = "relu", name = "new" }))
  check.yes(values(net:build { 2 })["new.weight"] ~= nil)
  net:replace("dropout_1", "relu")
  check.yes(net(x):sum():item() == net(x, { training = false }):sum():item())
  local prelu = nn.Sequential { nn.Dense(3, { activation = "prelu" }) }:build { 2 }
  check.fails(function() net:replace("dense_7", nn.Dense(1)) end, "no layer is called",
              'did you mean "dense_')
  check.fails(function() net:replace("dense_1", net) end, "a layer of itself")
  check.fails(function() net:replace("sequential_1", nn.Dense(1)) end, "the net itself")
  check.fails(function() net:replace("dense_1", 3) end, "replace: got", "a number")
  local own = nn.Sequential { { layers = { prelu }, forward = function(_, a) return prelu(a) end } }
  check.fails(function() own:clone() end, "a layer of the script")
  own:build { 2 }
end

-- A head that fits no more says so where it is used, and a step of a plan made before is not
-- replayed with the old layer.
function tests.test_steps_see_the_new_layer()
  local net, set = network(), data.gaussians { n = 30, classes = 3 }
  local options = { loss = "sparse_categorical_crossentropy", verbose = false }
  train.fit(net, set, options)
  net:replace("dense_3", nn.Dense(3, { init = "zeros" }))
  check.near(net:evaluate(set, { loss = options.loss }).loss, math.log(3), 1e-5)
  train.fit(net, set, options)
  check.fails(function() net:replace("dense_1", nn.Dense(4))(tensor.randn(4, 2)) end,
              "batch_norm_1")
end

-- Freezing a layer keeps what it gives: all that is in it, and both parts of a weight that is
-- trained as length and direction, under either name.
function tests.test_a_layer_is_frozen_as_a_whole()
  local x = tensor.randn(12, 4):eval()
  local set = data.set(x, tensor.randn(12, 2))
  local wrapped = {
    weight_norm_1 = function() return nn.WeightNorm(nn.Dense(4)) end,
    dense_1 = function() return nn.WeightNorm(nn.Dense(4)) end,
    residual_1 = function() return nn.Residual(nn.Dense(4), { projection = true }) end,
    part = function() return nn.Sequential { nn.Dense(4), nn.Dense(4), name = "part" } end,
    ["dense_?"] = function() return nn.Dense(4, { activation = "prelu", name = "dense_9" }) end,
  }
  for name, make in pairs(wrapped) do
    local net = nn.Sequential { make(), nn.Dense(2, { name = "head" }) }
    net:build { 4 }
    local before = net[1](x):eval()
    local function moved(how)
      how(net, name)
      train.fit(net, set, { loss = "mse", optimizer = "adam", verbose = false, record = false })
      return (net[1](x) - before):abs():max():item()
    end
    check.equal(moved(net.freeze), 0.0, name)
    check.yes(moved(net.unfreeze) > 0, name)
  end
end

-- What a layer does not take is refused, and it keeps what it has; a weight that is trained as
-- length and direction stays one when its layer is another.
function tests.test_replace_asks_the_layer_around()
  local x = tensor.randn(6, 4):eval()
  local net = nn.Sequential { nn.WeightNorm(nn.Dense(4)), nn.Dense(2) }
  local before = net(x):eval()
  for _, with in ipairs { nn.Dropout(0.5), nn.LSTM(4), nn.Sequential { nn.Dense(4) } } do
    check.fails(function() net:replace("dense_1", with) end, "a layer with one weight")
    collectgarbage()
    check.equal((net(x) - before):abs():max():item(), 0.0)
  end
  net:replace("dense_1", nn.Dense(4, { bias = false }))
  collectgarbage()
  local set, sgd = data.set(x, tensor.randn(6, 2)), optim.SGD { lr = 1 }
  train.fit(net, set, { loss = "mse", optimizer = sgd, verbose = false, record = false })
  local v, scale = net[1][1].weight, net[1].scale
  local scaled = x:matmul(v / v:square():sum(1):sqrt() * scale)
  check.near((net[1](x) - scaled):abs():max():item(), 0, 1e-5)
end

check.run(tests)
