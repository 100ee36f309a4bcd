-- Which steps count, and a layer at each of them.

local check = dofile "tests/check.lua"
local tests = {}

local nan = 0 / 0

function tests.test_masking()
  local x = tensor { { { 1, 0 }, { 0, 0 }, { 2, 3 } }, { { 0, 0 }, { 0, 5 }, { 0, 0 } } }
  local net = nn.Sequential { nn.Masking(), nn.LSTM(3) }
  local want = net(x):totable()
  local plain = net[2]
  local mask = tensor { { 1, 0, 1 }, { 0, 1, 0 } }
  check.equal(plain(x, { mask = mask }):totable(), want)
  local other = tensor.where(mask:reshape(2, 3, 1):gt(0), x, -1):eval()
  local by_value = nn.Sequential { nn.Masking(-1), plain }
  check.equal(by_value(other):totable(), want)
  check.equal(nn.Masking { mask_value = -1 }(other):totable(), x:totable())
  -- a step counts if it counted before, too; a NaN is no padding
  local both = nn.Sequential { nn.Masking(), plain }
  local less = tensor { { 1, 1, 0 }, { 0, 1, 1 } }
  check.equal(both(x, { mask = less }):totable(), plain(x, { mask = mask * less }):totable())
  check.yes(nn.Masking()(tensor { { { nan, 0 } } }):totable()[1][1][1] ~= 0)
  check.fails(function() nn.Masking()(tensor.ones(2, 3)) end, "masking_1: expects [N, T, ...]")
  check.fails(function() nn.Sequential { nn.Masking(), nn.Flatten() }(x) end,
    "flatten_1: knows no mask", "that of masking_1", "nn.Unmask()")
end

-- Layers ask whether it is 0, add it up or multiply by it: what is neither 0 nor 1 would mean
-- another thing in each.
function tests.test_masks_hold_0_and_1()
  local x = tensor.randn(1, 3, 2)
  for _, layer in ipairs { nn.LSTM(2), nn.GlobalAveragePooling1D(), nn.MultiHeadAttention(1) } do
    local want = layer(x):totable()
    for _, kind in ipairs { "uint8", "int32", "real" } do
      check.near(layer(x, { mask = tensor({ { 1, 1, 1 } }, { dtype = kind }) }), want)
    end
    for _, v in ipairs { 0.5, 2, -1, nan } do
      check.fails(function() layer(x, { mask = tensor { { 1, 1, v } } }):eval() end, "mask: ",
        "in row 1: allowed 1")
      check.fails(function() layer:predict(x, { mask = tensor { { v, 0, 1 } } }) end, "mask: ")
    end
  end
  local layer = nn.MultiHeadAttention(1)
  check.fails(function() layer(x, { attention_mask = tensor.ones(3, 3) * 0.5 }):eval() end,
    "0.5 in row 1")
  local net = nn.Sequential { nn.GRU(2), nn.Dense(1) }
  for _, static in ipairs { false, true } do
    local step = train.step(function(a, m) return net(a, { mask = m }):square():mean() end, net,
      optim.SGD { lr = 0.01 }, { static = static })
    for _ = 1, 3 do step(x, tensor { { 1, 1, 0 } }) end
    check.fails(function() step(x, tensor { { 1, 255, 0 } }) end, "255 in row 1")
  end
end

-- Losses and metrics count what Masking leaves, as they do a mask of the set's.
function tests.test_losses_under_masking()
  tensor.seed(1)
  local mask = tensor { { 1, 1, 0 }, { 1, 0, 0 }, { 1, 1, 1 }, { 1, 1, 0 } }
  local where = mask:reshape(4, 3, 1):gt(0)
  local x, y = tensor.randn(4, 3, 2), tensor.randn(4, 3, 1)
  local function trained(set, masking)
    tensor.seed(2)
    local net = nn.Sequential { masking or nn.Identity(), nn.Dense(4, { activation = "tanh" }),
      nn.Dense(1) }
    local h = train.fit(net, set, { loss = "mse", metrics = { "mae" }, epochs = 3,
      batch_size = 2, validation_data = set, shuffle = "none", verbose = false, record = false })
    return { h.loss, h.mae, h.val_loss, h.val_mae }
  end
  local seven = tensor.where(where, x, 7):eval()
  local want = trained(data.set(seven, tensor.where(where, y, nan):eval(), { mask = mask }))
  check.near(trained(data.set(seven, y:eval()), nn.Masking(7)), want, 1e-6)
  check.near(trained(data.set(seven, tensor.where(where, y, nan):eval()), nn.Masking(7)), want,
    1e-6)
end

function tests.test_time_distributed()
  local inner = nn.Conv2D(2, 3)
  local layer, x = nn.TimeDistributed(inner), tensor.randn(2, 4, 1, 5, 5)
  local y = layer(x)
  check.equal(y.shape, { 2, 4, 2, 3, 3 })
  for t = 1, 4 do
    check.near(y:slice({}, t), inner(x:slice({}, t):reshape(2, 1, 5, 5)), 1e-5)
  end
  check.equal(#layer:parameters(), 2)
  check.equal(layer:state()["conv2d_1.weight"].shape, { 2, 1, 3, 3 })
  local net = nn.Sequential { nn.TimeDistributed(nn.Sequential { nn.Flatten(), nn.Dense(3) }),
    nn.LSTM(2) }
  local mask = tensor { { 1, 1, 0, 0 }, { 1, 1, 1, 1 } }
  local masked = net(x, { mask = mask })
  check.near(masked:slice({ 1, 1 }), net(x:slice({ 1, 1 }, { 1, 2 })), 1e-5)
  -- two inputs, two results
  local pair = nn.TimeDistributed(function(u, v) return v, u * v end)
  local p, q = pair(tensor.full(2, 1, 3, 2), tensor.full(3, 1, 3, 2))
  check.equal({ p:totable()[1][3], q:totable()[1][3] }, { { 3, 3 }, { 6, 6 } })
end

-- The steps that count, as rows, give the same; so does padding on either side.
function tests.test_batch_norm_of_steps_that_count()
  tensor.seed(7)
  local near = check.eps < 1e-10 and 1e-12 or 1e-5
  local rows = tensor.randn(4, 2):eval()
  local gap = tensor.full(nan, 1, 2)
  local function normalized(x, shape, mask)
    local layer = nn.BatchNorm { axis = -1 }
    layer:build(shape)
    layer.weight:assign(tensor { 2, 3 })
    layer.bias:assign(tensor { 1, -1 })
    return layer, layer(x, { training = true, mask = mask })
  end
  local plain, want = normalized(rows, { 2 })
  local c = tensor { { 1, 2 }, { -1, 3 }, { 4, 1 }, { 2, -2 } }
  local gradients = grad((want * c):sum(), plain:parameters())
  local first, last = rows:slice({ 1, 3 }), rows:slice({ 4, 4 })
  for _, side in ipairs { { { first, last, gap, gap }, { 1, 2, 3, 4 } },
    { { first, gap, gap, last }, { 1, 2, 3, 6 } } } do
    local x = tensor.concat(side[1], 1):reshape(2, 3, 2):eval()
    local mask = x:slice({}, {}, { 1, 1 }):eq(x:slice({}, {}, { 1, 1 })):reshape(2, 3)
    local layer, y = normalized(x, { 3, 2 }, mask)
    local counted = y:reshape(6, 2):gather(tensor(side[2], { dtype = "int32" }))
    check.near(counted, want, near)
    check.near(layer.running_mean, plain.running_mean, near)
    check.near(layer.running_var, plain.running_var, near)
    for i, g in ipairs(grad((counted * c):sum(), layer:parameters())) do
      check.near(g, gradients[i], near)
    end
    check.equal(layer(x, { mask = mask }).shape, { 2, 3, 2 })
  end
  local layer = nn.BatchNorm { axis = -1 }
  check.fails(function()
    layer(tensor.ones(2, 3, 2), { training = true, mask = tensor { { 0, 1, 0 }, { 0, 0, 0 } } })
  end, "batch_norm_1", "is refused")
  check.fails(function()
    nn.BatchNorm { axis = 2 }(tensor.ones(2, 3, 2), { mask = tensor.ones(2, 3) })
  end, "batch_norm_1: expects [N, T, ..., C] with its mask", "axis = -1")
end

function tests.test_what_time_distributed_refuses()
  local mask = tensor.ones(2, 3)
  local x = tensor.randn(2, 3, 4)
  check.fails(function() nn.TimeDistributed(nn.BatchNorm())(x, { mask = mask, training = true })
    end, "batch_norm_1 would count the steps that the mask leaves out")
  check.equal(nn.TimeDistributed(nn.BatchNorm())(x, { mask = mask }).shape, { 2, 3, 4 })
  check.equal(nn.TimeDistributed(nn.BatchNorm())(x).shape, { 2, 3, 4 })
  check.fails(function() nn.TimeDistributed(nn.Dense(2))(tensor.ones(3)) end, "[N, T, ...]")
  check.fails(function() nn.TimeDistributed(function(u, v) return u + v end)(x, tensor.ones(3, 2))
    end, "of the same N and T, got 3x2")
  check.fails(function() nn.TimeDistributed(function(u) return u:sum() end)(x) end,
    "a row for each")
  check.fails(function() nn.TimeDistributed() end, '"layer"')
  -- keras#3651, #4786: the mask of words within sentences, which the next layer would not get
  local words = tensor({ { { 1, 2, 0 }, { 3, 0, 0 } } }, { dtype = "int32" })
  local embedding = nn.Embedding(3, 2, { mask_zero = true })
  check.fails(function() nn.TimeDistributed(embedding)(words) end, "that embedding_1 gives",
    "nn.Unmask()")
  local net = nn.TimeDistributed(nn.Sequential { embedding, nn.LSTM(2) })
  check.equal(net(words).shape, { 1, 2, 2 })
  check.equal(nn.TimeDistributed(nn.Embedding(3, 2))(words:maximum(1)).shape, { 1, 2, 3, 2 })
end

check.run(tests)
