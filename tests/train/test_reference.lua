-- Whole trainings of small nets against PyTorch's, made in float64 by
-- ../nn/reference/trainings.py: the loss of each of 40 steps, the parameters and the running
-- statistics at the end.
local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

local wanted = tensor.load "tests/nn/reference/trainings.safetensors"
local STEPS = 40

local function falling(schedule, options)
  options.per = "step"
  return schedule(options)
end

local trainings = {
  batch_norm = {
    layers = { nn.Dense(8, { bias = false }), nn.BatchNorm(), "relu", nn.Dense(3) },
    loss = loss.sparse_categorical_crossentropy { from_logits = true }, labels = true,
    optimizer = optim.Adam { lr = 0.02, global_clipnorm = 0.3,
      schedule = falling(optim.cosine, { steps = STEPS }) } },
  layer_norm = {
    layers = { nn.Dense(8), nn.LayerNorm(), nn.PReLU(), nn.Dense(3) }, loss = loss.mse,
    optimizer = optim.SGD { lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 0.01 } },
  glu = {
    layers = { nn.Dense(8, { activation = "gelu" }), nn.Dense(8), nn.GLU(), nn.Dense(3) },
    loss = loss.sparse_categorical_crossentropy { from_logits = true, label_smoothing = 0.1 },
    labels = true, optimizer = optim.AdamW { lr = 0.02, weight_decay = 0.1 } },
  group_norm = {
    layers = { nn.Dense(8, { activation = "selu" }), nn.GroupNorm(2),
      nn.Dense(6, { activation = "mish" }), nn.Dense(3) },
    loss = loss.huber { delta = 0.7 },
    optimizer = optim.RMSprop { lr = 0.005, rho = 0.9, momentum = 0.5, centered = true,
      clipvalue = 0.05, schedule = falling(optim.exponential, { gamma = 0.95 }) } },
  radam = {
    layers = { nn.Dense(8, { activation = "tanh" }), nn.Dense(8), nn.BatchNorm(), "silu",
      nn.Dense(3) },
    loss = loss.smooth_l1,
    optimizer = optim.RAdam { lr = 0.1, eps = 1e-3,
      schedule = falling(optim.step, { every = 10, gamma = 0.5 }) } },
}

local function of(name, begin) return reference.begun_with(name .. "." .. begin, wanted) end

-- The net as the reference's ends, and its losses.
local function trained(name, case)
  local net = nn.Sequential(case.layers):build { 5 }
  net:load(of(name, "begin."))
  local step = train.step(function(x, t)
    return case.loss(net(x, { training = true }), t)
  end, net, case.optimizer)
  local x, t = wanted[name .. ".x"], wanted[name .. ".t"]
  if case.labels then t = tensor(t:totable(), { dtype = "int32" }) end
  local losses = {}
  for i = 1, STEPS do
    local now = (i - 1) % #x + 1
    losses[i] = step(x[now], t[now])
  end
  return net, tensor(losses)
end

local function is_near(got, name, key, largest)
  local want = wanted[name .. "." .. key]
  local own = check.error_of(wanted[name .. ".float." .. key], want, largest)
  reference.near_as_float(got, want, name .. ", " .. key, largest, own, 1e-8)
end

for name, case in pairs(trainings) do
  tests["test_" .. name] = function()
    local net, losses = trained(name, case)
    local largest = wanted[name .. ".gradient"]:item()
    is_near(losses, name, "loss", largest)
    local state, n = net:state(), 0
    for key in pairs(of(name, "end.")) do
      is_near(state[key], name, "end." .. key, largest)
      n = n + 1
    end
    local all = 0
    for _ in pairs(state) do all = all + 1 end
    check.equal(n, all)
  end
end

function tests.test_of_each_training_in_the_file_there_is_one_here()
  for key in pairs(wanted) do
    check.yes(trainings[key:match "^[^.]*"] ~= nil, key)
  end
end

check.run(tests)
