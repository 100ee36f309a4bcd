-- Vectors for ids: values, gradients, padding, given weights.

local check = dofile "tests/check.lua"
local tests = {}

local function ids(values) return tensor(values, { dtype = "int32" }) end

local function gradients(layer, x, options)
  local y = layer(x, options or {})
  local c = tensor.arange(1, #y:reshape(-1)):reshape(y.shape)
  return grad((y * c):sum(), layer:parameters())[1], c
end

function tests.test_values_and_gradient_of_any_type_of_ids()
  local layer, x = nn.Embedding(4, 3), ids { { 2, 4, 2 }, { 1, 2, 2 } }
  local y = layer(x)
  check.equal(y.shape, { 2, 3, 3 })
  check.equal(y[2][1]:totable(), layer.weight[1]:totable())
  for _, dtype in ipairs { "uint8", "real" } do
    check.equal(layer(x:cast(dtype)):totable(), y:totable())
  end
  local g, c = gradients(layer, x)
  check.near(g, x:reshape(6):one_hot(4):transpose():matmul(c:reshape(6, 3)), 1e-6)
  check.equal(g[3]:totable(), { 0, 0, 0 })
  check.equal(nn.Embedding(4, 2)(ids { 1, 2 }).shape, { 2, 2 })
end

-- Of 5000 rows, most of which no id has.
function tests.test_a_large_weight()
  tensor.seed(3)
  local layer, x = nn.Embedding(5000, 64), tensor.randint(1, 5000, 32, 80)
  local g, c = gradients(layer, x)
  local sums = tensor.zeros(5000):totable()
  local by_step = c:sum(3):totable()
  for n, row in ipairs(x:totable()) do
    for t, id in ipairs(row) do sums[id] = sums[id] + by_step[n][t] end
  end
  check.near(g:sum(2), sums, 64 * check.eps)
end

function tests.test_ids_that_are_none()
  local layer = nn.Embedding(4, 3)
  local function refused(x, ...)
    check.fails(function() layer(x):eval() end, "embedding_1", ...)
  end
  refused(ids { { 1, 2 }, { 3, 0 } }, "index 0 in row 2, step 2 is out of range: allowed 1 to 4",
    "mask_zero = true")
  refused(ids { { 5, 2 } }, "index 5 in row 1, step 1")
  refused(tensor { { 1, 2.5 } }, "2.5 in row 1, step 2 is not a whole number")
  refused(tensor { { 0 / 0, 1 } }, "in row 1, step 1")
  refused(tensor(1), "expects ids")
  check.fails(function() nn.Embedding(4, 3, { mask_zero = true })(ids { { -1 } }):eval() end,
    "index -1 in row 1, step 1 is out of range: allowed 0 to 4")
  check.fails(function() nn.Embedding(4, 3, { mask_zero = true })(ids { 1 }) end, "[N, T]")
  check.fails(function() nn.Embedding(4, 3, { maskzero = true }) end, '"mask_zero"')
  check.fails(function() nn.Embedding(0, 3) end, "got 0")
  check.fails(function() layer(ids { { 1 } }, ids { { 1 } }) end, "takes 1 tensor, got 2")
  check.fails(function()
    train.fit(nn.Sequential { nn.Embedding(4, 3), nn.Flatten(), nn.Dense(1) },
      data.set(ids { { 1, 2 }, { 0, 1 } }, tensor { { 1 }, { 2 } }), { loss = "mse",
      shuffle = "none", verbose = false, record = false })
  end, "index 0 in row 2, step 1")
end

-- Padding has no row of its own: zeros, no gradient, also by a penalty on the result.
function tests.test_padding()
  local layer = nn.Embedding(3, 2, { mask_zero = true })
  local x = ids { { 0, 0, 2, 3 }, { 1, 0, 0, 0 } }
  check.equal(layer(x)[1][1]:totable(), { 0, 0 })
  local g, c = gradients(layer, x)
  check.near(g, { c[2][1], c[1][3], c[1][4] })
  check.fails(function() nn.Sequential { layer, nn.Flatten() }(x) end,
    "flatten_1: knows no mask", "that of embedding_1", "nn.Unmask()")
  check.equal(nn.Sequential { layer, nn.Unmask(), nn.Flatten() }(x).shape, { 2, 8 })
end

-- What is at steps that a mask leaves out may be no id at all.
function tests.test_a_mask_that_comes_with_the_ids()
  local mask = tensor { { 1, 1, 0 }, { 0, 1, 1 } }
  for _, zero in ipairs { true, false } do
    local layer = nn.Embedding(3, 2, { mask_zero = zero })
    layer(ids { { 1 } })
    local want = { layer.weight[1]:totable(), layer.weight[2]:totable(), { 0, 0 } }
    for _, x in ipairs { ids { { 1, 2, -7 }, { 99, 3, 1 } },
      tensor { { 1, 2, 0 / 0 }, { 0.5, 3, 1 } } } do
      check.equal(layer(x, { mask = mask })[1]:totable(), want)
      local g, c = gradients(layer, x, { mask = mask })
      check.near(g, { c[1][1] + c[2][3], c[1][2], c[2][2] })
    end
  end
  check.fails(function()
    nn.Embedding(3, 2)(ids { { 1, 0, 9 }, { 9, 3, 1 } }, { mask = mask }):eval()
  end, "index 0 in row 1, step 2")
end

-- Left or right, by the id 0 or by the data set's mask: the same losses and weights.
function tests.test_training_on_padded_ids()
  local words = { { 1, 4, 2 }, { 3 }, { 2, 2, 5, 1 }, { 5, 4 }, { 1 }, { 4, 3, 3 } }
  local function padded(left, fill)
    local x, mask = {}, {}
    for i, w in ipairs(words) do
      x[i], mask[i] = {}, {}
      for t = 1, 5 do
        local at = left and t - 5 + #w or t
        x[i][t], mask[i][t] = w[at] or fill, w[at] and 1 or 0
      end
    end
    return ids(x), tensor(mask)
  end
  local function trained(left, fill, by_id)
    tensor.seed(5)
    local x, mask = padded(left, fill)
    local net = nn.Sequential { nn.Embedding(5, 3, { mask_zero = by_id }), nn.LSTM(4,
      { return_sequences = true }), nn.Dense(1) }
    local y = tensor.where(mask:reshape(6, 5, 1):gt(0), x:cast "real":reshape(6, 5, 1) / 5, 0 / 0)
    local h = train.fit(net, data.set(x, y:eval(), { mask = not by_id and mask or nil }),
      { loss = "mse", epochs = 4, batch_size = 4, shuffle = "none", optimizer = optim.Adam {
        lr = 0.03 }, metrics = { "mae" }, verbose = false, record = false })
    return tensor { h.loss, h.mae }, net:state()["embedding_1.weight"]
  end
  local loss, weight = trained(false, 0, true)
  check.yes(loss[1][4]:item() < loss[1][1]:item())
  for _, case in ipairs { { true, 0, true }, { false, 77, false }, { true, -1, false } } do
    local l, w = trained(table.unpack(case))
    check.near(l, loss, 1e-5)
    check.near(w, weight, 1e-4)
  end
end

function tests.test_given_weights()
  local w = tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  local x = ids { { 3, 1 } }
  local given = nn.Embedding(3, 2, { weights = w, trainable = false })
  check.equal(given(x):totable(), { { { 5, 6 }, { 1, 2 } } })
  local net = nn.Sequential { given, nn.Flatten(), nn.Dense(1) }
  local step = train.step(function(u) return net(u):square():mean() end, net,
    optim.SGD { lr = 0.1 })
  step(x)
  check.equal({ given.weight:totable(), w:totable() }, { w:totable(), w:totable() })
  given.trainable = true
  step(x)
  check.yes(given.weight[3][1]:item() ~= 5)
  check.equal(given.weight[2]:totable(), { 3, 4 })
  check.equal(w:totable(), { { 1, 2 }, { 3, 4 }, { 5, 6 } })
  net:freeze "embedding_1"
  given.mask_zero = false
  local before = given.weight:totable()
  step(x)
  check.equal(given.weight:totable(), before)
  check.fails(function() nn.Embedding(3, 3, { weights = w }) end, '"weights": got 3x2', "3x3")
  check.fails(function() nn.Embedding(3, 2, { weights = 1 }) end, '"weights": got a number')
end

function tests.test_penalty_and_bound()
  local w = tensor { { 3, 4 }, { 0.3, 0.4 } }
  local layer = nn.Embedding(2, 2, { weights = w, embeddings_constraint = nn.max_norm(1),
    embeddings_regularizer = nn.l2(0.5) })
  local step = train.step(function(u) return layer(u):sum() * 0 end, layer,
    optim.SGD { lr = 0 })
  check.near(step(ids { { 1 } }), 0.5 * 25.25)
  check.near(layer.weight, { { 0.6, 0.8 }, { 0.3, 0.4 } }, 1e-6)
end

check.run(tests)
