-- plain_vs_residual.lua: do deeper nets train worse, and do shortcuts help?
--
-- The degradation problem (He et al., CVPR 2016, section 1; there of convolutional nets on
-- CIFAR-10) at the size of a laptop: 784-[64 x depth]-10 with ReLU and He's initialization on
-- 20,000 images of Fashion-MNIST, SGD with momentum, 3 epochs, five seeds. Compared is the accuracy
-- on the *training* rows: a deep net that is worse there does not overfit, it is not trained.
-- plain: Dense, BatchNorm, ReLU; residual: ReLU(x + BatchNorm(Dense(x))); bare: plain without
-- BatchNorm. Asked beforehand, as contrasts: is plain of 56 layers at least .2 below plain of 20,
-- and residual of 56 at least .1 above plain of 56? Seen, the means of five seeds at 8, 20 and 56
-- layers: plain .839 .700 .285, residual .848 .835 .817, bare .825 .732 .322: yes, by .42 and .53.
--
--   runner experiments/plain_vs_residual.lua
--   runner experiments/plain_vs_residual.lua depth=8,20 epochs=2 seeds=3

local args = args {
  rows   = { 20000, "rows of the training set that are used" },
  epochs = { 3, "passes over the training rows" },
  width  = { 64, "units of each layer" },
  lr     = { 0.01, "learning rate of SGD with momentum .9" },
}

local fashion = data.fashion_mnist()

local function dense(options)
  options.init = "he_normal"
  return nn.Dense(args.width, options)
end

local layers = {
  bare     = function() return dense { activation = "relu" } end,
  plain    = function() return nn.Sequential { dense { bias = false }, nn.BatchNorm(), "relu" } end,
  residual = function()
    return nn.Residual(nn.Sequential { dense { bias = false }, nn.BatchNorm() },
                       { activation = "relu" })
  end,
}

experiment {
  name      = "plain-vs-residual",
  factors   = { depth = { 8, 20, 56 }, net = { "plain", "residual", "bare" } },
  baseline  = { depth = 20, net = "plain" },
  contrasts = { { { net = "plain", depth = 20 }, { net = "plain", depth = 56 } },
                { { net = "residual", depth = 56 }, { net = "plain", depth = 56 } } },
  metric    = "accuracy",

  trial = function(c, run)
    local net = nn.Sequential { nn.Flatten(), dense { activation = "relu" } }
    for _ = 2, c.depth do net:add(layers[c.net]()) end
    net:add(nn.Dense(10))
    return train.fit(net, fashion.train:take(args.rows), {
      loss = "sparse_categorical_crossentropy",
      optimizer = optim.SGD { lr = args.lr, momentum = 0.9 }, epochs = args.epochs,
      batch_size = 128, test = fashion.test, metrics = { "accuracy" }, run = run,
    })
  end,
}
