-- vanishing_gradient.lua: how large is the gradient in each layer of a deep network, before and
-- after training? With sigmoids it falls from layer to layer towards the input, so that the first
-- layers learn next to nothing (Hochreiter 1991; Glorot and Bengio 2010); with tanh or ReLU and
-- an initialization that fits them it stays level.
--
-- A probe measures the norm of the gradient of each weight at every step; the record keeps it in
-- probes.csv.
--
--   runner experiments/vanishing_gradient.lua
--   runner experiments/vanishing_gradient.lua activation=relu init=he_normal
--   runner experiments/vanishing_gradient.lua activation=relu depth=20

local args = args {
  activation = { "sigmoid", "activation of the hidden layers" },
  init       = { "glorot_uniform", "initialization of the hidden layers" },
  depth      = { 10, "hidden layers" },
  width      = { 100, "units of each hidden layer" },
  rows       = { 6400, "rows of the training set that are used" },
  epochs     = { 1, "passes over the training rows" },
}

local net = nn.Sequential { nn.Flatten() }
for _ = 1, args.depth do
  net:add(nn.Dense(args.width, { activation = args.activation, init = args.init }))
end
net:add(nn.Dense(10))

local history = train.fit(net, data.fashion_mnist().train:take(args.rows), {
  loss = "sparse_categorical_crossentropy",
  optimizer = optim.SGD { lr = 0.05, momentum = 0.9 },
  batch_size = 64,
  epochs = args.epochs,
  probes = "gradients",
})

-- The weights alone, from the input to the output.
local weights = {}
for _, series in ipairs(history.probes.gradients) do
  if series.layer:find "weight" then weights[#weights + 1] = series end
end

-- A bar of the norm's size: one mark for each factor of 2 above 1e-9.
local function bar(norm)
  local n = norm > 0 and math.max(0, math.floor(math.log(norm / 1e-9, 2))) or 0
  return ("#"):rep(n)
end

print(("%-16s  %-9s  %-9s"):format("norm of gradient", "step 1", "last steps"))
for _, series in ipairs(weights) do
  local first, last = series.mean[1], series.mean[#series.mean]
  print(("%-16s  %9.2e  %9.2e  %s"):format(series.layer, first, last, bar(first)))
end

-- From the last hidden layer to the second: those between them are alike.
local top, low = weights[#weights - 1].mean[1], weights[2].mean[1]
local factor = (top / low) ^ (1 / math.max(1, #weights - 3))
local what = factor > 1.1 and ("falls by a factor of %.2f"):format(factor)
  or factor < 0.9 and ("grows by a factor of %.2f"):format(1 / factor) or "stays level"
print(("at the first step the gradient %s from layer to layer towards the input"):format(what))
