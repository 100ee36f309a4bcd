-- activation_by_init.lua: which activation wants which initialization in a deep network, and
-- what is left of the question once batches are normalized?
--
-- A 10-layer perceptron on a part of Fashion-MNIST: 4 activations x 3 initializers x 2 norms,
-- 10 seeds each, 240 trials: some minutes on two cores. Every level is compared with the
-- baseline (ReLU, He, no norm) on the test accuracy, on average over the other factors. An
-- average can hide the answer, so two initializers are compared in each activation as well.
-- Epochs and rates are the same for all.
--
--   runner plan experiments/activation_by_init.lua
--   runner experiments/activation_by_init.lua
--   runner experiments/activation_by_init.lua activation=relu,swish seeds=3 epochs=1

local args = args {
  depth  = { 10, "hidden layers" },
  width  = { 100, "units of each hidden layer" },
  lr     = { 0.05, "learning rate of SGD with momentum 0.9" },
  epochs = { 5, "passes over the training rows" },
  rows   = { 20000, "rows of the training set that are used" },
}
local fashion = data.fashion_mnist()

local function swish(x) return x * x:sigmoid() end

-- Glorot against He for each activation, without a norm. (LeCun's variance is Glorot's where a
-- layer has as many inputs as outputs.)
local wanted = {}
for i, activation in ipairs { "sigmoid", "tanh", "relu", "swish" } do
  wanted[i] = { { activation = activation, init = "glorot_uniform" }, { activation = activation } }
end

experiment {
  name      = "activation-by-init",
  factors   = {
    activation = { "sigmoid", "tanh", "relu", { name = "swish", value = swish } },
    init       = { "glorot_uniform", "he_normal", "lecun_normal" },
    norm       = { "none", "batch" },
  },
  baseline  = { activation = "relu", init = "he_normal", norm = "none" },
  contrasts = wanted,
  seeds     = 10,
  metric    = "val_accuracy",
  report    = "test_accuracy",

  trial = function(c, run)
    local net = nn.Sequential { nn.Flatten() }
    for _ = 1, args.depth do
      net:add(nn.Dense(args.width, { init = c.init, bias = c.norm == "none" }))
      net:add(nn.norm(c.norm))
      net:add(nn.activation(c.activation))
    end
    net:add(nn.Dense(10))
    return train.fit(net, fashion.train:take(args.rows), {
      loss = "sparse_categorical_crossentropy",
      optimizer = optim.SGD { lr = args.lr, momentum = 0.9, clipnorm = 1 },
      epochs = args.epochs, batch_size = 128, validation = 0.1, test = fashion.test,
      metrics = { "accuracy" }, run = run,
    })
  end,
}
