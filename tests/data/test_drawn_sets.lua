-- Sets that are drawn: a mixture of normal distributions, a regression, the noisy quadratic: that
-- they (and MNIST-1D) repeat, what their statistics are, and what is learned from them.
local check = dofile "tests/check.lua"
local tests = {}

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

check.run(tests)
