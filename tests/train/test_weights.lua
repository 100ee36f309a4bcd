-- Weights of rows and masks of steps: in losses, data sets, fits and metrics.

local check = dofile "tests/check.lua"
local tests = {}

-- -- losses ---------------------------------------------------------------------------

function tests.test_losses_take_weight_and_mask_behind_the_target()
  local y, t = tensor { { 1, 2 }, { 3, 5 } }, tensor { { 0, 2 }, { 3, 1 } }
  local w, m = tensor { 1, 3 }, tensor({ 1, 0 }, { dtype = "uint8" })
  check.near(loss.mse(y, t), 17 / 4)
  check.near(loss.mse(y, t, w), (0.5 + 3 * 8) / 4)
  check.near(loss.mse(y, t, w, m), 0.5)
  check.near(loss.mse(y, t, nil, m), 0.5)
  check.near(loss.mae {} (y, t, w), (0.5 + 3 * 2) / 4)
  local z, labels = tensor { { 1, 0 }, { 0, 3 } }, tensor({ 1, 1 }, { dtype = "int32" })
  local a, b = math.log(1 + math.exp(-1)), math.log(1 + math.exp(3))
  check.near(loss.cross_entropy(z, labels, w, { from_logits = true }), (a + 3 * b) / 4)
  check.near(loss.cross_entropy(z, labels, nil, m, { from_logits = true }), a)
  check.fails(function() return loss.mse {} (y, t, w, m, w) end, "output, target, weight, mask")
  check.fails(function() return loss.mse {} (y, t, w, "mask") end, "output, target, weight, mask")
  check.fails(function() return loss.mse(y, t, -w):item() end, "weight -1 in row 1")
end

function tests.test_a_users_loss_gives_a_value_for_each_row_or_one_number()
  tensor.seed(1)
  local x, y = tensor.randn(20, 3), tensor.randn(20, 1)
  local function trained(l)
    tensor.seed(2)
    local net = nn.Sequential { nn.Dense(1) }
    return train.fit(net, data.set(x, y), { loss = l, epochs = 3, batch_size = 8,
      verbose = false, record = false }).loss
  end
  local want = trained "mse"
  check.near(trained(function(o, t) return (o - t):square():mean() end), want)
  check.near(trained(function(o, t) return (o - t):square():reshape(-1) end), want)
  check.near(trained(function(o, t) return (o - t):square() end), want)
end

-- -- data sets ------------------------------------------------------------------------

local function ints(values) return tensor(values, { dtype = "int32" }) end

-- Six rows whose x, y and weight are 10 i, i and i / 2.
local function numbered(options)
  local i = tensor.arange(1, 6):reshape(6, 1)
  options = options or {}
  options.weight = options.weight or (i / 2):reshape(6)
  return data.set(i * 10, i, options)
end

function tests.test_weights_stay_with_their_rows()
  local function checked(set)
    local x, y, w = set:tensors()
    check.near(y * 10, x)
    check.near(w * 2, y:reshape(-1))
  end
  local set = numbered()
  local first, second = set:split(0.5)
  local _, scaled = set:normalize()
  for _, s in ipairs { set, first, second, set:shuffle(), set:take(3), set:subset { 5, 1, 5 } } do
    checked(s)
  end
  local _, _, w = set:normalize(scaled):take(2):tensors()
  check.near(w, { 0.5, 1 })
  local n = 0
  for x, y, w in set:batches(4) do
    n = n + #w
    check.near(w * 20, x:reshape(-1))
    check.near(y * 10, x)
  end
  check.equal(n, 6)
  check.near(select(3, numbered { weight = ints { 1, 0, 2, 0, 1, 1 } }:take(3):tensors()),
    { 1, 0, 2 })
  check.near(select(3, data.set(tensor { { 1 } }, { sample_weight = tensor { { 3 } } }):tensors()),
    { 3 })
  for _, _, none in data.set(tensor { 1, 2 }, tensor { 1, 2 }):batches(1) do
    check.equal(none, nil)
  end
end

local table_of_weights = "a,kind,w\n1,cat,2\n2,dog,0.5\n3,cat,0\n4,dog,1\n"

function tests.test_a_column_of_weights()
  for _, column in ipairs { "w", 3, -1 } do
    local set = check.csv(table_of_weights, { target = "kind", weight = column })
    local x, y, w = set:tensors()
    check.equal({ x:totable(), y:totable(), w:totable() },
      { { { 1 }, { 2 }, { 3 }, { 4 } }, { 1, 2, 1, 2 }, { 2, 0.5, 0, 1 } })
    check.equal(set.feature_names, { "a" })
    local first, second = set:split(0.5)
    for _, s in ipairs { first, second, set:shuffle(), set:subset { 4, 2 } } do
      for u, _, v in s:batches(1) do
        check.near(v:item(), ({ 2, 0.5, 0, 1 })[math.floor(u:item())])
      end
    end
  end
  local plain = data.set(tensor { { 1 }, { 2 }, { 3 }, { 4 } }, ints { 1, 2, 1, 2 },
    { weight = tensor { 2, 0.5, 0, 1 } })
  local function loss_of(set)
    tensor.seed(1)
    return train.fit(nn.Sequential { nn.Dense(2) }, set, { loss = "cross_entropy",
      verbose = false, record = false }).loss
  end
  check.near(loss_of(check.csv(table_of_weights, { target = "kind", sample_weight = "w" })),
    loss_of(plain))
end

function tests.test_columns_that_are_no_weights()
  local function refused(text, options, ...)
    check.csv_fails(text, options, ...)
  end
  refused(table_of_weights, { weight = "v" }, 'option "weight"', 'no column "v"')
  refused(table_of_weights, { weight = { "a", "w" } }, "got 2 columns", "allowed: one")
  refused(table_of_weights, { target = "w", weight = "w" }, "the weight and a target")
  refused(table_of_weights, { target = "kind", ignore = "w", weight = "w" }, "ignored and")
  refused(table_of_weights, { weight = "kind", ignore = "a" }, "text in 4 of 4 rows")
  refused("a,w\n1,2\n2,-1\n", { weight = "w" }, "weight -1 in row 2")
  refused("a,w\n1,2\n2,\n", { weight = "w" }, "1 of 2 values missing")
  refused("a,w\n1,2\n2,\n", { weight = "w", missing = "mean" }, "have no mean")
  refused("w\n1\n", { weight = "w" }, "no columns of features")
end

function tests.test_weights_that_no_row_can_have()
  local x, y = tensor { 1, 2, 3 }, tensor { 1, 2, 3 }
  local function refused(w, ...)
    check.fails(function() return data.set(x, y, { weight = w }) end, ...)
  end
  refused(tensor { 1, -2, 1 }, "weight -2 in row 2", "0 or more")
  refused(tensor { 1, 1, 0 / 0 }, "in row 3")
  refused(tensor { math.huge, 1, 1 }, "weight inf in row 1")
  refused(tensor { 1, 1 }, "weight of shape 2", "3 rows")
  refused(tensor(1), "weight of shape scalar")
  refused({ 1, 1, 1 }, "weight", "table", "a tensor")
end

-- -- fit ------------------------------------------------------------------------------

local function trained(set, options)
  tensor.seed(7)
  local net = nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.Dense(3) }
  options.loss = options.loss or "cross_entropy"
  options.epochs, options.batch_size = options.epochs or 4, options.batch_size or 8
  options.optimizer = optim.Adam { lr = 0.05 }
  options.verbose, options.record = false, false
  local h = train.fit(net, set, options)
  return h, net
end

-- 30 rows in 3 classes, of which the first has most.
local function classes(options)
  tensor.seed(3)
  local x, labels = tensor.randn(30, 2):eval(), {}
  for i = 1, 30 do labels[i] = i <= 18 and 1 or i <= 26 and 2 or 3 end
  return data.set(x, ints(labels), options), x, ints(labels)
end

local function same(a, b, tolerance)
  for _, name in ipairs { "loss", "val_loss", "accuracy", "val_accuracy" } do
    if a[name] or b[name] then check.near(a[name], b[name], tolerance or 1e-5) end
  end
end

function tests.test_weights_of_1_train_as_none()
  local plain = classes()
  local ones = classes { weight = tensor.ones(30) }
  local how = function() return { metrics = { "accuracy" }, validation = 0.2 } end
  same(trained(ones, how()), (trained(plain, how())))
  local seven = classes { weight = tensor.ones(30) * 7 }
  same(trained(seven, how()), (trained(plain, how())))
  local h = how()
  h.class_weight = { 1, 1, 1 }
  same(trained(plain, h), (trained(plain, how())))
end

function tests.test_a_row_of_weight_0_is_not_there()
  local _, x, y = classes()
  local w = tensor.ones(30):totable()
  local kept = {}
  for i = 1, 30 do
    if i % 3 == 0 then w[i] = 0 else kept[#kept + 1] = i end
  end
  local spoilt = tensor.where(tensor(w):reshape(30, 1):eq(0), 1e30, x)
  local weighted = data.set(spoilt, y, { weight = tensor(w), classes = 3 })
  local less = classes():subset(kept)
  local how = function() return { metrics = { "accuracy" }, batch_size = 30, shuffle = false } end
  local h, net = trained(weighted, how())
  same(h, (trained(less, how())))
  local m, n = net:evaluate(weighted, { batch_size = 7 }), net:evaluate(less)
  check.near({ m.loss, m.accuracy }, { n.loss, n.accuracy }, 1e-5)
  local wrong = ints { 1, 2, 9 }
  check.fails(function()
    trained(data.set(tensor.randn(3, 2), wrong, { weight = tensor { 1, 1, 0 }, classes = 3 }), {})
  end, "label 9")
end

function tests.test_a_whole_weight_is_that_many_rows()
  local _, x, y = classes()
  local w, repeated = {}, {}
  for i = 1, 30 do
    w[i] = i % 4
    for _ = 1, w[i] do repeated[#repeated + 1] = i end
  end
  local weighted = data.set(x, y, { weight = tensor(w) })
  local more = data.set(x, y):subset(repeated)
  local how = function() return { metrics = { "accuracy" }, batch_size = 100, shuffle = false } end
  local h, net = trained(weighted, how())
  same(h, (trained(more, how())))
  for _, metric in ipairs { "accuracy", "precision", "recall", "f1", "auc" } do
    check.near(net:evaluate(weighted, { metrics = { metric }, batch_size = 7 })[metric],
      net:evaluate(more, { metrics = { metric }, batch_size = 7 })[metric], 1e-6)
  end
end

-- Batches of 8, 8, 8 and 6 rows, of very different weight: the epoch is one mean.
function tests.test_the_mean_of_an_epoch_is_by_the_weights()
  local _, x, y = classes()
  local w = (tensor.arange(1, 30) ^ 2):eval()
  local set = data.set(x, y, { weight = w })
  local function epoch(batch_size)
    tensor.seed(7)
    local net = nn.Sequential { nn.Dense(3) }
    local h = train.fit(net, set, { loss = "cross_entropy", batch_size = batch_size,
      shuffle = false, optimizer = optim.SGD { lr = 0 }, verbose = false, record = false,
      metrics = { "accuracy" } })
    local m = net:evaluate(set, { batch_size = batch_size, loss = "cross_entropy",
      metrics = { "accuracy" } })
    return { h.loss[1], h.accuracy[1], m.loss, m.accuracy }
  end
  local whole = epoch(30)
  check.near(whole[1], whole[3], 1e-5)
  check.near(epoch(8), whole, 1e-5)
  check.near(epoch(1), whole, 1e-5)
end

function tests.test_weights_that_sum_to_0_are_an_error()
  local _, x, y = classes()
  local none = data.set(x, y, { weight = tensor.zeros(30) })
  check.fails(function() trained(none, {}) end, "sum to 0")
  local _, net = trained(classes(), {})
  check.fails(function() net:evaluate(none) end, "sum to 0", "no mean loss")
  local first = data.set(x, y, { weight = tensor.where(tensor.arange(1, 30):le(15), 0, 1) })
  local half = net:evaluate(classes():subset { 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30 })
  check.near(net:evaluate(first, { batch_size = 5 }).loss, half.loss, 1e-5)
  check.fails(function() trained(first, { batch_size = 5, shuffle = false }) end, "sum to 0")
end

function tests.test_class_weight_weighs_the_loss_by_label()
  local set, x, y = classes()
  local by_class, w = { 0.5, 2, 3 }, {}
  for i, label in ipairs(y:totable()) do w[i] = by_class[label] end
  local weighted = data.set(x, y, { weight = tensor(w) })
  local h = trained(set, { class_weight = by_class, metrics = { "accuracy" } })
  check.near(h.loss, trained(weighted, {}).loss, 1e-5)
  local plain = trained(set, { metrics = { "accuracy" }, epochs = 1, batch_size = 30 })
  local first = trained(set, { class_weight = by_class, metrics = { "accuracy" }, epochs = 1,
    batch_size = 30, validation_data = set })
  check.near(first.accuracy, plain.accuracy)
  check.yes(math.abs(first.loss[1] - plain.loss[1]) > 0.01)
  local both = data.set(x, y, { weight = tensor.ones(30) * 4 })
  check.near(trained(both, { class_weight = { [2] = 4, [3] = 6, [1] = 1 } }).loss,
    trained(weighted, {}).loss, 1e-5)
  check.near(trained(set, { class_weight = { [2] = 5 } }).loss,
    trained(set, { class_weight = { 1, 5, 1 } }).loss)
end

function tests.test_class_weight_by_name()
  local path = check.file("w.csv", "x,kind\n1,cat\n2,dog\n3,cat\n4,emu\n")
  local set = data.csv(path, { target = "kind" })
  local function loss_with(weight) return trained(set, { class_weight = weight }).loss end
  check.near(loss_with { dog = 3 }, loss_with { 1, 3, 1 })
  check.fails(function() loss_with { dgo = 3 } end, 'no class "dgo"', 'did you mean "dog"')
  check.fails(function() loss_with { 1, 2 } end, "got 2 weights", "3 classes")
  check.fails(function() loss_with { 1, 2, 3, 4 } end, "got 4 weights")
  check.fails(function() loss_with { 1, -2, 3 } end, "got -2", "0 or more")
  check.fails(function() loss_with { 1, 0 / 0, 3 } end, "0 or more")
  check.fails(function() loss_with { 1, "2", 3 } end, "got string")
  check.fails(function() loss_with { [0] = 1 } end, "weight for 0", "1 to 3")
  check.fails(function() loss_with(2) end, "class_weight", "number")
  check.fails(function() loss_with { 0, 0, 0 } end, "sum to 0")
  local numbers = data.set(tensor.randn(4, 2), tensor.randn(4, 3))
  check.fails(function() trained(numbers, { loss = "mse", class_weight = { 1, 2, 3 } }) end,
    "no labels")
  check.fails(function() trained(numbers, { loss = "mse", sample_weight = tensor.ones(4) }) end,
    "data.set(x, y, { weight = w })")
end

function tests.test_weights_of_steps()
  tensor.seed(1)
  local x = tensor.randn(6, 4, 2):eval()
  local labels = ((x:slice(nil, nil, 1):gt(0)) + 1):reshape(6, 4):cast "int32":eval()
  local w = tensor({ { 1, 1, 1, 0 }, { 1, 1, 0, 0 }, { 1, 0, 0, 0 }, { 1, 1, 1, 1 },
    { 1, 1, 1, 0 }, { 1, 1, 1, 1 } })
  local set = data.set(x, labels, { weight = w, classes = 2 })
  tensor.seed(2)
  local net = nn.Sequential { nn.Dense(2) }
  local h = train.fit(net, set, { loss = "cross_entropy", metrics = { "accuracy" }, epochs = 2,
    batch_size = 6, shuffle = false, optimizer = optim.SGD { lr = 0 }, verbose = false,
    record = false })
  local z, sum, hits = net(x), 0, 0
  local p = z:log_softmax():totable()
  local t, count = labels:totable(), w:totable()
  for i = 1, 6 do
    for s = 1, 4 do
      sum = sum - count[i][s] * p[i][s][t[i][s]]
      local best = p[i][s][1] >= p[i][s][2] and 1 or 2
      hits = hits + (best == t[i][s] and count[i][s] or 0)
    end
  end
  check.near(h.loss, { sum / 17, sum / 17 }, 1e-5)
  check.near(h.accuracy, { hits / 17, hits / 17 }, 1e-6)
end

-- A sequence without any step that counts, and a whole batch of such in an evaluation.
function tests.test_rows_of_no_weight_at_all()
  tensor.seed(1)
  local x = tensor.randn(4, 3, 2):eval()
  local labels = (x:slice(nil, nil, 1):gt(0) + 1):reshape(4, 3):cast "int32":eval()
  local w = tensor { { 1, 1, 0 }, { 0, 0, 0 }, { 0, 0, 0 }, { 1, 0, 0 } }
  local set = data.set(x, labels, { weight = w, classes = 2 })
  tensor.seed(2)
  local net = nn.Sequential { nn.Dense(2) }
  local h = train.fit(net, set, { loss = "cross_entropy", metrics = { "accuracy" }, batch_size = 4,
    validation_data = set, optimizer = optim.SGD { lr = 0 }, verbose = false, record = false })
  check.near(h.val_loss, h.loss, 1e-6)
  check.near(h.val_accuracy, h.accuracy, 1e-6)
  for _, size in ipairs { 1, 2, 3 } do
    local m = net:evaluate(set, { batch_size = size })
    check.near({ m.loss, m.accuracy }, { h.loss[1], h.accuracy[1] }, 1e-6)
  end
end

-- Validation sees no class_weight.
function tests.test_class_weight_is_for_training_alone()
  local set = classes()
  local function val_loss(weight)
    tensor.seed(7)
    local net = nn.Sequential { nn.Dense(3) }
    return train.fit(net, set, { loss = "cross_entropy", batch_size = 30, validation_data = set,
      test = set, optimizer = optim.SGD { lr = 0 }, class_weight = weight, verbose = false,
      record = false })
  end
  local plain, weighted = val_loss(nil), val_loss { 5, 1, 0.1 }
  check.equal({ weighted.val_loss, weighted.test_loss }, { plain.val_loss, plain.test_loss })
  check.yes(weighted.loss[1] ~= plain.loss[1])
end

-- -- functions of the user --------------------------------------------------------------

function tests.test_functions_of_the_user_with_weights()
  local set, x, y = classes { weight = tensor.arange(1, 30) }
  local function by_row(o) return o:sum(-1) end
  local function number(o) return o:mean() end
  check.fails(function() trained(set, { loss = number }) end, "one number", "one value per row")
  check.fails(function() trained(set, { metrics = { number } }) end, "one number",
    "function(state, output, target, weight)")
  local h, net = trained(set, { loss = by_row, metrics = { train.metric(by_row,
    { name = "own" }) } })
  check.near(h.own, h.loss, 1e-5)
  local seen = 0
  local sum = { name = "sum", add = function(s, o, t, w)
    seen = seen + (w and 1 or 0)
    return (s or 0) + (w and w:sum():item() or #o)
  end, finish = function(s) return s end }
  check.near(net:evaluate(set, { metrics = { sum }, batch_size = 8 }).sum, 465)
  check.equal(seen, 4)
  check.near(net:evaluate(data.set(x, y), { metrics = { sum } }).sum, 30)
end

-- Planned, replayed, naive; one thread and four: equal bytes.
function tests.test_weights_give_equal_bytes()
  check.equal_bytes [[
    tensor.seed(1)
    local x = tensor.randn(40, 3):eval()
    local y = (x:slice(nil, 1):gt(0) + 1):reshape(40):cast "int32":eval()
    local set = data.set(x, y, { weight = tensor.rand(40):eval() })
    local net = nn.Sequential { nn.Dense(6, { activation = "relu" }), nn.Dense(2) }
    local h = train.fit(net, set, { loss = "cross_entropy", epochs = 5, batch_size = 16,
      class_weight = { 1, 3 }, validation = 0.25, metrics = { "accuracy", "f1" },
      optimizer = "adam", verbose = false, record = false })
    for _, name in ipairs { "loss", "val_loss", "accuracy", "f1" } do
      for i = 1, 5 do print(("%a"):format(h[name][i])) end
    end]]
end

check.run(tests)
