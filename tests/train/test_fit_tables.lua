-- Matrices and curves of a fit: measured once, at its end, with the weights that the net has
-- then; recorded, and no columns of the history.

local check = dofile "tests/check.lua"
local tests = {}

local set = data.spirals { n = 90, classes = 3, noise = 0.3 }
local train_set, others = set:split(0.6)
local parts = { train_set, others:split(0.5) }

local function fit(options)
  tensor.seed(3)
  local net = nn.Sequential { nn.Dense(8, { activation = "relu" }), nn.Dense(3) }
  for key, value in pairs { loss = "cross_entropy", epochs = 3, batch_size = 16, verbose = false,
    optimizer = optim.Adam { lr = 0.05 }, validation = parts[2], test = parts[3],
    metrics = { "confusion_matrix", "accuracy", train.roc_curve(5) } } do
    if options[key] == nil then options[key] = value end
  end
  return train.fit(net, parts[1], options), net
end

local function same(a, b, what) check.equal(a:totable(), b:totable(), what) end

function tests.test_they_are_those_of_the_net_as_it_ends()
  local early = train.early_stopping { monitor = "val_loss", patience = 1, restore_best = true }
  for _, callbacks in ipairs { {}, { early } } do
    local h, net = fit { callbacks = callbacks, epochs = 12 }
    for i, prefix in ipairs { "", "val_", "test_" } do
      local r = net:evaluate(parts[i], { batch_size = 16,
        metrics = { "confusion_matrix", train.roc_curve(5) } })
      for _, name in ipairs { "confusion_matrix", "roc_curve" } do
        same(h[prefix .. name], r[name], prefix .. name)
      end
      check.equal(h[prefix .. "confusion_matrix"]:sum():item(), #parts[i] + 0.0)
    end
    local hits = 0
    for c = 1, 3 do hits = hits + h.test_confusion_matrix[c][c]:item() end
    check.near(h.test_accuracy, hits / #parts[3])
    check.yes(h.best_epoch == nil or h.best_epoch < #h.loss)
  end
end

-- Nothing else of a fit depends on them.
function tests.test_a_fit_without_them_is_the_same()
  local with, net = fit {}
  local without, other = fit { metrics = { "accuracy" } }
  local alone = fit { metrics = { "roc_curve" } }
  check.equal(alone.loss, with.loss)
  for name, column in pairs(without) do
    if name ~= "time_s" then check.equal(with[name], column, name) end
  end
  for name, t in pairs(net:state()) do same(t, other:state()[name], name) end
end

function tests.test_they_are_not_monitored()
  for _, callback in ipairs { train.early_stopping { monitor = "val_confusion_matrix" },
    train.checkpoint { path = "none", monitor = "roc_curve", save_best_only = true } } do
    check.fails(function() fit { callbacks = { callback } } end, "monitor",
      "allowed: epoch, loss, accuracy, val_loss, val_accuracy, lr, time_s")
  end
end

-- Before the first step: nothing has changed.
function tests.test_what_cannot_be_one_is_refused_before_the_first_step()
  local yes_no = data.set(tensor.randn(9, 2):eval(), tensor.rand(9, 4):gt(0.5):eval())
  local net = nn.Sequential { nn.Dense(4) }:build { 2 }
  local before = net:state()
  check.fails(function()
    train.fit(net, yes_no, { loss = loss.bce { from_logits = true }, verbose = false,
      metrics = { "confusion_matrix" } })
  end, "4 yes-no outputs have a matrix each")
  for name, t in pairs(net:state()) do same(t, before[name], name) end
  check.fails(function()
    fit { metrics = { "accuracy", train.confusion_matrix { name = "accuracy" } } }
  end, "two of them are called")
  check.fails(function() train.roc_curve { name = "a/b" } end, "without /")
end

-- -- the curve -------------------------------------------------------------------------------

local identity = nn.Sequential { nn.Identity() }
local yes_no = loss.bce { from_logits = true }

local function curve_of(scores, yes, options, weight)
  local n = #scores
  local rows = data.set(tensor(scores):reshape(n, 1):eval(), tensor(yes):reshape(n, 1):eval(),
    { weight = weight and tensor(weight) })
  return identity:evaluate(rows, { loss = yes_no, batch_size = 2,
    metrics = { train.roc_curve(options or {}), "auc" } })
end

-- Its first threshold is infinite.
local function check_curve(curve, want)
  local points = curve:totable()
  check.equal(points[1][4], math.huge)
  points[1][4] = 0
  check.near(points, want)
end

function tests.test_the_curve_by_hand()
  local r = curve_of({ 1, 4, 3, 3, 2 }, { 0, 1, 1, 0, 0 })
  check_curve(r.roc_curve, { { 2, 0, 0, 0 }, { 2, 0, 1 / 2, 4 },
    { 2, 1 / 3, 1, 3 }, { 2, 2 / 3, 1, 2 }, { 2, 1, 1, 1 } })
  local w = curve_of({ 1, 4, 3, 3, 2 }, { 0, 1, 1, 0, 0 }, nil, { 1, 3, 1, 0, 1 })
  check_curve(w.roc_curve, { { 2, 0, 0, 0 }, { 2, 0, 3 / 4, 4 }, { 2, 0, 1, 3 },
    { 2, 1 / 2, 1, 2 }, { 2, 1, 1, 1 } })
  check.equal(curve_of({ 1, 2 }, { 1, 1 }).roc_curve.shape, { 0, 4 })
  check.equal(curve_of({ 1, 0 / 0, 3 }, { 1, 1, 0 }).roc_curve.shape, { 0, 4 })
end

-- What is left out of a long curve changes little; the rest are points of the whole one.
function tests.test_a_long_curve_is_thinned()
  tensor.seed(8)
  local scores, yes = tensor.randn(400):totable(), {}
  for i = 1, 400 do yes[i] = scores[i] + 2 * scores[i % 400 + 1] > 0 and 1 or 0 end
  local whole = curve_of(scores, yes, { points = 401 })
  local thin = curve_of(scores, yes, { points = 40 })
  check.equal(whole.roc_curve.shape, { 401, 4 })
  check.yes(thin.roc_curve.shape[1] <= 40 and thin.roc_curve.shape[1] > 30)
  local at = {}
  for _, p in ipairs(whole.roc_curve:totable()) do at[p[4]] = p end
  for _, p in ipairs(thin.roc_curve:totable()) do check.equal(p, at[p[4]]) end
  local function area(curve)
    local sum, p = 0, curve:totable()
    for i = 2, #p do sum = sum + (p[i][2] - p[i - 1][2]) * (p[i][3] + p[i - 1][3]) / 2 end
    return sum
  end
  check.near(area(whole.roc_curve), whole.auc, 1e-5)
  check.near(area(thin.roc_curve), whole.auc, 0.01)
end

-- -- the record ------------------------------------------------------------------------------

function tests.test_they_are_files_of_the_record()
  local path = check.file("tables.lua", [[
    local net = nn.Sequential { nn.Dense(4, { activation = "tanh" }), nn.Dense(3) }
    local set = data.spirals { n = 90, classes = 3 }
    local options = { loss = "cross_entropy", epochs = 2, verbose = false, validation = 0.5,
      metrics = { "confusion_matrix", train.roc_curve(3) } }
    for _ = 1, 2 do
      for i, row in ipairs(train.fit(net, set, options).val_confusion_matrix:totable()) do
        print(("%d,%.0f,%.0f,%.0f"):format(i, row[1], row[2], row[3]))
      end
    end]])
  local files, digests = {}, {}
  for i, threads in ipairs { "1", "2" } do
    local runs = check.temp .. "/tables" .. i
    local out, err, status = check.runner { "--runs", runs, "--threads", threads, path }
    check.equal(status, 0, err)
    local directory = err:match "record: (%S+)"
    files[i] = check.read(directory .. "/table.val_confusion_matrix.csv")
      .. check.read(directory .. "/table-2.val_confusion_matrix.csv")
    check.equal(files[i], (out:gsub("1,", "class,1,2,3\n1,", 1)
      :gsub("(\n3,[^\n]*\n)1,", "%1class,1,2,3\n1,")))
    local curve = check.read(directory .. "/table.roc_curve.csv")
    check.equal(curve:find "^class,fpr,tpr,threshold\n1,0,0,inf\n", 1, curve)
    digests[i] = check.read(directory .. "/result.json"):match '"digest": "(%x+)"'
    local shown = check.runner { "--runs", runs, "show", directory }
    local said = shown:find("table.val_confusion_matrix.csv (3 rows, 4 columns)\n  class", 1, true)
    check.yes(said ~= nil, shown)
  end
  check.equal(files[1], files[2])
  check.equal(digests[1], digests[2])
end

check.run(tests)
