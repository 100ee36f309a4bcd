-- The learning-rate range test.

local check = dofile "tests/check.lua"
local tests = {}

local x = tensor.randn(20, 3):eval()
local y = x:matmul(tensor { { 1, 0 }, { -2, 1 }, { 0, 3 } }):eval()
local set = data.set(x, y)

local function net_of(norm)
  tensor.seed(4)
  local net = nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.norm(norm or "none"),
    nn.Dense(2) }
  return net:build { 3 }
end

local function values_of(net)
  local all = {}
  for name, t in pairs(net:state()) do all[name] = t:totable() end
  return all
end

local function fit(net, options)
  options.loss, options.verbose, options.shuffle = "mse", false, "none"
  options.batch_size, options.epochs = 5, options.epochs or 3
  options.optimizer = options.optimizer or optim.SGD { lr = 0.1, momentum = 0.9 }
  return train.fit(net, set, options)
end

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

check.run(tests)
