-- Metrics of ranks and of probabilities against values worked by hand, matrices, and standard
-- errors against the spread over many sets.

local check = dofile "tests/check.lua"
local tests = {}

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
    train.fit(nn.Sequential { nn.Dense(4) }, data.set(rows, int { 4, 4, 2, 2 }),
      { loss = logits, metrics = { "confusion_matrix" }, verbose = false })
  end, "is a matrix, which has no column")
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
    for name, values in pairs(seen) do
      local sd = tensor(values):var():item() ^ 0.5
      local ok = said[name] / sd > 0.85 and said[name] / sd < 1.15
      check.yes(ok, ("%s: sd %g, said %g"):format(name, sd, said[name]))
    end
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
