-- Nets of 100 layers: SELU from LeCun's normal weights against ReLU from He's. Short: what goes
-- forward keeps its size. LONG=1: what two epochs teach each of them.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local UNITS, DEPTH = 100, 100

local function deep(activation, init)
  local net = nn.Sequential {}
  for _ = 1, DEPTH do net:add(nn.Dense(UNITS, { activation = activation, init = init })) end
  return net
end

-- 1,000 layers of 100 units (Géron, chapter 11) keep |mean| < .12, sd in [.75, 1.15].
function tests.test_selu_keeps_mean_and_deviation()
  tensor.seed(1)
  local y = deep("selu", "lecun_normal")(tensor.randn(500, UNITS)):eval()
  check.near(y:mean():item(), 0, 0.12)
  local sd = y:var():item() ^ 0.5
  check.yes(sd >= 0.75 and sd <= 1.15, sd)
end

-- Pictures as rows of mean 0 and deviation 1 at each place, of the training rows.
local function standardized(set, others)
  local x, y = set:tensors()
  local other_x, other_y = others:tensors()
  x, other_x = x:reshape(#x, 784), other_x:reshape(#other_x, 784)
  local mean = x:mean(1):eval()
  local sd = ((x - mean):square():mean(1):sqrt() + 1e-7):eval()
  return data.set(((x - mean) / sd):eval(), y), data.set(((other_x - mean) / sd):eval(), other_y)
end

local function accuracy(activation, init, set, others)
  return train.fit(deep(activation, init):add(nn.Dense(10)), set, {
    loss = "sparse_categorical_crossentropy", optimizer = optim.SGD { lr = 0.001 },
    batch_size = 32, epochs = 2, test = others, metrics = { "accuracy" }, verbose = false,
  }).test_accuracy
end

-- The protocol of the same chapter (rate .001, batches of 32) on 20,000 rows: about a minute. Of
-- 10,000 rows two epochs are too short: there the gain of a seed was .02 to .41.
function tests.test_selu_learns_where_relu_hardly_does()
  if not long then return end
  local fashion = data.fashion_mnist()
  local set, others = standardized(fashion.train:take(20000), fashion.test:take(2000))
  for seed = 1, 3 do
    tensor.seed(seed)
    local selu = accuracy("selu", "lecun_normal", set, others)
    tensor.seed(seed)
    local relu = accuracy("relu", "he_normal", set, others)
    check.yes(selu - relu >= 0.1, ("seed %d: %g and %g"):format(seed, selu, relu))
  end
end

check.run(tests)
