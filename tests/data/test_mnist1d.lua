-- MNIST-1D: its rows, and what models learn of it.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local of_seed_1 = data.mnist1d()

function tests.test_mnist1d()
  local set = of_seed_1
  check.equal({ #set.train, #set.test, set.classes, set.features }, { 4000, 1000, 10, { 40 } })
  local all = set.train:concat(set.test)
  local x = all:tensors()
  check.near({ x:mean():item(), x:var():item() }, { 0, 1 }, 1e-4)
  for class = 1, 10 do check.equal(#all:only { class }, 500) end
  local permuted = data.mnist1d { permute = true }.train:tensors()
  local row = set.train:tensors()[1]:totable()
  local moved = permuted[1]:totable()
  check.yes(row[1] ~= moved[1] or row[2] ~= moved[2])
  table.sort(row)
  table.sort(moved)
  check.equal(row, moved)
  check.fails(function() data.mnist1d(5) end, "from 10")
end

local function accuracy(net, set, epochs)
  return train.fit(net, set.train, {
    loss = "sparse_categorical_crossentropy", optimizer = optim.Adam { lr = 0.01 },
    batch_size = 100, shuffle = "once", epochs = epochs, metrics = { "accuracy" },
    test = set.test, verbose = false }).test_accuracy
end

-- Published after 6,000 steps: a linear model 31.5 %, a perceptron with one skip 65.1 %.
function tests.test_models_learn_mnist1d_as_published()
  local linear, mlp, seeds = 0, 0, long and 3 or 1
  for seed = 1, seeds do
    tensor.seed(seed)
    local set = seed == 1 and of_seed_1 or data.mnist1d()
    linear = linear + accuracy(nn.Sequential { nn.Dense(10) }, set, long and 150 or 15)
    if long then
      mlp = mlp + accuracy(nn.Sequential {
        nn.Dense(100, { activation = "relu" }),
        nn.Residual(nn.Dense(100, { activation = "relu" })), nn.Dense(10) }, set, 150)
    end
  end
  check.yes(linear / seeds >= 0.28 and linear / seeds <= 0.34, linear / seeds)
  if long then
    check.yes(linear / 3 >= 0.3, linear / 3)
    check.yes(mlp / 3 >= 0.63 and mlp / 3 <= 0.68, mlp / 3)
  end
end

check.run(tests)
