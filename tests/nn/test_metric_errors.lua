-- Metrics of ranks and of probabilities against values worked by hand, matrices, and standard
-- errors against plain loops and the spread over many sets (LONG=1: of all of them).

local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local identity = nn.Sequential { nn.Identity() }

local logits = loss.cross_entropy { from_logits = true }
local yes_no = loss.bce { from_logits = true }

local function int(list) return tensor(list, { dtype = "int32" }) end

local function measured(outputs, targets, metrics, options)
  local how = { metrics = metrics, loss = logits, batch_size = 2 }
  for name, value in pairs(options or {}) do how[name] = value end
  return identity:evaluate(data.set(outputs, targets), how)
end

local rows = tensor { { 1, 2, 3, 4 }, { 4, 3, 2, 1 }, { 5, 5, 0, 0 }, { 0, 1, 0, 0 } }

function tests.test_top_k()
  local labels = int { 3, 4, 2, 4 }
  local function top(k)
    return measured(rows, labels, { train.top_k_accuracy(k) }).top_k_accuracy
  end
  check.equal({ top(1), top(2), top(3) }, { 0.25, 0.75, 0.75 }, "a tie counts for the row")
  local named = train.top_k_accuracy { k = 2, name = "top_2" }
  check.equal(measured(rows, labels, { named }).top_2, 0.75)
  check.fails(function() top(4) end, "allowed: k from 1 to 3")
  check.fails(function() top(0) end, "k")
  local bad = tensor { { 0 / 0, 1, 2, 3 } }
  check.equal(measured(bad, int { 4 }, { train.top_k_accuracy(3) }).top_k_accuracy, 0.0)
end

-- The exponential of the loss, however the outputs are said and the batches cut.
function tests.test_perplexity_is_e_to_the_cross_entropy()
  local z, labels = tensor.randn(7, 5):eval(), int { 1, 2, 3, 4, 5, 1, 2 }
  local shares = z:softmax():eval()
  local hot = labels:one_hot(5):eval()
  local soft = (hot * 0.9 + 0.02):eval()
  for _, case in ipairs {
    { z, labels, logits },
    { z, soft, loss.categorical_crossentropy { from_logits = true } },
    { shares, labels, loss.cross_entropy { from_logits = false } },
    { (shares * 3):eval(), labels, loss.cross_entropy { from_logits = false } },
    { z, hot, yes_no },
    { shares, hot, loss.binary_crossentropy { from_logits = false } } } do
    local r = measured(case[1], case[2], { "perplexity" }, { loss = case[3], batch_size = 3 })
    check.near(r.perplexity / math.exp(r.loss), 1, 100 * check.eps)
  end
  local sure = measured(tensor { { 1e4, 0, 0 } }, int { 2 }, { "perplexity" })
  check.equal(sure.perplexity, math.huge)
end

-- Two rows with confidence .8, of which one is right: .3 off; two with .6, both right: .4 off.
function tests.test_calibration_error()
  local p = tensor { { 0.8, 0.2 }, { 0.8, 0.2 }, { 0.4, 0.6 }, { 0.6, 0.4 } }
  local how = { loss = loss.cross_entropy { from_logits = false } }
  local r = measured(p, int { 1, 2, 2, 1 }, { train.calibration_error { bins = 10 } }, how)
  check.near(r.calibration_error, (2 * 0.3 + 2 * 0.4) / 4, 1e-6)
  local one = measured(p, int { 1, 2, 2, 1 }, { train.calibration_error { bins = 1 } }, how)
  check.near(one.calibration_error, math.abs(0.75 - 0.7), 1e-6)
  local yes = measured(p:slice({ 1, 4 }, { 2, 2 }):eval(), tensor { { 0 }, { 1 }, { 1 }, { 0 } },
    { train.calibration_error { bins = 10 } }, { loss = loss.bce { from_logits = false } })
  check.near(yes.calibration_error, r.calibration_error, 1e-6)
  local same = measured(p:log():eval(), int { 1, 2, 2, 1 }, { train.ece(10) })
  check.near(same.calibration_error, r.calibration_error, 1e-6)
  check.fails(function() train.calibration_error { bins = 0 } end, "bins")
end

function tests.test_the_confusion_matrix()
  local r = measured(rows, int { 4, 4, 2, 2 }, { "confusion_matrix", "accuracy" })
  check.equal(r.confusion_matrix:totable(), { { 0, 0, 0, 0 }, { 1, 1, 0, 0 }, { 0, 0, 0, 0 },
    { 1, 0, 0, 1 } })
  local yes = measured(tensor { { 1 }, { -1 }, { 2 } }, tensor { { 1 }, { 1 }, { 0 } },
    { "confusion_matrix" }, { loss = yes_no })
  check.equal(yes.confusion_matrix:totable(), { { 0, 1 }, { 1, 1 } })
  check.fails(function()
    measured(rows, rows:gt(1), { "confusion_matrix" }, { loss = yes_no })
  end, "4 yes-no outputs have a matrix each")
end

-- Over many sets the values spread as the standard error of each says.
function tests.test_standard_errors_are_the_spread_over_sets()
  tensor.seed(3)
  local SETS, ROWS = 250, 80
  local function spread(make, metrics, how)
    local seen, said = {}, {}
    for _ = 1, SETS do
      local y, t = make()
      how.standard_error = true
      local r = measured(y, t, metrics, how)
      for name, value in pairs(r) do
        local error = r.standard_error[name]
        if error then
          seen[name] = seen[name] or {}
          table.insert(seen[name], value)
          said[name] = (said[name] or 0) + error / SETS
        end
      end
    end
    local n_seen = 0
    for name, values in pairs(seen) do
      n_seen = n_seen + 1
      local sd = tensor(values):var():item() ^ 0.5
      local most = name == "calibration_error" and 1.7 or 1.15
      local ok = said[name] / sd > 0.85 and said[name] / sd < most
      check.yes(ok, ("%s: sd %g, said %g"):format(name, sd, said[name]))
    end
    check.yes(n_seen >= #metrics, ("%d of %d have an error"):format(n_seen, #metrics))
  end
  spread(function()
    local t = tensor.rand(ROWS, 1):gt(0.6):eval()
    return (t * 1.2 - 0.6 + tensor.randn(ROWS, 1)):eval(), t
  end, { "accuracy", "precision", "recall", "f1", "auc", "balanced_accuracy", "perplexity" },
    { loss = yes_no, batch_size = ROWS })
  spread(function()
    local t = tensor.randint(1, 3, ROWS)
    return (t:one_hot(3) * 1.5 + tensor.randn(ROWS, 3)):eval(), t:eval()
  end, { "balanced_accuracy", train.recall { average = "macro" }, "perplexity",
    train.precision { average = "micro" }, train.top_k_accuracy(2) },
    { batch_size = ROWS })
  spread(function()
    local y = tensor.randn(ROWS, 1):eval()
    return y, (y + tensor.randn(ROWS, 1) * 0.5):eval()
  end, { "mse", "mae", "rmse", "r2" }, { loss = "mse", batch_size = ROWS })
  if not long then return end
  ROWS = 200
  local function three(scale, rare)
    return function()
      local t = rare and (tensor.rand(ROWS):gt(0.6) + tensor.rand(ROWS):gt(0.8) + 1):cast "int32"
        or tensor.randint(1, 3, ROWS)
      return ((t:one_hot(3) * 1.2 + tensor.randn(ROWS, 3)) * scale):eval(), t:eval()
    end
  end
  local of_classes = { "accuracy", "auc", "balanced_accuracy", "perplexity", "calibration_error",
    train.precision { average = "macro" }, train.recall { average = "macro" },
    train.f1 { average = "macro" }, train.f1 { average = "micro", name = "micro" },
    train.top_k_accuracy(2) }
  for _, rare in ipairs { false, true } do
    spread(three(1.2, rare), of_classes, { batch_size = ROWS })
    spread(three(4, rare), { "calibration_error" }, { batch_size = ROWS })
  end
  spread(function()
    local z = tensor.randn(ROWS, 1)
    local t = (z + tensor.randn(ROWS, 3) * 0.7):gt(0):eval()
    return (t * 0.8 + tensor.randn(ROWS, 1) + tensor.randn(ROWS, 3) * 0.3):eval(), t
  end, { "auc" }, { loss = yes_no, batch_size = ROWS })
  spread(function()
    local y = tensor.randn(ROWS, 1):eval()
    return y, (y + tensor.randn(ROWS, 1) * 0.5):eval()
  end, { train.metric(function(y, t) return (y - t):abs() end, { name = "by_row" }),
    train.metric(function(y, t) return ((y - t) ^ 2):mean() / (t ^ 2):mean() end,
      { name = "ratio" }) }, { loss = "mse", batch_size = 64 })
end

-- Gaps of the rows with the signs of their bins: -.2 .8 .4 .4, of which the mean is the metric.
function tests.test_the_error_of_a_calibration_error()
  local p = tensor { { 0.8, 0.2 }, { 0.8, 0.2 }, { 0.4, 0.6 }, { 0.6, 0.4 } }
  local how = { loss = loss.cross_entropy { from_logits = false }, standard_error = true }
  local r = measured(p, int { 1, 2, 2, 1 }, { train.calibration_error { bins = 10 } }, how)
  check.near(r.standard_error.calibration_error, (0.51 / 4 / 4) ^ 0.5, 1e-5)
end

-- By the structural components, pair by pair.
function tests.test_the_error_of_the_mean_of_several_areas()
  tensor.seed(9)
  local N, C = 11, 3
  local z, labels = (tensor.randn(N, C) * 2):round():eval(), tensor.randint(1, C, N):eval()
  local p, class = z:softmax():totable(), labels:totable()
  local moved, sum = {}, 0
  for i = 1, N do moved[i] = 0 end
  for q = 1, C do
    local yes, no, above = 0, 0, {}
    for i = 1, N do
      above[i] = 0
      if class[i] == q then yes = yes + 1 else no = no + 1 end
      for k = 1, N do
        local mine, other = p[i][q], p[k][q]
        if class[i] ~= q then mine, other = other, mine end
        if (class[i] == q) ~= (class[k] == q) then
          above[i] = above[i] + (mine > other and 1 or mine == other and 0.5 or 0)
        end
      end
    end
    local area = 0
    for i = 1, N do area = area + (class[i] == q and above[i] / yes / no or 0) end
    for i = 1, N do
      local mine, other = yes, no
      if class[i] ~= q then mine, other = no, yes end
      moved[i] = moved[i] + (above[i] / other - area) / mine
    end
    sum = sum + area
  end
  local squares = 0
  for i = 1, N do squares = squares + moved[i] ^ 2 end
  local r = measured(z, labels, { "auc" }, { standard_error = true, batch_size = 4 })
  check.near(r.auc, sum / C)
  check.near(r.standard_error.auc, (squares * N / (N - 1)) ^ 0.5 / C)
end

-- Of one label each, micro f1 is the accuracy; the mean over classes moves as small changes of
-- the counts say.
function tests.test_the_error_of_a_mean_of_f1()
  tensor.seed(2)
  local N, C = 40, 4
  local t = tensor.randint(1, C, N):eval()
  local y = (t:one_hot(C) * 1.5 + tensor.randn(N, C)):eval()
  local r = measured(y, t, { "accuracy", "confusion_matrix", "f1",
    train.f1 { average = "micro", name = "micro" } }, { standard_error = true, batch_size = 7 })
  check.near(r.standard_error.micro, r.standard_error.accuracy)
  local counts = r.confusion_matrix:totable()
  local function mean_f1()
    local sum = 0
    for c = 1, C do
      local all = 0
      for k = 1, C do all = all + counts[c][k] + counts[k][c] end
      sum = sum + 2 * counts[c][c] / all
    end
    return sum / C
  end
  local value, variance, step = mean_f1(), 0, 1e-6
  check.near(r.f1, value)
  for a = 1, C do
    for b = 1, C do
      local n = counts[a][b]
      counts[a][b] = n + step
      variance = variance + n * ((mean_f1() - value) / step) ^ 2
      counts[a][b] = n
    end
  end
  check.near(r.standard_error.f1, variance ^ 0.5, 1e-4)
end

-- Of a function: of values of rows as mse's own, of a number by the jackknife, which of a mean
-- that leaves out row by row is that of a mean; of three forms as they say.
function tests.test_the_error_of_a_function()
  tensor.seed(4)
  local N, calls = 23, 0
  local y, t = tensor.randn(N, 3):eval(), tensor.randn(N, 3):eval()
  local how = { loss = "mse", standard_error = true, batch_size = 5 }
  local function mean(a, b)
    calls = calls + 1
    return ((a - b) ^ 2):mean()
  end
  local r = measured(y, t, { "mse", train.metric(function(a, b) return (a - b) ^ 2 end,
    { name = "squares" }), train.metric(function(a, b) return ((a - b) ^ 2):mean(2) end,
    { name = "by_row" }), train.metric(mean, { name = "mean", jackknife = 1000 }) }, how)
  local e = r.standard_error
  check.near(e.squares, e.mse)
  check.near(e.by_row, e.mse)
  check.near(e.mean, e.mse * (N / (N - 1)) ^ 0.5, 1e-3)
  check.equal(calls, 1 + N)
  local weighted = data.set(y, t, { weight = tensor.randint(0, 3, N):cast "real" })
  local w = identity:evaluate(weighted, { standard_error = true, batch_size = 4,
    metrics = { "mse", train.metric(function(a, b) return (a - b) ^ 2 end) } })
  check.near(w.standard_error.metric, w.standard_error.mse)
  how.metrics = { train.metric(mean, { jackknife = 0 }) }
  local none = identity:evaluate(data.set(y, t), how).standard_error.metric
  check.yes(none ~= none and calls == 2 + N)
  how.metrics, how.standard_error = { train.metric(mean) }, false
  identity:evaluate(data.set(y, t), how)
  check.equal(calls, 3 + N, "called again where no error is asked for")
  check.fails(function() train.metric(mean, { jackknife = 1 }) end, "0, or an integer from 2")
end

function tests.test_the_error_that_finish_returns()
  local function error_of(finish)
    local function add(state, y) return (state or 0) + #y end
    local m = train.metric { add = add, finish = finish }
    return measured(rows, rows, { m }, { loss = "mse", standard_error = true })
  end
  local two = error_of(function(n) return n, tensor { 0.5 } end)
  check.equal({ two.metric, two.standard_error.metric }, { 4.0, 0.5 })
  local one = error_of(function(n) return n end).standard_error.metric
  check.yes(one ~= one)
  check.fails(function() error_of(function(n) return n, 1, 2 end) end, "finish", "3")
  check.fails(function() error_of(function(n) return n, "much" end) end, "finish", "a string")
  check.fails(function() error_of(function(n) return n, rows end) end, "one number, got 4x4")
end

-- The steps of a row, and rows of a weight, are no more rows than they are.
function tests.test_standard_errors_count_rows()
  local y, t = tensor.randn(9, 1):eval(), tensor.zeros(9, 1)
  local how = { metrics = { "mse" }, loss = "mse", standard_error = true }
  local function error_of(set) return identity:evaluate(set, how).standard_error.mse end
  local wide = y:broadcast_to(9, 4):eval()
  local one = error_of(data.set(y, t))
  check.near(error_of(data.set(wide, tensor.zeros(9, 4))) / one, 1, 1e-5)
  check.near(error_of(data.set(y, t, { weight = tensor.full(3, 9) })) / one, 1, 1e-5)
  check.equal(identity:evaluate(data.set(y, t), { metrics = { "mse" } }).standard_error, nil)
  local alone = error_of(data.set(y, t):take(1))
  check.yes(alone ~= alone, "one row has no spread")
end

check.run(tests)
