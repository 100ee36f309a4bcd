-- Masks of steps that a data set gives, and sets of several inputs, through fit, evaluate,
-- predict and batches.

local check = dofile "tests/check.lua"
local tests = {}

local function ints(values) return tensor(values, { dtype = "int32" }) end

-- Six sequences of up to four steps; mask, and the numbers of steps.
local lengths = { 4, 2, 1, 3, 4, 2 }
local function mask_of(list)
  local rows = {}
  for i, n in ipairs(list) do
    rows[i] = {}
    for t = 1, 4 do rows[i][t] = t <= n and 1 or 0 end
  end
  return tensor(rows)
end
local mask = mask_of(lengths)

-- x, labels and numbers of the sequences; what is given fills the steps that do not count.
local function sequences(fill_x, fill_y, fill_label)
  tensor.seed(5)
  local x = tensor.randn(6, 4, 3):eval()
  local y = x:slice(nil, nil, 1):reshape(6, 4)
  local labels = y:gt(0) + 1
  local there = mask:gt(0)
  if fill_x then x = tensor.where(there:reshape(6, 4, 1), x, fill_x):eval() end
  if fill_y then y = tensor.where(there, y, fill_y) end
  if fill_label then labels = tensor.where(there, labels, fill_label) end
  return x, labels:cast "int32":eval(), y:eval()
end

local function net_of(units, options)
  tensor.seed(9)
  return nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.LayerNorm(),
    nn.Dense(units, options) }:build(4, 3)
end

local function fit(net, set, options)
  local all = { loss = "cross_entropy", epochs = 3, batch_size = 4, shuffle = false,
    optimizer = optim.Adam { lr = 0.05 }, verbose = false, record = false }
  for name, value in pairs(options or {}) do all[name] = value end
  return train.fit(net, set, all)
end

local function weights(net)
  local out = {}
  for name, t in pairs(net:state()) do out[#out + 1] = { name, t:totable() } end
  return out
end

-- The steps that count, as rows.
local function steps_of(x, labels)
  local rows, targets = {}, {}
  local xs, ys = x:totable(), labels:totable()
  for i, n in ipairs(lengths) do
    for t = 1, n do
      rows[#rows + 1], targets[#targets + 1] = xs[i][t], ys[i][t]
    end
  end
  return tensor(rows), tensor(targets)
end

-- -- what is left out --------------------------------------------------------------------

-- tensorflow#34158, keras#15323: the mean is over the steps that count, of loss and metric.
function tests.test_loss_and_metric_have_one_denominator()
  local x, y = tensor { { { 1 }, { 0 }, { 1 } } }, tensor { { { 0 }, { 1 }, { 1 } } }
  local set = data.set(x, y, { mask = tensor { { 1, 0, 1 } } })
  local net = nn.Sequential { nn.Identity() }
  local m = net:evaluate(set, { loss = "mae", metrics = { "mae" } })
  check.near({ m.loss, m.mae }, { 0.5, 0.5 })
end

function tests.test_a_masked_set_trains_as_its_steps_alone()
  local x, labels = sequences()
  local masked = data.set(x, labels, { mask = mask, classes = 2 })
  local rows, targets = steps_of(x, labels)
  local steps = data.set(rows, targets:cast "int32", { classes = 2 })
  local how = { metrics = { "accuracy", "f1" }, batch_size = 6, validation_data = masked }
  local a, b = net_of(2), net_of(2)
  local h = fit(a, masked, how)
  how.batch_size, how.validation_data = 16, steps
  local want = fit(b, steps, how)
  for _, name in ipairs { "loss", "val_loss", "accuracy", "val_accuracy", "f1", "val_f1" } do
    check.near(h[name], want[name], 1e-5)
  end
  local m, n = a:evaluate(masked, { batch_size = 4 }), b:evaluate(steps)
  check.near({ m.loss, m.accuracy }, { n.loss, n.accuracy }, 1e-5)
  check.near(a:evaluate(masked, { batch_size = 1 }).loss, n.loss, 1e-5)
end

-- keras#6825, pytorch#15508: what the other steps hold is never looked at: NaN,
-- huge numbers, labels that there are not.
function tests.test_what_is_masked_may_be_anything()
  local function trained(fill_x, fill_y, options, numbers)
    local x, labels, y = sequences(fill_x, fill_y, fill_x and -5)
    options = options or {}
    local given = { mask = mask }
    if not numbers then given.classes = 2 end
    local set = data.set(x, numbers and y:reshape(6, 4, 1) or labels, given)
    local net = net_of(numbers and 1 or 2)
    options.validation_data = set
    local h = fit(net, set, options)
    return { h.loss, h.val_loss, h.accuracy or 0, weights(net),
      net:evaluate(set, { batch_size = 5 }) }
  end
  local want = trained(nil, nil, { metrics = { "accuracy" } })
  for _, fill in ipairs { 0, 0 / 0, 1e30, 1 / 0 } do
    check.equal(trained(fill, fill, { metrics = { "accuracy" } }), want)
  end
  local plain = trained(nil, nil, { loss = "mse" }, true)
  check.equal(trained(0 / 0, 0 / 0, { loss = "mse", metrics = { "mse", "r2" } }, true)[4],
    plain[4])
  check.equal(trained(1e30, -1 / 0, { loss = "mae", metrics = { "mae" } }, true)[4],
    trained(nil, nil, { loss = "mae", metrics = { "mae" } }, true)[4])
end

function tests.test_targets_of_every_loss_are_looked_at_only_where_they_count()
  local x = sequences(0 / 0)
  local nothing = tensor.where(mask:gt(0), 1, 0 / 0):eval()
  local outside = tensor.where(mask:gt(0), 2, -100):cast "int32":eval()
  local shares = tensor.where(mask:reshape(6, 4, 1):gt(0), tensor { 0.25, 0.75 }, 0 / 0):eval()
  local cases = {
    { "binary_crossentropy", nothing, 1, { "accuracy", "auc" } },
    { "binary_crossentropy", outside, 1, { "accuracy", "precision" } },
    { "categorical_crossentropy", shares, 2, { "accuracy", "balanced_accuracy" } },
    { "sparse_categorical_crossentropy", outside, 2, { "accuracy", "recall" } },
    { "sparse_categorical_crossentropy", outside, 2, { "accuracy" }, "softmax" },
  }
  for _, c in ipairs(cases) do
    local name, y, units, metrics, activation = c[1], c[2], c[3], c[4], c[5]
    local net = net_of(units, activation and { activation = activation })
    local h = fit(net, data.set(x, y, { mask = mask }), { loss = name, metrics = metrics })
    check.yes(h.loss[3] < h.loss[1])
    check.yes(h.accuracy[3] >= 0 and h.accuracy[3] <= 1)
    check.fails(function() fit(net, data.set(x, y), { loss = name }) end, "row ")
  end
  check.fails(function()
    fit(net_of(2), data.set(x, tensor.full(3, 6, 4):cast "int32", { mask = mask }))
  end, "label 3")
end

function tests.test_labels_are_checked_and_converted_where_they_count()
  local x = sequences()
  local from_0 = tensor.where(mask:gt(0), 1, -1):cast "int32"
  local set = data.set(x, from_0, { mask = mask, label_base = 0, classes = 2 })
  local _, y = set:tensors()
  check.equal(y:slice(1):totable(), { { 2, 2, 2, 2 } })
  check.equal(y:slice(3):totable(), { { 2, 0, 0, 0 } })
  local large = tensor.where(mask:gt(0), 2, 99):cast "int32"
  check.equal(data.set(x, large, { mask = mask, label_base = 0 }).classes, 3)
  check.fails(function()
    data.set(x, from_0, { label_base = 0, classes = 2 })
  end, "label -1 in row 2")
end

-- keras#1624, tensorflow#45649: a weight for each class, of labels of steps.
function tests.test_class_weight_of_steps()
  local x, labels = sequences(0 / 0, nil, -7)
  local set = data.set(x, labels, { mask = mask, classes = 2 })
  local w = tensor.where(labels:eq(2), 3, 1)
  local weighted = data.set(x, labels, { mask = mask, classes = 2, weight = w })
  local h = fit(net_of(2), set, { class_weight = { 1, 3 } })
  check.near(h.loss, fit(net_of(2), weighted).loss, 1e-6)
  check.yes(math.abs(h.loss[1] - fit(net_of(2), set).loss[1]) > 1e-3)
end

-- tensorflow#59934, #51902, keras#3855: weights of rows and the mask together, in metrics and
-- validation as in the loss.
function tests.test_weights_and_mask_multiply()
  local x, labels = sequences()
  local w = tensor { 1, 2, 0, 1, 3, 1 }
  local both = data.set(x, labels, { mask = mask, weight = w, classes = 2 })
  local product = data.set(x, labels, { weight = mask * w:reshape(6, 1), classes = 2 })
  local how = { metrics = { "accuracy", "auc", "balanced_accuracy" }, batch_size = 4 }
  local a, b = net_of(2), net_of(2)
  how.validation_data = both
  local h = fit(a, both, how)
  how.validation_data = product
  local want = fit(b, product, how)
  for _, name in ipairs { "loss", "val_loss", "accuracy", "val_accuracy", "auc", "val_auc",
    "balanced_accuracy" } do
    check.near(h[name], want[name], 1e-6)
  end
end

-- keras#2546: long and short sequences count by their steps, whatever the batches are.
function tests.test_the_mean_of_an_epoch_is_by_the_steps()
  local x, labels = sequences()
  local set = data.set(x, labels, { mask = mask, classes = 2 })
  local function epoch(batch_size)
    local net = net_of(2)
    local h = fit(net, set, { batch_size = batch_size, epochs = 1, metrics = { "accuracy" },
      optimizer = optim.SGD { lr = 0 } })
    local m = net:evaluate(set, { batch_size = batch_size })
    return { h.loss[1], h.accuracy[1], m.loss, m.accuracy }
  end
  local whole = epoch(6)
  check.near(whole[1], whole[3], 1e-5)
  check.near(epoch(1), whole, 1e-5)
  check.near(epoch(4), whole, 1e-5)
end

-- keras#11643, pytorch#116349: nothing that counts is an error in training, and in an
-- evaluation adds nothing.
function tests.test_nothing_that_counts()
  local x, labels = sequences()
  local function with(list)
    return data.set(x, labels, { mask = mask_of(list), classes = 2 })
  end
  check.fails(function() fit(net_of(2), with { 0, 0, 0, 0, 0, 0 }) end, "sum to 0", "mask")
  local net = net_of(2)
  check.fails(function() fit(net, with { 0, 4, 0, 0, 4, 4 }, { batch_size = 2 }) end,
    "sum to 0")
  fit(net, with(lengths))
  local some = with { 0, 0, 1, 3, 0, 0 }
  local m = net:evaluate(some, { batch_size = 2, metrics = { "accuracy" },
    loss = "cross_entropy" })
  local n = net:evaluate(some, { batch_size = 6, metrics = { "accuracy" },
    loss = "cross_entropy" })
  check.near({ m.loss, m.accuracy }, { n.loss, n.accuracy }, 1e-6)
  check.fails(function() net:evaluate(with { 0, 0, 0, 0, 0, 0 }) end, "sum to 0")
end

function tests.test_a_net_that_drops_the_mask()
  local x, labels = sequences()
  local set = data.set(x, labels, { mask = mask, classes = 2 })
  local net = net_of(2)
  net:add(nn.Unmask())
  check.fails(function() fit(net, data.set(x, (labels * mask):cast "int32", { mask = mask })) end,
    "label 0")
  local plain = fit(net_of(2), data.set(x * mask:reshape(6, 4, 1), labels, { classes = 2 }),
    { metrics = { "accuracy" } })
  local h = fit(net, set, { metrics = { "accuracy" } })
  check.near({ h.loss, h.accuracy }, { plain.loss, plain.accuracy }, 1e-6)
  check.fails(function()
    fit(nn.Sequential { nn.Flatten(), nn.Dense(2) }, set)
  end, "flatten_1: knows no mask")
  local last = nn.Sequential { nn.Dense(2), nn.Unmask(), nn.Flatten(), nn.Dense(2) }
  check.equal(#fit(last, data.set(x, ints { 1, 2, 1, 2, 1, 2 }, { mask = mask })).loss, 3)
end

-- Filled up on the right or on the left, with whatever: the same losses and weights, of
-- steps and of whole sequences.
function tests.test_recurrent_nets_on_either_padding()
  local x, labels = sequences(0 / 0, nil, -1)
  local xs, ys = x:totable(), labels:totable()
  local left_x, left_y, left_mask = {}, {}, {}
  for i, n in ipairs(lengths) do
    left_x[i], left_y[i], left_mask[i] = {}, {}, {}
    for t = 1, 4 do
      local from = (t - 1 - (4 - n)) % 4 + 1
      left_x[i][t], left_y[i][t] = xs[i][from], ys[i][from]
      left_mask[i][t] = t > 4 - n and 1 or 0
    end
  end
  local whole = ints { 1, 2, 1, 2, 2, 1 }
  local function trained(u, m, y, sequences)
    tensor.seed(9)
    local net = nn.Sequential { nn.LSTM(5, { return_sequences = sequences }), nn.Dense(2) }
    net:build(4, 3)
    local set = data.set(u, y, { mask = m, classes = 2 })
    local h = fit(net, set, { metrics = { "accuracy" }, validation_data = set })
    local values = {}
    for _, p in ipairs(net:parameters()) do values[#values + 1] = p:reshape(-1) end
    return { h.loss, h.val_loss, h.accuracy }, tensor.concat(values, 1)
  end
  local left = { tensor(left_x), tensor(left_mask) }
  for _, case in ipairs { { labels, ints(left_y), true }, { whole, whole, false } } do
    local a, w = trained(x, mask, case[1], case[3])
    local b, v = trained(left[1], left[2], case[2], case[3])
    check.near(a, b, 1e-5)
    check.near(w, v, 1e-4)
  end
end

function tests.test_functions_of_the_user_with_masks()
  local x, _, y = sequences(0 / 0, 0 / 0)
  local set = data.set(x, y:reshape(6, 4, 1), { mask = mask })
  local function by_step(o, t) return (o - t):square():reshape(-1, 4) end
  local h = fit(net_of(1), set, { loss = by_step, metrics = { train.metric(by_step,
    { name = "own" }), "mse" } })
  check.near(h.own, h.mse, 1e-6)
  check.near(h.loss, fit(net_of(1), set, { loss = "mse" }).loss, 1e-6)
  check.fails(function()
    fit(net_of(1), set, { loss = function(o, t) return (o - t):square():mean() end })
  end, "one number", "one value per row")
end

-- -- the data set ------------------------------------------------------------------------

function tests.test_masks_stay_with_their_rows()
  local x, labels = sequences()
  local w = tensor.arange(1, 6)
  local set = data.set(x, labels, { mask = mask, weight = w, classes = 2 })
  local function checked(s)
    local _, _, weight, m = s:tensors()
    for i, k in ipairs(weight:totable()) do
      check.equal(m:sum(2):totable()[i], lengths[math.floor(k)])
    end
  end
  local first, second = set:split(0.5)
  for _, s in ipairs { set, first, second, set:shuffle(), set:take(3), set:subset { 5, 1 } } do
    checked(s)
  end
  for _, _, none, m in data.set(x, labels, { mask = mask }):batches(4, { shuffle = false }) do
    check.equal(none, nil)
    check.equal(m.shape[2], 4)
  end
end

function tests.test_masks_that_no_set_can_have()
  local x, labels = sequences()
  local function refused(m, ...)
    check.fails(function() data.set(x, labels, { mask = m }) end, ...)
  end
  refused(tensor.ones(6), "mask of shape 6 for x of shape 6x4x3", "[n, t]")
  refused(tensor.ones(6, 3), "mask of shape 6x3")
  refused(tensor.ones(5, 4), "mask of shape 5x4")
  refused(mask * 2, "mask 2 in row 1, step 1", "0")
  refused(mask / 0, "mask inf")
  refused({ 1, 0 }, "mask", "a tensor")
  check.fails(function() data.set(x, labels, { mask = mask }):normalize() end, "a mask",
    "before data.set")
end

-- -- several inputs ----------------------------------------------------------------------

local function two_inputs(n)
  tensor.seed(4)
  local a, b = tensor.randn(n, 2):eval(), tensor.randn(n, 3, 2):eval()
  local y = (a:sum(2) + b:sum { 2, 3 }):reshape(n, 1):eval()
  return a, b, y
end

local function joined()
  tensor.seed(8)
  local left, right = nn.Dense(4, { activation = "tanh" }), nn.Dense(4)
  return nn.Sequential { { left = left, right = right, flat = nn.Flatten(),
    forward = function(self, u, v) return left(u) + right(self.flat(v)) end },
    nn.Dense(1) }:build({ 2 }, { 3, 2 })
end

function tests.test_a_set_of_two_inputs_trains_as_the_step_by_hand()
  local a, b, y = two_inputs(12)
  local set = data.set({ a, b }, y)
  check.equal({ #set, set.features }, { 12, { { 2 }, { 3, 2 } } })
  check.equal(tostring(set), "data.set: 12 rows of 2 and 3x2")
  local net, own = joined(), joined()
  local h = fit(net, set, { loss = "mse", metrics = { "mse" }, validation_data = set,
    optimizer = optim.SGD { lr = 0.05 } })
  local step = train.step(function(u, v, t) return loss.mse(own(u, v), t) end, own,
    optim.SGD { lr = 0.05 })
  for _ = 1, 3 do
    for u, v, t in set:batches(4, { shuffle = false }) do step(u, v, t) end
  end
  check.equal(weights(own), weights(net))
  check.near(h.val_loss[3], loss.mse(net(a, b), y), 1e-6)
  check.near(h.val_mse, h.val_loss, 1e-6)
  check.near(net:evaluate(set, { batch_size = 5 }).loss, h.val_loss[3], 1e-6)
  for _, size in ipairs { 5, 12, 100 } do
    check.near(net:predict(a, b, size), net(a, b), 1e-6)
    check.near(net:predict(a, b, { batch_size = size }), net(a, b), 1e-6)
  end
  check.equal(data.set { x = { a, b }, y = y }:take(2).features, { { 2 }, { 3, 2 } })
end

function tests.test_inputs_stay_together()
  local i = tensor.arange(1, 6)
  local set = data.set({ i:reshape(6, 1), tensor.arange(1, 6):cast "uint8" }, i * 10)
  local first, second = set:split(0.5)
  for _, s in ipairs { set, first, second, set:shuffle(), set:subset { 6, 2 } } do
    for u, v, t in s:batches(2) do
      check.near(u:reshape(-1), v)
      check.near(v * 10, t)
    end
  end
end

function tests.test_inputs_that_no_set_can_have()
  local a, b, y = two_inputs(4)
  check.fails(function() data.set({ a, b:slice({ 1, 3 }) }, y) end, "x[1] has 4 rows",
    "x[2] has 3")
  check.fails(function() data.set({ a, tensor(1) }, y) end, "x[2] is a scalar")
  check.fails(function() data.set({ a, 3 }, y) end, '"x"', "number", "a tensor")
  check.fails(function() data.set({ a, a, a, a, a, a, a, a, a }, y) end, "9 tensors", "1 to 8")
  check.fails(function() data.set({ a, b }, y):normalize() end, "2 inputs")
  check.fails(function() fit(nn.Dense(1), data.set({ a, b }, y), { loss = "mse" }) end,
    "takes 1 tensor, got 2")
  check.fails(function() joined():predict(a, b:slice({ 1, 3 })) end, "input 1 has 4 rows",
    "input 2 has 3")
  check.fails(function() joined():predict(a, b, { batchsize = 3 }) end, "batchsize",
    '"batch_size"')
  check.fails(function() joined():predict(a, b, 0) end, "batch size", "at least 1")
end

function tests.test_a_mask_of_the_first_input()
  local x, _, y = sequences(0 / 0, 0 / 0)
  local k = tensor.ones(6, 5)
  local net = nn.Sequential { function(u, v) return u end }
  check.fails(function()
    fit(net, data.set({ x, k }, y, { mask = mask }), { loss = "mse" })
  end, "lambda_1: knows no mask")
  local keeps = nn.Dense(1)
  check.near(keeps:predict(x, { mask = mask, batch_size = 4 }),
    keeps(x, { mask = mask }), 1e-6)
end

-- Weight 0: the row is not there, also where it is NaN.
function tests.test_nan_in_a_row_of_weight_0()
  tensor.seed(2)
  local x, y = tensor.randn(8, 3):eval(), tensor.randn(8, 1):eval()
  local w = tensor { 1, 0, 1, 1, 0, 1, 1, 1 }
  local gone = w:eq(0):reshape(8, 1)
  local function trained(fill)
    local net = nn.Sequential { nn.Dense(4, { activation = "tanh" }), nn.Dense(1) }
    local set = data.set(tensor.where(gone, fill, x):eval(), tensor.where(gone, fill, y):eval(),
      { weight = w })
    tensor.seed(3)
    local h = fit(net, set, { loss = "mse", metrics = { "mae" }, validation_data = set })
    return { h.loss, h.mae, h.val_loss, weights(net) }
  end
  check.equal(trained(0 / 0), trained(0))
  check.equal(trained(1 / 0), trained(0))
end

-- Planned, replayed, naive; one thread and four: equal bytes.
function tests.test_equal_bytes()
  check.equal_bytes [[
    tensor.seed(1)
    local x, b = tensor.randn(40, 5, 3):eval(), tensor.randn(40, 5, 2):eval()
    local m = (tensor.rand(40, 5):lt(0.7)):eval()
    local y = tensor.where(m, x:sum(3):gt(0) + 1, 9):cast "int32":eval()
    local set = data.set(x, y, { mask = m, weight = tensor.rand(40):eval(), classes = 2 })
    local net = nn.Sequential { nn.Dense(6, { activation = "relu" }), nn.LayerNorm(), nn.Dense(2) }
    local h = train.fit(net, set, { loss = "cross_entropy", epochs = 5, batch_size = 16,
      class_weight = { 1, 3 }, validation = 0.25, metrics = { "accuracy", "f1" },
      optimizer = "adam", verbose = false, record = false })
    for _, name in ipairs { "loss", "val_loss", "accuracy", "f1" } do
      for i = 1, 5 do print(("%a"):format(h[name][i])) end
    end
    print(("%a"):format(net:evaluate(set, { batch_size = 7 }).loss))]]
end

check.run(tests)
