-- optimizers.lua: how fast do optimizers learn, all at the learning rate 0.001?
--
-- The table of a textbook (Géron, Hands-On Machine Learning, chapter 11) over five seeds: a
-- perceptron 784-100-100-100-10 with ReLU and He's initialization, batches of 32, 10 epochs of
-- 55,000 rows of Fashion-MNIST. Epsilons, and where Adagrad's sums start, are those of Keras.
-- Compared is the loss on the training rows at the end; printed there, of one seed each: momentum
-- .310, Nesterov .308, Adagrad .451, RMSprop .344, Adam .243, AdaMax .254, NAdam .240, AdamW .248.
-- Its line for plain SGD repeats that of momentum, .310: plain SGD gets to about .46, as this
-- shows. One rate for all says who is fast at .001, not who is best.
--
--   runner experiments/optimizers.lua
--   runner experiments/optimizers.lua optimizer=sgd,adam epochs=2 rows=10000 seeds=4

local args = args {
  epochs = { 10, "passes over the training rows" },
  rows   = { 55000, "rows of the training set that are used" },
  lr     = { 0.001, "learning rate of all" },
}

local optimizers = {
  sgd      = function(lr) return optim.SGD { lr = lr } end,
  momentum = function(lr) return optim.SGD { lr = lr, momentum = 0.9 } end,
  nesterov = function(lr) return optim.SGD { lr = lr, momentum = 0.9, nesterov = true } end,
  adagrad  = function(lr) return optim.Adagrad { lr = lr, eps = 1e-7, start = 0.1 } end,
  rmsprop  = function(lr) return optim.RMSprop { lr = lr, eps = 1e-7, eps_inside = true } end,
  adam     = function(lr) return optim.Adam { lr = lr, eps = 1e-7 } end,
  adamax   = function(lr) return optim.Adamax { lr = lr, eps = 1e-7 } end,
  nadam    = function(lr) return optim.NAdam { lr = lr, eps = 1e-7 } end,
  adamw    = function(lr) return optim.AdamW { lr = lr, eps = 1e-7, weight_decay = 1e-5 } end,
}
local names = {}
for name in pairs(optimizers) do names[#names + 1] = name end
table.sort(names)

local fashion = data.fashion_mnist()

experiment {
  name     = "optimizers",
  factors  = { optimizer = names },
  baseline = { optimizer = "sgd" },
  metric   = "val_accuracy",
  report   = "loss",

  trial = function(c, run)
    local net = nn.Sequential { nn.Flatten() }
    for _ = 1, 3 do net:add(nn.Dense(100, { activation = "relu", init = "he_normal" })) end
    net:add(nn.Dense(10))
    local rows, held_out = fashion.train:split(55000, { shuffle = false })
    return train.fit(net, rows:take(args.rows), {
      loss = "sparse_categorical_crossentropy", optimizer = optimizers[c.optimizer](args.lr),
      epochs = args.epochs, validation = held_out, metrics = { "accuracy" }, run = run,
    })
  end,
}
