-- Targets of losses as users give them: their shapes, what integers mean, what is found
-- before the first step, and which outputs count as probabilities.

local check = dofile "tests/check.lua"
local tests = {}

local function fit(net, set, options)
  options.verbose, options.record = false, false
  return train.fit(net, set, options)
end

local function ints(values) return tensor(values, { dtype = "int32" }) end

local function line(n)
  tensor.seed(1)
  local x = tensor.randn(n, 1)
  return x, x * 3
end

-- -- shapes ---------------------------------------------------------------------------

function tests.test_fit_and_evaluate_give_targets_the_outputs_shape()
  local x, y = line(40)
  local flat, seen = y:reshape(40), {}
  local function own(o, t)
    seen[#seen + 1] = { #t.shape, t.shape[1] == o.shape[1] }
    return (o - t):square():mean()
  end
  for _, l in ipairs { own, "mse", "mae" } do
    local losses = {}
    for i, targets in ipairs { y, flat } do
      local net, set = nn.Sequential { nn.Dense(1, { init = "ones" }) }, data.set(x, targets)
      local h = fit(net, set, { loss = l, epochs = 40, validation_data = set, batch_size = 16,
        shuffle = "none", optimizer = optim.SGD { lr = 0.1 } })
      losses[i] = { h.loss[40], h.val_loss[40], net:evaluate(set, { loss = l }).loss }
    end
    check.equal(losses[1], losses[2])
    if l ~= "mae" then check.near(losses[2][1], 0, 1e-3) end
  end
  for _, s in ipairs(seen) do check.equal(s, { 2, true }) end
  tensor.seed(2)
  local net = nn.Sequential { nn.Dense(1), nn.Lambda(function(o) return o:reshape(-1) end) }
  check.near(fit(net, data.set(x, y), { loss = "mse", epochs = 40,
    optimizer = optim.SGD { lr = 0.1 } }).loss[40], 0, 1e-3)
end

function tests.test_shapes_that_only_broadcasting_makes_equal_are_refused()
  local x, y = line(8)
  for _, name in ipairs { "mse", "mae", "bce" } do
    check.fails(function() return loss[name](x:sigmoid(), x:sigmoid():reshape(8)) end,
      "8x1", ":reshape(8, 1)")
  end
  local net = nn.Sequential { nn.Dense(1) }
  check.fails(train.step(function() return loss.mse(net(x), y:reshape(8)) end, net,
    optim.SGD {}), ":reshape(8, 1)")
end

function tests.test_a_first_regression_from_a_csv()
  local rows = { "a,b,y" }
  for i = 1, 50 do
    local a, b = i % 7, i % 5
    rows[#rows + 1] = ("%g,%g,%g"):format(a / 7, b / 5, 3 * a / 7 - 2 * b / 5 + 1)
  end
  local set = data.csv(check.file("line.csv", table.concat(rows, "\n")), { target = "y" })
  local h = fit(nn.Sequential { nn.Dense(1) }, set, { loss = "mse", epochs = 200,
    optimizer = optim.Adam { lr = 0.05 } })
  check.near(h.loss[200], 0, 1e-3)
end

-- Once, with the line that does it, and not for outputs paired with outputs.
function tests.test_a_step_that_pairs_every_output_with_every_target_is_told_once()
  local path = check.file("pairs.lua", [[
    local x = tensor.randn(16, 1)
    local net = nn.Sequential { nn.Dense(1) }
    local paired = args { paired = true }.paired
    local step = train.step(function()
      local o = net(x)
      local spread = (o - o:reshape(-1)):square():mean()
      local y = paired and (x * 3):reshape(16) or x * 3
      return spread + (o - y):square():mean()
    end, net, optim.SGD { lr = 0.01 })
    for _ = 1, 3 do step() end]])
  local _, told = check.runner { path }
  check.yes(told:find("pairs.lua:8: sub of 16x1 and 16 gives 16x16", 1, true) ~= nil, told)
  check.yes(told:find(":reshape(n, 1)", 1, true) ~= nil, told)
  check.equal(select(2, told:gsub("warning", "")), 1)
  local _, quiet = check.runner { path, "paired=false" }
  check.equal(quiet, "")
end

-- -- binary targets -------------------------------------------------------------------

function tests.test_integers_of_a_binary_loss_mean_the_same_in_every_shape()
  tensor.seed(1)
  local x = tensor.randn(64, 2)
  local yes = x:slice(nil, 1):gt(0)
  local labels = (yes + 1):cast "int32"
  local flat_net = nn.Lambda(function(o) return o:reshape(-1) end)
  local want
  for _, last in ipairs { nn.Identity(), flat_net } do
    for _, y in ipairs { yes, labels, labels:cast "uint8", labels:reshape(64),
                         labels:cast "uint8":reshape(64) } do
      local set, dense = data.set(x, y), nn.Dense(1, { init = "ones" })
      local net = nn.Sequential { dense, last }
      local h = fit(net, set, { loss = "bce", epochs = 5, shuffle = "none",
        optimizer = optim.Adam { lr = 0.05 } })
      local got = { h.loss[5], net:evaluate(set, { loss = "bce" }).loss }
      want = want or got
      check.equal(got, want)
      check.yes(h.loss[5] >= 0)
    end
  end
end

-- The whole set is looked at, and nothing has changed.
function tests.test_targets_that_cannot_be_are_found_before_the_first_step()
  local function refused(y, l, units, ...)
    tensor.seed(1)
    local x = tensor.randn(y.shape[1], 2)
    local net, optimizer = nn.Sequential { nn.Dense(units) }, optim.SGD { lr = 0.1 }
    local good = data.set(x, l == "cross_entropy" and ints { 1, 2, 1, 1, 2, 1 }
      or l == "cce" and tensor.ones(y.shape[1], units) / units or tensor.ones(y.shape[1], 1))
    net:build { 2 }
    local before = net:state()["dense_1.weight"]:totable()
    local o = { loss = l, optimizer = optimizer, batch_size = 1, shuffle = "none" }
    local words = { ... }
    check.fails(function() return fit(net, data.set(x, y), o) end, table.unpack(words))
    o.validation_data = data.set(x, y)
    check.fails(function() return fit(net, good, o) end, table.unpack(words))
    check.fails(function() return net:evaluate(data.set(x, y), { loss = l }) end,
      table.unpack(words))
    check.equal(net:state()["dense_1.weight"]:totable(), before)
  end
  refused(ints { { 1 }, { 2 }, { 2 }, { 1 }, { 0 } }, "bce", 1, "target 0 in row 5",
    ':cast "real"', "label_base = 0")
  refused(ints { 1, 2, 3, 1, 2, 3 }, "bce", 1, "target 3 in row 3", "binary_crossentropy",
    "sparse_categorical_crossentropy")
  refused(tensor { 0, 1, 1, 0, 1.5 }, "bce", 1, "target 1.5 in row 5", "0 to 1")
  refused(tensor { 0, 1, 1, 0, 0 / 0 }, "bce", 1, "row 5", "0 to 1")
  refused(tensor { 2, 1, 1, 2 }, "bce", 1, "target 2 in row 1", ':cast "int32"')
  refused(tensor { { 0, 1 }, { 1, 0 }, { 0, -1 } }, "cce", 2, "row 3, element 2", "0 to 1")
  refused(tensor { 1, 2, 1, 0, 1, 1 }, "cross_entropy", 2, "label 0 at row 4",
    "label_base = 0")
end

function tests.test_a_set_keeps_integers_and_converts_labels_that_count_from_0()
  local x = tensor.zeros(3, 2)
  local _, kept = data.set(x, ints { { 1 }, { 2 }, { 1 } }):tensors()
  check.equal({ kept.dtype, kept:totable() }, { "int32", { { 1 }, { 2 }, { 1 } } })
  local from_0 = data.set(x, ints { { 0 }, { 1 }, { 0 } }, { label_base = 0 })
  local _, labels = from_0:tensors()
  check.equal({ labels.dtype, labels:totable() }, { "int32", { { 1 }, { 2 }, { 1 } } })
  check.equal(from_0.classes, 2)
  check.fails(function()
    return data.set(x, ints { { 0 }, { -1 }, { 0 } }, { label_base = 0 }):tensors()
  end, "label -1 in row 2")
end

-- -- classes --------------------------------------------------------------------------

function tests.test_one_class_is_refused()
  tensor.seed(1)
  local x = tensor.randn(8, 2)
  local yes = x:slice(nil, 1):gt(0):reshape(8, 1)
  for _, name in ipairs { "cce", "cross_entropy" } do
    local y = name == "cce" and yes or tensor.ones(8)
    check.fails(function()
      fit(nn.Sequential { nn.Dense(1) }, data.set(x, y), { loss = name })
    end, "binary_crossentropy", "sigmoid")
  end
  for _, name in ipairs { "bce", "mse" } do
    check.fails(function()
      fit(nn.Sequential { nn.Dense(1, { activation = "softmax" }) }, data.set(x, yes),
        { loss = name })
    end, "softmax of one unit", "sigmoid", "binary_crossentropy")
  end
end

function tests.test_sigmoid_outputs_learn_classes_and_softmax_is_named_once()
  local path = check.file("sigmoids.lua", [[
    tensor.seed(1)
    local x = tensor.randn(200, 2)
    local y = (x:slice(nil, 1):gt(0) + x:slice(nil, 2):gt(0) + 1):cast "int32":reshape(200)
    local hot = y:one_hot(3):eval()
    for _, case in ipairs { { "cross_entropy", y }, { "cce", hot } } do
      local net = nn.Sequential { nn.Dense(16, { activation = "relu" }),
        nn.Dense(3, { activation = "sigmoid" }) }
      train.fit(net, data.set(x, case[2]), { loss = case[1], epochs = 40, verbose = false,
        record = false, optimizer = optim.Adam { lr = 0.03 } })
      local hits = net:predict_classes(x):eq(y):mean():item()
      assert(hits > 0.9, hits)
    end]])
  local _, told, status = check.runner { path }
  check.equal(status, 0)
  check.equal(select(2, told:gsub("softmax", "")), 1)
end

-- A sum of two probabilities counts as logits, which is hardly meant.
function tests.test_logits_that_cannot_be_below_0_are_told_once()
  local path = check.file("bounded.lua", [[
    local how = args { from_logits = "auto", f = "twice" }
    local f = ({ twice = function(z) return z:sigmoid() * 2 end, relu = nn.relu,
      tanh = nn.tanh })[how.f]
    for _ = 1, 2 do
      train.fit(nn.Sequential { nn.Dense(1), nn.activation(f) },
        data.set(tensor.randn(8, 2), tensor.ones(8)), { verbose = false, record = false,
        epochs = 2, loss = loss.bce { from_logits = how.from_logits } })
    end]])
  local _, told, status = check.runner { path }
  check.equal(status, 0)
  check.yes(told:find("lie from 0 to 2, and are taken for logits", 1, true) ~= nil, told)
  check.equal(select(2, told:gsub("warning", "")), 1)
  for _, words in ipairs { "f=relu", "f=tanh", "from_logits=true", "from_logits=false" } do
    _, told = check.runner { path, words }
    check.equal({ words, told }, { words, "" })
  end
end

function tests.test_probabilities_are_known_whatever_follows_softmax()
  local x, y = tensor { { 3, 1, -2 } }, ints { 2 }
  local want = -math.log(math.exp(1) / (math.exp(3) + math.exp(1) + math.exp(-2)))
  local function behind(f) return { nn.Activation "softmax", nn.Lambda(f) } end
  for _, layers in ipairs {
    { nn.Activation "softmax" }, { nn.Activation "softmax", nn.Flatten() },
    { nn.Activation "softmax", nn.Dropout(0.5) }, { nn.Activation "softmax", nn.Identity() },
    behind(function(p) return p:reshape(1, 1, 3):reshape(1, 3) end),
    behind(function(p) return p:clip(1e-6, 1) end),
    behind(function(p) return p:slice { 1, 1 } end),
    behind(function(p) return p:log():exp() end),
    behind(function(p) return 0.5 * p + 0.5 * p end),
    behind(function(p) local g = p:max(-1, true) return g * p + (1 - g) * p end),
    { nn.Lambda(function(z) return z:exp() / z:exp():sum(-1, true) end) },
    { nn.Lambda(function(z) return z:exp() / (z:exp():sum(-1, true) + 1e-7) end) },
    { nn.Lambda(function(z) local p = (z / 2):softmax() ^ 2 return p / p:sum(-1, true) end) },
    { nn.Lambda(function(z) local e = (z - z:max(-1, true)):exp() return e / e:sum(-1, true) end) },
    { nn.Lambda(function(z) return z:log_softmax() end) },
    { nn.Lambda(function(z) return z * 1 end) } } do
    local net = nn.Sequential(layers)
    check.near(loss.cross_entropy(net(x), y), want, 1e-5)
    check.near(loss.cce(net(x), y:one_hot(3)), want, 1e-5)
  end
  local p = nn.Sequential { nn.Activation "softmax" } (x)
  local _ = p:totable()
  check.near(loss.cross_entropy(p, y), want, 1e-5)
  check.near(loss.cross_entropy(p:reshape(1, 3), y), want, 1e-5)
end

function tests.test_summary_says_in_which_form_outputs_are_taken()
  local function says(layer, name, words)
    local net = nn.Sequential { nn.Dense(3), layer }
    net:build { 4 }
    local text = net:summary { loss = name }
    check.yes(text:find(words, 1, true) ~= nil, text)
    check.equal(net:summary(name), text)
  end
  local by_hand = nn.Lambda(function(z) return 1 / (1 + (-z):exp()) end)
  says(nn.Identity(), "bce", "outputs are logits")
  says(by_hand, "bce", "outputs are probabilities")
  says(by_hand, "cross_entropy", "need not sum to 1")
  says(nn.Activation "softmax", "cce", "softmax of the output is folded in")
  local net = nn.Sequential { nn.Dense(3) }
  check.fails(function() return net:summary { los = "bce" } end, "loss")
end

-- -- what a user's own loss may return ------------------------------------------------

function tests.test_results_of_a_users_loss_that_cannot_be_minimized()
  local set = data.set(tensor.randn(4, 2), tensor.randn(4))
  local function refused(f, ...)
    check.fails(function() fit(nn.Sequential { nn.Dense(1) }, set, { loss = f }) end, ...)
  end
  refused(function() end, "returned nothing")
  refused(function() return "low" end, "string")
  refused(function(o, t) return (o - t):square():reshape(2, 2) end, "one number", "per row", "2x2")
  refused(function() return tensor(3) end, "does not depend on the output")
end

-- -- equal bytes ----------------------------------------------------------------------

function tests.test_masked_classes_and_labels_give_equal_bytes_planned_and_naive()
  check.equal_bytes [[
    tensor.seed(1)
    local x, inf = tensor.randn(16, 4), math.huge
    local mask = tensor { { 0, -inf, 0 } }
    local hot = (x:slice(nil, 1):gt(0):reshape(16) * 2 + 1):cast "int32":one_hot(3):eval()
    local net = nn.Sequential { nn.Dense(3) }
    local step = train.step(function()
      return loss.cce { from_logits = true } (net(x) + mask, hot)
    end, net, optim.SGD { lr = 0.5 })
    for _ = 1, 5 do print(("%a"):format(step())) end
    local labels = (x:slice(nil, 1):gt(0) + 1):cast "int32"
    local one = nn.Sequential { nn.Dense(1) }
    local h = train.fit(one, data.set(x, labels), { loss = "bce", epochs = 4, batch_size = 8,
      verbose = false, record = false })
    for i = 1, 4 do print(("%a"):format(h.loss[i])) end]]
end

function tests.test_shares_where_labels_are_expected()
  local net = nn.Sequential { nn.Dense(3) }
  local set = data.set(tensor.ones(6, 2), ints { 1, 2, 3, 1, 2, 3 })
  for _, shares in ipairs { set:one_hot(), set:transform { data.mixup() } } do
    check.fails(function() fit(net, shares, { loss = "cross_entropy" }) end,
      "shares of classes", "categorical_crossentropy")
    fit(net, shares, { loss = "categorical_crossentropy" })
  end
end

check.run(tests)
