-- Autoencoders: stacked, tied, of noisy pictures, trained layer by layer. LONG=1: what is printed
-- of them comes out.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local fashion = data.fashion_mnist()

-- Pictures as their own targets.
local function pictures(set)
  local x = set:tensors()
  x = x:reshape(x.shape[1], 784):eval()
  return data.set(x, x)
end

local function dense(n) return nn.Dense(n, { activation = "relu" }) end

local function fit(net, set, epochs, held_out)
  return train.fit(net, set, {
    loss = "mse", optimizer = optim.NAdam { lr = 0.001, eps = 1e-7 }, epochs = epochs,
    validation = held_out, verbose = false })
end

-- y = act(x W' + b), W the weight of another layer.
local function transposed(layer, n, relu)
  local self = { bias = tensor.variable(tensor.zeros(n), "bias") }
  function self:forward(x)
    local y = x:matmul(layer.weight:transpose()) + self.bias
    return relu and y:relu() or y
  end
  return self
end

local function tied()
  local first, second = dense(100), dense(30)
  nn.Sequential { first, second }:build { 784 }
  return nn.Sequential { first, second, transposed(second, 100, true), transposed(first, 784) }
end

-- One layer after the other, each on what the one before makes of the rows.
local function greedy(set, epochs)
  local encoder, rows = nn.Sequential {}, set
  local heads, losses = {}, {}
  for i, n in ipairs { 100, 30 } do
    local x = rows:tensors()
    local pair = nn.Sequential { dense(n), i == 1 and nn.Dense(784) or dense(100) }
    losses[i] = fit(pair, rows, epochs).loss[epochs]
    encoder:add(pair[1])
    heads[i] = pair[2]
    local code = pair:cut(1):predict(x)
    rows = data.set(code, code)
  end
  return encoder:add(heads[2]):add(heads[1]), losses
end

local function falls(h) return h.loss[#h.loss] < 0.9 * h.loss[1] end

function tests.test_autoencoders_learn()
  tensor.seed(1)
  local few = pictures(fashion.test:take(256)) -- which is read six times as fast
  local stacked = nn.Sequential { dense(100), dense(30), dense(100), nn.Dense(784) }
  check.yes(falls(fit(stacked, few, 4)))
  local net = tied()
  check.yes(falls(fit(net, few, 4)))
  check.equal(#net:parameters(), 6)   -- two weights, four biases
  local noisy = nn.Sequential { nn.GaussianNoise(0.3), dense(50), nn.Dense(784) }
  check.yes(falls(fit(noisy, few, 4)))
  local whole, losses = greedy(few, 4)
  check.equal({ #whole, #losses }, { 4, 2 })
  local alone = whole:evaluate(few, { loss = "mse" }).loss
  check.yes(falls(fit(whole, few, 4)) or whole:evaluate(few, { loss = "mse" }).loss < alone)
end

-- Printed (Géron, chapter 17; one seed): .0137, tied .0133.
function tests.test_autoencoders_reach_what_is_printed()
  if not long then return end
  tensor.seed(1)
  local rows, held_out = fashion.train:split(55000, { shuffle = false })
  local set, others = pictures(rows), pictures(held_out)
  local stacked = nn.Sequential { dense(100), dense(30), dense(100), nn.Dense(784) }
  local mse = fit(stacked, set, 10, others).val_loss[10]
  check.yes(mse >= 0.0130 and mse <= 0.0145, mse)
  mse = fit(tied(), set, 10, others).val_loss[10]
  check.yes(mse >= 0.0120 and mse <= 0.0145, mse)
end

check.run(tests)
