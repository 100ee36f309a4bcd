-- transfer_learning.lua: does a net that has learned to tell eight kinds of clothing apart learn
-- two others better, of few examples, than one that begins from scratch?
--
-- Task A is Fashion-MNIST without T-shirts and pullovers, task B tells these two apart, of 200
-- images (Géron, Hands-On Machine Learning, chapter 11; his single seed gained .020). "transfer"
-- takes over the hidden layers of a net trained on A, frozen for the first epochs so that the
-- new head does not spoil them. "features" leaves them frozen. The images are the first ones, the
-- seed decides the weights and their order: the gain is a mean over seeds, with its interval.
--
--   runner experiments/transfer_learning.lua
--   runner experiments/transfer_learning.lua rows=50 seeds=8

local args = args {
  rows     = { 200, "images of task B" },
  epochs   = { 20, "passes over the images of task B" },
  frozen   = { 4, "first epochs on task B, with the hidden layers frozen" },
  rows_a   = { 48000, "images of task A" },
  epochs_a = { 20, "passes over the images of task A" },
  lr       = { 0.001, "learning rate of SGD" },
}

local fashion = data.fashion_mnist()
local two, eight = { "T-shirt/top", "Pullover" }, {}
for _, name in ipairs(fashion.class_names) do
  if name ~= two[1] and name ~= two[2] then eight[#eight + 1] = name end
end

local function hidden()
  local net = nn.Sequential { nn.Flatten() }
  for _ = 1, 3 do net:add(nn.Dense(100, { activation = "relu", init = "he_normal" })) end
  return net
end

-- The hidden layers of a net that was trained on task A.
local function trained_on_a(run)
  local net = hidden():add(nn.Dense(#eight))
  local set = fashion.train:only(eight)
  train.fit(net, set:take(math.min(args.rows_a, #set)), {
    loss = "sparse_categorical_crossentropy", optimizer = optim.SGD { lr = args.lr },
    epochs = args.epochs_a, run = run,
  })
  return net:cut(-1)
end

experiment {
  name     = "transfer-learning",
  factors  = { start = { "scratch", "transfer", "features" } },
  baseline = { start = "scratch" },
  metric   = "test_accuracy",

  trial = function(c, run)
    local body = c.start == "scratch" and hidden() or trained_on_a(run)
    local net = nn.Sequential { body, nn.Dense(1) }
    local few = fashion.train:only(two):take(args.rows)
    local function fit(epochs)
      return train.fit(net, few, {
        loss = "binary_crossentropy", optimizer = optim.SGD { lr = args.lr },
        epochs = epochs, test = fashion.test:only(two), metrics = { "accuracy" }, run = run,
      })
    end
    net:build { 1, 28, 28 }
    if c.start == "scratch" then return fit(args.epochs) end
    for i = 1, 3 do net:freeze("dense_" .. i) end
    if c.start == "features" then return fit(args.epochs) end
    fit(args.frozen)
    net:unfreeze()
    return fit(args.epochs - args.frozen)
  end,
}
