-- overfitting.lua: which remedies help a net that has far too few examples, and does all of
-- them together help more than each alone?
--
-- A perceptron 784-300-100-10 learns 1,000 images of Fashion-MNIST by heart: training accuracy 1,
-- while its loss on other rows rises from the tenth epoch on or so. Each remedy alone is compared
-- with none on the accuracy on test rows; "combined" is dropout, decay, smoothing, flips, shifts
-- and mixup, each weaker than alone: it takes many epochs, so all get them. What remedies mend
-- first is the loss (val_loss in the records), which counts how sure a wrong answer was.
--
--   runner experiments/overfitting.lua
--   runner experiments/overfitting.lua rows=300 remedy=none,dropout,combined seeds=8

local args = args {
  rows   = { 1000, "images to train on" },
  epochs = { 150, "passes over the images" },
  lr     = { 0.001, "learning rate of Adam" },
}

local fashion = data.fashion_mnist()

-- What each remedy sets; the others are as here.
local none = { width = 300, dropout = 0, decay = 0, smoothing = 0 }
local remedies = {
  none            = {},
  small_net       = { width = 30 },
  dropout         = { dropout = 0.5 },
  weight_decay    = { decay = 0.3 },
  label_smoothing = { smoothing = 0.1 },
  early_stopping  = { patience = 5 },
  shift           = { transform = data.random_shift(0.1) },
  noise           = { transform = data.random_noise(0.3) },
  mixup           = { transform = data.mixup(1) },
  combined        = { dropout = 0.3, decay = 0.1, smoothing = 0.1,
                      transform = { data.random_flip(), data.random_shift(0.05),
                                    data.mixup(0.2) } },
}
local names = {}
for name in pairs(remedies) do names[#names + 1] = name end
table.sort(names)

local function network(r)
  local net = nn.Sequential { nn.Flatten() }
  for _, width in ipairs { r.width, r.width // 3 } do
    net:add(nn.Dense(width, { activation = "relu", init = "he_normal" }))
    if r.dropout > 0 then net:add(nn.Dropout(r.dropout)) end
  end
  return net:add(nn.Dense(10))
end

experiment {
  name     = "overfitting",
  factors  = { remedy = names },
  baseline = { remedy = "none" },
  seeds    = 5,
  metric   = "val_accuracy",
  report   = "test_accuracy",

  trial = function(c, run)
    local r = setmetatable(remedies[c.remedy], { __index = none })
    local set, others = fashion.train:one_hot():split(args.rows)
    if r.transform then set = set:transform(r.transform) end
    return train.fit(network(r), set, {
      loss = loss.categorical_crossentropy { label_smoothing = r.smoothing },
      optimizer = optim.AdamW { lr = args.lr, weight_decay = r.decay },
      epochs = args.epochs, validation = others:take(2000), test = fashion.test:one_hot(),
      callbacks = r.patience and { train.early_stopping { patience = r.patience } } or {},
      metrics = { "accuracy" }, run = run,
    })
  end,
}
