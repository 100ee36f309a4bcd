-- The learning-rate range test.

local check = dofile "tests/check.lua"
local small = dofile "tests/train/small_fit.lua"
local tests = {}
local set, net_of, values_of, fit = small.set, small.net_of, small.values_of, small.fit

function tests.test_find_lr_leaves_everything_as_it_was()
  local function run(looks)
    local net, o = net_of "batch", optim.Adam { lr = 0.01, weight_decay = 0.1,
      schedule = optim.exponential { gamma = 0.9, per = "step" } }
    net:add(nn.Dropout(0.2))
    fit(net, { optimizer = o, epochs = 1 })
    local found
    if looks then
      found = train.find_lr(net, set, { loss = "mae", optimizer = o, batch_size = 4, steps = 60,
        high = 100 })
    end
    local h = fit(net, { optimizer = o, epochs = 2 })
    return { values_of(net), h.loss, h.lr, tensor.randn(3):totable(),
      net:evaluate(set) }, found
  end
  local with, found = run(true)
  check.equal(with, (run(false)))
  check.yes(#found.lr > 10 and #found.lr == #found.loss and #found.lr == #found.smoothed)
  check.near(found.lr[1] / 1e-6, 1, 1e-6)
end

-- Of (w - t)^2 rates above 1 diverge: the curve ends soon after them, and the suggestion is below.
function tests.test_find_lr_finds_where_it_diverges()
  tensor.seed(1)
  local ones = data.set(tensor.ones(8, 1), tensor { { 2 }, { 4 }, { 2 }, { 4 }, { 2 }, { 4 },
    { 2 }, { 4 } })
  local net = nn.Sequential { nn.Dense(1, { bias = false, init = "zeros" }) }
  local found = train.find_lr(net, ones, { loss = "mse", batch_size = 2, low = 1e-4, high = 1e4,
    steps = 200 })
  check.yes(found.lr[#found.lr] > 1 and found.lr[#found.lr] < 100)
  check.yes(found.suggestion > 1e-3 and found.suggestion < 1)
  check.equal(net:state()["dense_1.weight"]:item(), 0.0)
  check.fails(function() train.find_lr(net, ones, { loss = "mse", low = 2, high = 1 }) end,
    "allowed: more than low")
  check.fails(function() train.find_lr(net, ones) end, '"loss" is missing')
  check.fails(function() train.find_lr(net, ones, { loss = "mse", lo = 2 }) end, 'unknown option')
end

-- Where steps accumulate, rates and points are those of updates.
function tests.test_find_lr_counts_updates()
  local found = train.find_lr(net_of(), set, { loss = "mse", batch_size = 5, steps = 9,
    optimizer = optim.SGD { accumulate = 3 }, low = 1e-8, high = 1e-4 })
  check.equal(#found.lr, 9)
  check.near(found.lr[9] / 1e-4, 1, 1e-6)
end

-- Also a loss that is a function, which no checkpoint holds, and that there was none.
function tests.test_what_a_net_remembers_stays()
  local net = net_of()
  local untrained = net:evaluate(set)
  train.find_lr(net, set, { loss = "mae", steps = 8 })
  check.equal(net:evaluate(set), untrained)
  train.fit(net, set, { loss = function(o, t) return ((o - t) ^ 4):mean() end, verbose = false })
  local before = net:evaluate(set).loss
  train.find_lr(net, set, { loss = "mae", steps = 8 })
  check.equal(net:evaluate(set).loss, before)
end

check.run(tests)
