-- pretraining.lua: do pictures without labels help where few have one?
--
-- 500 images of Fashion-MNIST keep their labels. Before it learns them the net learns from 30,000
-- others what needs no label: to give back a picture that it sees under noise ("autoencoder",
-- Vincent et al. 2008; Erhan et al. 2010), or by which quarter turn one was turned ("rotation",
-- Gidaris et al. 2018). Two nets: one that trains badly from scratch, four layers of sigmoids with
-- small weights, and one that does not, ReLU with He's initialization. Pretraining was the remedy
-- for the first kind; what does it do for the second?
--
--   runner experiments/pretraining.lua
--   runner experiments/pretraining.lua labels=200 net=sigmoid seeds=8

local args = args {
  labels   = { 500, "images that keep their labels" },
  rows     = { 30000, "images without labels that are used" },
  epochs   = { 60, "passes over the images with labels" },
  epochs_a = { 3, "passes over the images without labels" },
}

local fashion = data.fashion_mnist()

local function hidden(kind)
  local net = nn.Sequential { nn.Flatten() }
  local widths = kind == "relu" and { 300, 100 } or { 100, 100, 100, 100 }
  local init = kind == "relu" and "he_normal" or init.normal { std = 0.05 }
  for _, n in ipairs(widths) do net:add(nn.Dense(n, { activation = kind, init = init })) end
  return net
end

-- The pictures turned by none to three quarters, and how many each.
local function turned(x)
  local n, last_first = x.shape[1], tensor.arange(28, 1, -1):cast "int32"
  local pictures = x:reshape(n, 28, 28):transpose { 2, 3, 1 }
  local parts, labels = {}, {}
  for quarters = 1, 4 do
    parts[quarters] = pictures:transpose { 3, 1, 2 }
    labels[quarters] = tensor.full(quarters, n, { dtype = "int32" })
    pictures = pictures:transpose { 2, 1, 3 }:gather(last_first)
  end
  local all = tensor.concat(parts, 1)
  return data.set(all:eval(), tensor.concat(labels, 1):eval()):shuffle():take(n)
end

local tasks = {}   -- what is learned of pictures without labels: head, rows, loss, noise

function tasks.autoencoder(x)
  local flat = x:reshape(x.shape[1], 784):eval()
  return nn.Dense(784), data.set(flat, flat), "mse", nn.GaussianNoise(0.3)
end

function tasks.rotation(x)
  return nn.Dense(4), turned(x), "sparse_categorical_crossentropy", nn.Identity()
end

experiment {
  name      = "pretraining",
  factors   = { net = { "sigmoid", "relu" }, start = { "scratch", "autoencoder", "rotation" } },
  baseline  = { net = "sigmoid", start = "scratch" },
  contrasts = { { { net = "relu", start = "autoencoder" }, { net = "relu" } },
                { { start = "autoencoder" }, {} } },
  metric    = "test_accuracy",

  trial = function(c, run)
    local body = hidden(c.net)
    local few, rest = fashion.train:labels(args.labels)
    local function fit(net, set, loss, epochs, more)
      return train.fit(net, set, { loss = loss, optimizer = optim.Adam(), epochs = epochs,
                                   run = run, test = more and fashion.test,
                                   metrics = more and { "accuracy" } or {} })
    end
    if c.start ~= "scratch" then
      local head, set, loss, noise = tasks[c.start](rest:take(args.rows):tensors())
      fit(nn.Sequential { noise, body, head }, set, loss, args.epochs_a)
    end
    return fit(nn.Sequential { body, nn.Dense(10) }, few, "sparse_categorical_crossentropy",
               args.epochs, true)
  end,
}
