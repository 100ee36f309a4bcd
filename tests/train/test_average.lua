-- Averages of weights: what they are, who sees them, how a fit ends.

local check = dofile "tests/check.lua"
local small = dofile "tests/train/small_fit.lua"
local tests = {}
local set, net_of, values_of, fit = small.set, small.net_of, small.values_of, small.fit

-- The same steps by hand: the weights after each, and what the average is.
local function by_hand(share, per_epoch)
  local net, average, n = net_of(), {}, 0
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.SGD { lr = 0.1, momentum = 0.9 })
  for epoch = 1, 3 do
    for a, b in set:batches(5, { shuffle = false }) do
      step(a, b)
      if not per_epoch then
        n = n + 1
        for name, t in pairs(net:state()) do
          average[name] = n == 1 and t or (average[name] + (t - average[name]) * share(n)):eval()
        end
      end
    end
    if per_epoch and epoch >= 2 then
      n = n + 1
      for name, t in pairs(net:state()) do
        average[name] = n == 1 and t or (average[name] + (t - average[name]) * share(n)):eval()
      end
    end
  end
  return average, net
end

local function are(net, wanted)
  for name, t in pairs(net:state()) do
    local off = (t - wanted[name]):abs():max():item()
    check.yes(off <= 100 * check.eps, ("%s: off by %g"):format(name, off))
  end
end

function tests.test_the_average_is_that_of_the_weights()
  local ema, last = by_hand(function() return 0.25 end)
  local net = net_of()
  local seen
  local h = fit(net, { callbacks = { train.ema(0.75),
    function(info) seen = info.net:evaluate(set, { loss = "mse" }).loss end },
    validation_data = set })
  are(net, ema)
  check.near(h.val_loss[3], net:evaluate(set, { loss = "mse" }).loss, 1e-6)
  check.near(seen, h.val_loss[3], 1e-6, "callbacks see the average")
  local kept = net_of()
  local g = fit(kept, { callbacks = { train.ema { decay = 0.75, restore = true } },
    validation_data = set })
  are(kept, last:state())
  check.equal(g.val_loss, h.val_loss)
  check.equal(g.loss, h.loss, "steps are those without an average")
  local swa = by_hand(function(n) return 1 / n end, true)
  net = net_of()
  fit(net, { callbacks = { train.swa(2) } })
  are(net, swa)
end

-- The best weights are averages, too; before the first average nothing changes.
function tests.test_with_early_stopping_and_norms()
  local net = net_of "batch"
  local h = fit(net, { callbacks = { train.ema(0.5),
    train.early_stopping { monitor = "val_loss", patience = 2 } }, validation_data = set,
    epochs = 12, optimizer = optim.SGD { lr = 0.05, momentum = 0.95 } })
  local best = math.huge
  for _, v in ipairs(h.val_loss) do best = math.min(best, v) end
  check.near(net:evaluate(set, { loss = "mse" }).loss, best, 1e-6)
  local late, plain = net_of(), net_of()
  fit(late, { callbacks = { train.swa(9) } })
  fit(plain, {})
  check.equal(values_of(late), values_of(plain))
  check.fails(function() fit(late, { callbacks = { train.swa(), train.ema() } }) end,
    "one average")
  check.fails(function() train.ema(1) end, "decay")
  check.fails(function() train.swa(0) end, "start")
end

-- Of the average's own activities, by hand: the mean over the batches of their means and unbiased
-- variances. Weights and steps are those of a fit that averages statistics, too.
function tests.test_recomputed_statistics()
  local function run(callback, options)
    local net = net_of "batch"
    options = options or {}
    options.callbacks, options.validation_data = { callback }, set
    return net, fit(net, options)
  end
  for _, make in ipairs { train.ema, train.swa } do
    local net, h = run(make { statistics = "recomputed" })
    local other, plain = run(make {})
    check.equal(h.loss, plain.loss)
    local mean, var, n = tensor.zeros(5), tensor.zeros(5), 0
    for a in set:batches(5, { shuffle = false }) do
      local y = net[1](a)
      n, mean = n + 1, mean + y:mean(1)
      var = var + ((y - y:mean(1)) ^ 2):sum(1) / 4
    end
    check.near(net[2].running_mean, mean / n, 1e-5)
    check.near(net[2].running_var, var / n, 1e-5)
    check.yes((net[2].running_var - other[2].running_var):abs():max():item() > 1e-3)
    check.equal(net[1].weight:totable(), other[1].weight:totable())
    check.near(h.val_loss[3], net:evaluate(set, { loss = "mse" }).loss, 1e-6)
    check.yes(h.val_loss[3] ~= plain.val_loss[3])
    local own, g = run(make { update_bn = true, restore = true })
    check.equal(g.val_loss, h.val_loss)
    local none = net_of "batch"
    fit(none, {})
    check.equal(values_of(own), values_of(none))
  end
end

-- Best weights come with the statistics that were measured; frozen ones stay; a net without any
-- takes no pass; dropouts draw nothing more.
function tests.test_recomputed_statistics_in_other_fits()
  local net = net_of "batch"
  local h = fit(net, { callbacks = { train.swa { start = 2, update_bn = true },
    train.early_stopping { monitor = "val_loss", patience = 2 } }, validation_data = set,
    epochs = 12, optimizer = optim.SGD { lr = 0.05, momentum = 0.95 } })
  check.near(net:evaluate(set, { loss = "mse" }).loss, math.min(table.unpack(h.val_loss)), 1e-6)
  local frozen = net_of "batch"
  frozen:freeze "batch_norm_1"
  local before = frozen[2].running_mean:totable()
  fit(frozen, { callbacks = { train.ema { update_bn = true } } })
  check.equal(frozen[2].running_mean:totable(), before)
  local function losses(statistics)
    tensor.seed(3)
    local drops = nn.Sequential { nn.Dense(6), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(2) }
    return fit(drops, { callbacks = { train.ema { decay = 0.5, statistics = statistics } } }).loss
  end
  check.equal(losses "recomputed", losses "averaged")
  local plain, same = net_of(), net_of()
  fit(plain, { callbacks = { train.ema { update_bn = true } } })
  fit(same, { callbacks = { train.ema() } })
  check.equal(values_of(plain), values_of(same))
end

-- Of sequences with a mask only the steps that count are in the statistics found anew, too: the
-- mean over both batches of theirs, whatever the padding holds.
function tests.test_recomputed_statistics_of_masked_sequences()
  local mask = { { 1, 1, 0, 0 }, { 1, 1, 1, 1 }, { 1, 0, 0, 0 }, { 1, 1, 1, 0 } }
  local function statistics(padding)
    tensor.seed(4)
    local net = nn.Sequential { nn.BatchNorm { axis = -1 }, nn.Dense(1) }:build { 4, 3 }
    tensor.seed(6)
    local there = tensor(mask):gt(0):reshape(4, 4, 1)
    local x = tensor.where(there, tensor.randn(4, 4, 3), padding):eval()
    train.fit(net, data.set(x, tensor.ones(4, 4, 1), { mask = tensor(mask) }), { loss = "mse",
      epochs = 2, batch_size = 2, shuffle = "none", verbose = false, record = false,
      callbacks = { train.ema { statistics = "recomputed" } } })
    return x:totable(), net[1].running_mean:totable(), net[1].running_var:totable()
  end
  local x, mean, var = statistics(0)
  for c = 1, 3 do
    local means, vars = 0, 0
    for first = 1, 3, 2 do
      local sum, squares, n = 0, 0, 0
      for row = first, first + 1 do
        for t = 1, 4 do
          if mask[row][t] == 1 then
            sum, squares, n = sum + x[row][t][c], squares + x[row][t][c] ^ 2, n + 1
          end
        end
      end
      means, vars = means + sum / n / 2, vars + (squares - sum ^ 2 / n) / (n - 1) / 2
    end
    check.near(mean[c], means, 1e-5)
    check.near(var[c], vars, 1e-5)
  end
  local _, other_mean, other_var = statistics(7)
  check.equal(other_mean, mean)
  check.equal(other_var, var)
end

-- States of recurrent layers are no statistics: after the pass they are those of its last batch,
-- here of the last step alone, and no mean.
function tests.test_recomputed_statistics_leave_states()
  tensor.seed(4)
  local net = nn.Sequential { nn.SimpleRNN(2, { stateful = true, recurrent_init = "zeros",
    return_sequences = true }), nn.BatchNorm { axis = -1 }, nn.Dense(1) }
  local x = tensor.randn(8, 3, 2):eval()
  net(x:slice { 1, 4 })
  net:freeze "rnn_1"
  train.fit(net, data.set(x, tensor.ones(8, 3, 1)), { loss = "mse", epochs = 1, batch_size = 4,
    shuffle = "none", verbose = false, record = false,
    callbacks = { train.ema { statistics = "recomputed" } } })
  local state = net:state()["rnn_1.hidden"]
  local last = net[1](x:slice { 5, 8 }):slice(nil, 3)
  check.near(state, last:reshape(4, 2), 1e-6)
end

-- A fit that ends in an error keeps the weights that it had.
function tests.test_after_an_error()
  local net = net_of()
  check.fails(function()
    fit(net, { callbacks = { train.ema(0.5), function(info)
      if info.epoch == 2 then error "enough" end
    end } })
  end, "enough")
  for _, t in pairs(net:state()) do check.yes(t:abs():max():item() < 1e6) end
end

check.run(tests)
