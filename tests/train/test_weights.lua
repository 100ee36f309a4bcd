-- Weights of rows and masks of steps: in losses, data sets, fits and metrics.

local check = dofile "tests/check.lua"
local tests = {}

-- -- losses ---------------------------------------------------------------------------

function tests.test_losses_take_weight_and_mask_behind_the_target()
  local y, t = tensor { { 1, 2 }, { 3, 5 } }, tensor { { 0, 2 }, { 3, 1 } }
  local w, m = tensor { 1, 3 }, tensor({ 1, 0 }, { dtype = "uint8" })
  check.near(loss.mse(y, t), 17 / 4)
  check.near(loss.mse(y, t, w), (0.5 + 3 * 8) / 4)
  check.near(loss.mse(y, t, w, m), 0.5)
  check.near(loss.mse(y, t, nil, m), 0.5)
  check.near(loss.mae {} (y, t, w), (0.5 + 3 * 2) / 4)
  local z, labels = tensor { { 1, 0 }, { 0, 3 } }, tensor({ 1, 1 }, { dtype = "int32" })
  local a, b = math.log(1 + math.exp(-1)), math.log(1 + math.exp(3))
  check.near(loss.cross_entropy(z, labels, w, { from_logits = true }), (a + 3 * b) / 4)
  check.near(loss.cross_entropy(z, labels, nil, m, { from_logits = true }), a)
  check.fails(function() return loss.mse {} (y, t, w, m, w) end, "output, target, weight, mask")
  check.fails(function() return loss.mse {} (y, t, w, "mask") end, "output, target, weight, mask")
  check.fails(function() return loss.mse(y, t, -w):item() end, "weight -1 in row 1")
end

function tests.test_a_users_loss_gives_a_value_for_each_row_or_one_number()
  tensor.seed(1)
  local x, y = tensor.randn(20, 3), tensor.randn(20, 1)
  local function trained(l)
    tensor.seed(2)
    local net = nn.Sequential { nn.Dense(1) }
    return train.fit(net, data.set(x, y), { loss = l, epochs = 3, batch_size = 8,
      verbose = false, record = false }).loss
  end
  local want = trained "mse"
  check.near(trained(function(o, t) return (o - t):square():mean() end), want)
  check.near(trained(function(o, t) return (o - t):square():reshape(-1) end), want)
  check.near(trained(function(o, t) return (o - t):square() end), want)
end

check.run(tests)
