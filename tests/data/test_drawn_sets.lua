-- Sets that are drawn: a mixture of normal distributions, a regression, the noisy quadratic and
-- MNIST-1D: that they repeat, what their statistics are, and what is learned from them.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local function values(set)
  local x, y = set:tensors()
  return { x:totable(), y and y:totable() }
end

function tests.test_they_repeat_and_follow_their_seed()
  for _, name in ipairs { "gaussians", "regression", "mnist1d", "noisy_quadratic" } do
    local parts = name == "mnist1d" or name == "noisy_quadratic"
    local function made(seed)
      local set = data[name] { n = 20, seed = seed }
      return values(parts and set.train or set)
    end
    check.equal(made(1), made(1))
    check.yes(made(1)[1][1][1] ~= made(2)[1][1][1], name)
    tensor.seed(2)
    check.equal(made(0), made(2))
    tensor.seed(1)
  end
end

function tests.test_gaussians()
  local set = data.gaussians { n = 8000, classes = 8, radius = 2, noise = 0.1 }
  for class = 1, 8 do
    local x = set:only { class }:tensors()
    local angle = 2 * math.pi * (class - 1) / 8
    check.near(x:mean(1), { 2 * math.cos(angle), 2 * math.sin(angle) }, 0.015)
    check.near(x:var(1), { 0.01, 0.01 }, 0.002)
  end
  local wide = data.gaussians { n = 5, classes = 5, features = 7, radius = 3, noise = 0 }
  local x = wide:tensors()
  check.near((x * x):sum(2), tensor.full(9, 5), 1e-5)
  check.equal(#data.gaussians(1), 1)
end

-- The weights are found again, and those of what y does not depend on are 0.
function tests.test_regression()
  local set = data.regression { n = 2000, features = 4, informative = 2, noise = 0 }
  local net = nn.Sequential { nn.Dense(1) }
  train.fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 0.1 }, epochs = 3 })
  check.yes(net:evaluate(set, { loss = "mse" }).loss <= 1e-6)
  local w = net:state()["dense_1.weight"]
  check.near({ w[3][1]:item(), w[4][1]:item() }, { 0, 0 }, 1e-3)
  check.yes(math.abs(w[1][1]:item()) > 1e-2)
  check.fails(function() data.regression { features = 2, informative = 3 } end, "at most")
end

-- H has the trace, and the largest eigenvalue, of its kind; rows have variance noise^2.
function tests.test_noisy_quadratic()
  local set = data.noisy_quadratic()
  local h = set.hessian:tensors()
  check.equal({ h.shape, #set.train, #set.test }, { { 100, 100 }, 1000, 1000 })
  check.near(h, h:transpose(), 1e-5)
  local trace = (h * tensor.eye(100)):sum():item()
  check.yes(trace >= 300 + 20 and trace <= 600 + 70)
  local v = tensor.ones(100, 1)
  for _ = 1, 60 do
    v = h:matmul(v)
    v = (v / (v * v):sum():sqrt()):eval()
  end
  local largest = (v * h:matmul(v)):sum():item()
  check.yes(largest >= 45 and largest <= 60)
  -- Not in axes: no row of H is its diagonal alone.
  local off = (h * h):sum(2) - (h * tensor.eye(100)):sum(2):square()
  check.yes(off:min():item() > 1)
  local x = set.train:tensors()
  check.near(x:var():item(), 0.36, 0.01)
  -- The gradient of the loss at 1 is H (1 - mean of x).
  local t = tensor.variable(tensor.ones(1, 100))
  local d = t - x
  local g = grad(((d:matmul(h)) * d):sum(2):mean() * 0.5, { t })[1]
  check.near(g, (tensor.ones(1, 100) - x:mean(1)):matmul(h), 1e-3)
end

function tests.test_mnist1d()
  local set = data.mnist1d()
  check.equal({ #set.train, #set.test, set.classes, set.features }, { 4000, 1000, 10, { 40 } })
  local all = set.train:concat(set.test)
  local x = all:tensors()
  check.near({ x:mean():item(), x:var():item() }, { 0, 1 }, 1e-4)
  for class = 1, 10 do check.equal(#all:only { class }, 500) end
  local permuted = data.mnist1d { permute = true }.train:tensors()
  local row = set.train:tensors()[1]:totable()
  local moved = permuted[1]:totable()
  check.yes(row[1] ~= moved[1] or row[2] ~= moved[2])
  table.sort(row)
  table.sort(moved)
  check.equal(row, moved)
  check.fails(function() data.mnist1d(5) end, "from 10")
end

local function accuracy(net, set, epochs)
  return train.fit(net, set.train, {
    loss = "sparse_categorical_crossentropy", optimizer = optim.Adam { lr = 0.01 },
    batch_size = 100, shuffle = "once", epochs = epochs, metrics = { "accuracy" },
    test = set.test, verbose = false }).test_accuracy
end

-- Published after 6,000 steps: a linear model 31.5 %, a perceptron with one skip 65.1 %.
function tests.test_models_learn_mnist1d_as_published()
  local linear, mlp, seeds = 0, 0, long and 3 or 1
  for seed = 1, seeds do
    tensor.seed(seed)
    local set = data.mnist1d()
    linear = linear + accuracy(nn.Sequential { nn.Dense(10) }, set, long and 150 or 15)
    if long then
      mlp = mlp + accuracy(nn.Sequential {
        nn.Dense(100, { activation = "relu" }),
        nn.Residual(nn.Dense(100, { activation = "relu" })), nn.Dense(10) }, set, 150)
    end
  end
  check.yes(linear / seeds >= 0.28 and linear / seeds <= 0.34, linear / seeds)
  if long then
    check.yes(linear / 3 >= 0.3, linear / 3)
    check.yes(mlp / 3 >= 0.63 and mlp / 3 <= 0.68, mlp / 3)
  end
end

check.run(tests)
