-- Dropouts and noise: what they draw, when, and that means and variances stay.

local check = dofile "tests/check.lua"
local tests = {}

local train_mode, drop_mode = { training = true }, { dropout = true }
local ones = tensor.ones(200, 300)

local function changes(layer, x, mode)
  return (layer(x, mode) - x):abs():max():item() > 0
end

function tests.test_dropout_in_its_forms()
  local inverted, classical = nn.Dropout(0.2), nn.Dropout(0.2, { classical = true })
  local y = inverted(ones, train_mode)
  check.near(y:max():item(), 1.25)
  check.near(y:mean():item(), 1, 4 * 0.5 / 60000 ^ .5)
  check.equal(inverted(ones):totable(), ones:totable())
  y = classical(ones, train_mode)
  check.equal({ y:max():item(), y:min():item() }, { 1, 0 })
  check.near(y:mean():item(), 0.8, 4 * 0.4 / 60000 ^ .5)
  check.near(classical(tensor { { 2, -3 } }), { { 1.6, -2.4 } })
  check.equal(nn.Dropout(0, { classical = true })(ones, train_mode):totable(), ones:totable())
end

-- Multiplied, not added, and element by element: each row has draws of its own.
function tests.test_gaussian_and_alpha_dropout()
  local y = nn.GaussianDropout(0.2)(ones * 3, train_mode)
  check.near(y:mean():item(), 3, 4 * 1.5 / 60000 ^ .5)
  check.near(y:var():item() ^ .5, 1.5, 0.02)
  check.equal(nn.GaussianDropout(0.2)(ones * 0, train_mode):abs():max():item(), 0)
  local z = tensor.randn(300, 400)
  y = nn.AlphaDropout(0.3)(z, train_mode)
  check.near(y:mean():item(), z:mean():item(), 0.015)
  check.near(y:var():item(), 1, 0.02)
  local floor, p = -1.7580993408473766, 0.3
  local a = ((1 - p) * (1 + p * floor ^ 2)) ^ -0.5
  local least = tensor.full(10, 20, 30)
  check.near(nn.AlphaDropout(p)(least, train_mode):min():item(), a * floor - a * p * floor, 1e-5)
  check.equal(nn.AlphaDropout(p)(z):totable()[7], z:totable()[7])
  local edge = nn.AlphaDropout(0.5)(tensor.full(math.huge, 4, 50), train_mode)
  check.equal(edge:ne(edge):sum():item(), 0, "no NaN of a dropped infinity")
end

function tests.test_spatial_dropout_takes_whole_features()
  local y = nn.SpatialDropout1D(0.4)(tensor.ones(3, 7, 50), train_mode)
  check.equal((y:max(2) - y:min(2)):max():item(), 0)
  check.yes(y:mean(2):var():item() > 0.1)
  y = nn.SpatialDropout2D(0.4)(tensor.ones(3, 50, 4, 5), train_mode):reshape(3, 50, 20)
  check.equal((y:max(3) - y:min(3)):max():item(), 0)
  check.yes(y:mean(3):var(1):max():item() > 0, "examples have draws of their own")
  check.fails(function() nn.SpatialDropout1D(0.4)(tensor.ones(3, 5)) end, "[N, T, F]")
  check.fails(function() nn.SpatialDropout2D(0.4)(tensor.ones(3, 5, 2)) end, "[N, C, H, W]")
end

function tests.test_noise_is_for_training()
  local noise = nn.GaussianNoise(0.5)
  local y = noise(ones, train_mode)
  check.near(y:mean():item(), 1, 4 * 0.5 / 60000 ^ .5)
  check.near(y:var():item() ^ .5, 0.5, 0.01)
  check.equal({ changes(noise, ones), changes(noise, ones, drop_mode) }, { false, false })
  check.fails(function() nn.GaussianNoise(-1) end, "std")
end

-- Draws in inference: statistics of a batch norm stay, predictions differ, seeds repeat them.
function tests.test_monte_carlo_dropout()
  local x = tensor.randn(10, 4)
  for _, layer in ipairs { nn.Dropout(0.4), nn.AlphaDropout(0.4), nn.GaussianDropout(0.4) } do
    check.equal({ changes(layer, x), changes(layer, x, drop_mode) }, { false, true })
  end
  local net = nn.Sequential { nn.Dense(50), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(1) }
  local plain = net(x):eval()
  local state = net:state()["batch_norm_1.running_mean"]:totable()
  local first = net(x, drop_mode):eval()
  check.yes((first - plain):abs():max():item() > 1e-3)
  check.yes((net(x, drop_mode) - first):abs():max():item() > 1e-3)
  check.equal(net:state()["batch_norm_1.running_mean"]:totable(), state)
  check.equal(net(x):totable(), plain:totable())
  local many = net:predict(x, { dropout = true, batch_size = 3 })
  check.yes((many - net:predict(x, { dropout = true, batch_size = 3 })):abs():max():item() > 1e-3)
  check.equal(net:predict(x):totable(), plain:totable())
  local zeros = tensor.ones(8, 50)
  local rows = nn.Sequential { nn.Dropout(0.5) }:predict(zeros, { dropout = true, batch_size = 2 })
  check.yes(rows:var(1):max():item() > 0, "each batch has draws of its own")
  local mean = tensor.zeros(10, 1)
  for _ = 1, 400 do mean = mean + net(x, drop_mode):detach() / 400 end
  check.yes((mean - plain):abs():max():item() < 0.3)
  check.fails(function() net(x, { dropout = 1 }) end, "true or false")
  check.fails(function() net(x, { droput = true }) end, '"training"', '"dropout"', '"mask"')
  check.fails(function() net:predict(x, { training = true }) end, '"batch_size"', '"dropout"')
end

-- The mean of many draws classifies as well as the net without them, and the draws agree less
-- where there were no data.
function tests.test_uncertainty_by_monte_carlo_dropout()
  tensor.seed(1)
  local set = data.moons { n = 600, noise = 0.2 }
  local net = nn.Sequential {}
  for _ = 1, 2 do net:add(nn.Dense(32, { activation = "relu" })):add(nn.Dropout(0.2)) end
  net:add(nn.Dense(2))
  train.fit(net, set, { loss = "cross_entropy", optimizer = optim.Adam { lr = 0.01 }, epochs = 30,
    verbose = false })
  local function draws(x)
    local shares, sum, squares = 0, 0, 0
    for _ = 1, 50 do
      local z = net:predict(x, drop_mode)
      shares, sum, squares = shares + z:softmax() / 50, sum + z / 50, squares + z:square() / 50
    end
    return shares:eval(), (squares - sum:square()):mean():item()
  end
  local function accuracy(p, y) return p:argmax(2):eq(y):mean():item() end
  local x, y = set:tensors()
  local mean, spread = draws(x)
  local plain = accuracy(net:predict(x), y)
  check.yes(plain > 0.9, plain)
  check.yes(accuracy(mean, y) >= plain - 0.003)
  local _, away = draws(tensor.rand(600, 2) * 2 + tensor { { -1.5, 1.5 } })
  check.yes(away > spread, ("%g away, %g on the data"):format(away, spread))
end

-- The step's loss has the penalty in it, and its gradient, traced or static.
function tests.test_activity_regularization()
  local x, y = tensor.randn(6, 3), tensor.randn(6, 2)
  local function last(net, f)
    local step, losses = train.step(f, net, optim.SGD { lr = 0.1 }), {}
    for i = 1, 3 do losses[i] = step(x, y) end
    return losses, net:state()["one.weight"]
  end
  local function dense(name, units)
    return nn.Dense(units, { name = name, init = function(shape)
      return tensor.linspace(-1, 1, shape[1] * shape[2]):reshape(shape)
    end })
  end
  local one, two = dense("one", 4), dense("two", 2)
  local net = nn.Sequential { one, nn.ActivityRegularization { l1 = 0.1, l2 = 0.3 }, two }
  local losses, weight = last(net, function(a, b) return loss.mse(net(a), b) end)
  local own, other = dense("one", 4), dense("two", 2)
  local both = nn.Sequential { own, other }
  local want, same = last(both, function(a, b)
    local h = own(a)
    return loss.mse(other(h), b) + (h:abs():sum() * 0.1 + h:square():sum() * 0.3) / 6
  end)
  check.near(losses, want, 1e-5)
  check.near(weight, same, 1e-5)
  check.near(net(x), both(x), 1e-5)
  local set = data.set(x, y)
  local fitted = nn.Sequential { dense("one", 4), nn.ActivityRegularization { l1 = 0.1, l2 = 0.3 },
    dense("two", 2) }
  local history = train.fit(fitted, set, { loss = "mse", optimizer = optim.SGD { lr = 0.1 },
    epochs = 3, batch_size = 6, verbose = 0 })
  check.near(history.loss, want, 1e-5)
  check.near(fitted:state()["one.weight"], same, 1e-5)
end

check.run(tests)
