-- Layers, losses, optimizers and schedules against PyTorch's values, computed in float64 by
-- reference/catalogue.py, whose inputs are made alike here.

local check = dofile "tests/check.lua"
local tests = {}

local reference = dofile "tests/nn/reference.lua"
local catalogue = reference.open "catalogue"
local wanted, is_near, exact = catalogue.wanted, catalogue.is_near, reference.exact
local ROWS, COLUMNS, STEPS = 6, 5, 25

local function numbers(phase, scale, shape)
  return reference.numbers(phase, scale, shape or { ROWS, COLUMNS })
end

-- -- layers ------------------------------------------------------------------------------

local ROW, IMAGE = { ROWS, COLUMNS }, { 2, 4, 3, 2 }

local function reshaped(shape, back)
  return { ours = function(t) return t:reshape(shape) end,
    theirs = function(t) return t:reshape(back) end }
end

local function turned(t) return t:transpose() end
local transposed = { ours = turned, theirs = turned }

-- [units, i, j] and [i, j, units]
local units_first = { ours = function(t) return t:transpose(2, 3, 1) end,
  theirs = function(t) return t:transpose(3, 1, 2) end }

local layers = {
  prelu = { nn.PReLU(), { ROW }, { { "weight", { COLUMNS } } } },
  prelu_shared = { nn.PReLU { num_parameters = 1 }, { ROW }, { { "weight", { 1 } } } },
  prelu_channels = { nn.PReLU { shared_axes = { 3, 4 } }, { IMAGE },
    { { "weight", { 4 }, reshaped({ 4, 1, 1 }, { 4 }) } } },
  rrelu = { nn.RReLU(), { ROW } },
  maxout = { nn.Maxout { axis = 2 }, { IMAGE } },
  glu = { nn.GLU(), { IMAGE } },
  glu_channels = { nn.GLU { axis = 2 }, { IMAGE } },
  batch_norm_last = { nn.BatchNorm { axis = -1 }, { IMAGE },
    { { "weight", { 2 } }, { "bias", { 2 } } }, { training = true } },
  batch_norm_3 = { nn.BatchNorm { axis = 3 }, { IMAGE },
    { { "weight", { 3 } }, { "bias", { 3 } } }, { training = true } },
  instance_norm = { nn.norm "instance", { IMAGE }, { { "weight", { 4 } }, { "bias", { 4 } } } },
  rms_norm = { nn.norm "rms", { ROW }, { { "weight", { COLUMNS } } } },
  weight_norm = { nn.WeightNorm(nn.Dense(3)), { ROW }, {
    { "scale", { 3, 1 }, reshaped({ 3 }, { 3, 1 }) },
    { "weight", { 3, COLUMNS }, transposed }, { "bias", { 3 } } } },
  bilinear = { nn.Bilinear(3), { ROW, { ROWS, 4 } }, {
    { "weight", { 3, COLUMNS, 4 }, units_first }, { "bias", { 3 } } } },
  gelu_tanh = { nn.Activation(nn.gelu "tanh"), { ROW } },
}

function tests.test_layers() catalogue.layers(layers) end

function tests.test_activations_that_are_layers()
  local net = nn.Sequential { nn.Dense(4, { activation = "prelu" }), "rrelu",
    nn.Dense(6, { activation = nn.Maxout(3) }), nn.Dense(4, { activation = "glu" }) }
  check.equal(net(tensor.ones(3, 5)).shape, { 3, 2 })
  check.equal(#net:parameters(), 7)
  check.near(net:state()["prelu_1.weight"], { .25, .25, .25, .25 })
  net[1].activation = "relu"
  check.equal(#net:parameters(), 6)
  local x = tensor { { -1, 2 } }
  check.near(nn.RReLU()(x), { { -11 / 48, 2 } })
  local drawn = nn.RReLU { lower = 0.5, upper = 1 }(x:neg(), { training = true }):totable()[1]
  check.yes(drawn[1] == 1 and drawn[2] <= -1 and drawn[2] >= -2)
  local inf = math.huge
  local edge = nn.PReLU { init = 0.5 }(tensor { { inf, -inf, 0 / 0, 0 } }):totable()[1]
  check.equal({ edge[1], edge[2], edge[4] }, { inf, -inf, 0 })
  check.yes(edge[3] ~= edge[3])
  local big = 3e38
  check.equal(nn.RReLU()(tensor { { inf, -inf, big, 0 } }):totable(), { { inf, -inf, tensor { big }
    :item(), 0 } })
  check.equal(nn.Maxout(2)(tensor { { -inf, inf, -big, -inf } }):totable(),
    { { inf, -tensor { big }:item() } })
  check.equal(nn.GLU()(tensor { { inf, -big, 2, inf, 1, -inf } }):totable()[1][3], 0)
  for _, layer in ipairs { nn.PReLU(), nn.RReLU(), nn.Maxout(1), nn.GLU() } do
    local nan = layer(tensor { { 0 / 0, 0 / 0 } })
    check.equal(nan:eq(nan):sum():item(), 0, "NaN stays NaN")
  end
  check.fails(function() nn.Dense(3, { activation = nn.Dense(3) }) end, "got nn.Dense")
  check.fails(function() nn.Dense(3, { activation = "preluu" }) end, 'did you mean "prelu"')
  check.fails(function() nn.Dense(3, { activation = "glu" })(x) end, "even number")
  check.fails(function() nn.PReLU { shared_axes = { 1 } } end, "axis 1 is the batch")
  check.fails(function() nn.PReLU { shared_axes = { 4 } }(x) end, "shares axis 4")
  check.fails(function() nn.PReLU { shared_axes = 2, num_parameters = 1 } end, "one of them")
  check.fails(function() nn.PReLU { num_parameters = 3 }(x) end, "num_parameters", "1x2")
  check.fails(function() nn.Maxout(3)(x) end, "multiple of 3 pieces")
  check.fails(function() nn.RReLU(0.5, 0.1) end, "above upper")
end

-- -- losses ------------------------------------------------------------------------------

local losses = {
  huber = { loss.huber }, huber_2 = { loss.huber { delta = 0.3 } },
  smooth_l1 = { loss.smooth_l1 }, smooth_l1_2 = { loss.smooth_l1 { beta = 0.3 } },
  poisson = { loss.poisson }, poisson_rate = { loss.poisson { log_input = false }, "rates" },
  cosine = { loss.cosine }, log_cosh = { loss.log_cosh },
  kl_divergence = { loss.kl_divergence { from_logits = true }, "shares" },
  multi_margin = { loss.multi_margin { margin = 0.7 }, "labels" },
  multi_margin_2 = { loss.multi_margin { squared = true }, "labels" },
  sparse_smoothed = { loss.cross_entropy { from_logits = true, label_smoothing = 0.2 }, "labels" },
  categorical_smoothed = {
    loss.categorical_crossentropy { from_logits = true, label_smoothing = 0.2 }, "shares" },
  binary_smoothed = { loss.bce { from_logits = true, label_smoothing = 0.2 }, "yes_no" },
  focal = { loss.focal { from_logits = true }, "yes_no" },
  focal_2 = { loss.focal { from_logits = true, gamma = 1.5, alpha = 0.25 }, "yes_no" },
  categorical_focal = { loss.categorical_focal { from_logits = true }, "shares" },
  sparse_focal = { loss.sparse_categorical_focal { from_logits = true, gamma = 1.5 }, "labels" },
  contrastive = { loss.contrastive, "alike" },
  contrastive_far = { loss.contrastive { margin = 7 }, "alike" },
  triplet = { loss.triplet, "alike" },
  triplet_all = { loss.triplet { margin = 2.5, mining = "all" }, "alike" },
  hinge = { loss.hinge, "yes_no" }, squared_hinge = { loss.squared_hinge, "yes_no" },
}

local function loss_inputs(kind)
  local y, t = numbers(1, 2), numbers(2)
  if kind == "rates" then y, t = y:abs() + 0.1, t:abs() end
  if kind == "shares" then t = (t * 2):softmax() end
  if kind == "yes_no" then t = t:gt(0) end
  if kind == "labels" then
    t = tensor({ 1, 4, 2, 5, 3, 1 }, { dtype = "int32" })
  end
  if kind == "alike" then
    y, t = y + y:square() * 0.3, tensor({ 1, 2, 1, 2, 3, 1 }, { dtype = "int32" })
  end
  return y:eval(), t:eval()
end

function tests.test_losses()
  local tolerance = exact and 1e-10 or 1e-5
  for name, case in pairs(losses) do
    local y, t = loss_inputs(case[2])
    local v = tensor.variable(y)
    local value = case[1](v, t)
    is_near(value:reshape(1), "loss." .. name .. ".value", tolerance)
    is_near(grad(value, { v })[1], "loss." .. name .. ".gradient", tolerance)
  end
end

-- -- optimizers --------------------------------------------------------------------------

local optimizers = {
  adagrad = optim.Adagrad { lr = 0.05 },
  adagrad_decay = optim.Adagrad { lr = 0.05, eps = 1e-3, weight_decay = 0.1 },
  adadelta = optim.Adadelta { lr = 1 },
  adadelta_2 = optim.Adadelta { lr = 0.5, rho = 0.8, eps = 1e-3, weight_decay = 0.1 },
  adamax = optim.Adamax { lr = 0.01 },
  adamax_2 = optim.Adamax { lr = 0.01, beta1 = 0.8, beta2 = 0.9, weight_decay = 0.1 },
  nadam = optim.NAdam { lr = 0.01 },
  nadam_2 = optim.NAdam { lr = 0.01, beta1 = 0.8, beta2 = 0.9, momentum_decay = 0.1,
    weight_decay = 0.1 },
  radam = optim.RAdam { lr = 0.01 },
  radam_2 = optim.RAdam { lr = 0.01, beta1 = 0.8, beta2 = 0.9, weight_decay = 0.1 },
  rmsprop = optim.RMSprop { lr = 0.01, rho = 0.9 },
  rmsprop_2 = optim.RMSprop { lr = 0.01, rho = 0.8, momentum = 0.5, centered = true,
    weight_decay = 0.1 },
  adam = optim.Adam { lr = 0.01, weight_decay = 0.1 },
  adamw = optim.AdamW { lr = 0.01, weight_decay = 0.1 },
  sgd = optim.SGD { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.1 },
  adam_amsgrad = optim.Adam { lr = 0.01, amsgrad = true, beta2 = 0.8 },
  adamw_amsgrad = optim.AdamW { lr = 0.01, amsgrad = true, weight_decay = 0.1 },
  sgd_dampening = optim.SGD { lr = 0.1, momentum = 0.9, dampening = 0.3, weight_decay = 0.1 },
  adagrad_lr_decay = optim.Adagrad { lr = 0.05, lr_decay = 0.1 },
  adam_clipnorm = optim.Adam { lr = 0.01, clipnorm = 0.7,
    schedule = optim.exponential { gamma = 0.9, per = "step" } },
  adam_clipvalue = optim.Adam { lr = 0.01, clipvalue = 0.2, weight_decay = 0.1 },
  sgd_clips = optim.SGD { lr = 0.1, momentum = 0.9, clipvalue = 0.3, global_clipnorm = 0.5,
    schedule = optim.exponential { gamma = 0.8, per = "step" } },
  rmsprop_inside = optim.RMSprop { lr = 0.01, rho = 0.9, eps = 1e-3, eps_inside = true },
  adagrad_inside = optim.Adagrad { lr = 0.05, eps = 1e-3, eps_inside = true },
  adam_accumulated = optim.Adam { lr = 0.01, accumulate = 4 },
  sgd_accumulated = optim.SGD { lr = 0.1, momentum = 0.9, accumulate = 5 },
  adam_lookahead = optim.Adam { lr = 0.01, lookahead = 5 },
  sgd_lookahead = optim.SGD { lr = 0.1, lookahead = 3, lookahead_share = 0.8 },
  lbfgs = optim.LBFGS { lr = 0.1 }, lbfgs_2 = optim.LBFGS { lr = 0.3, history = 2 },
  muon = optim.Muon { lr = 0.02 },
  muon_2 = optim.Muon { lr = 0.02, momentum = 0.5, nesterov = false, weight_decay = 0.1 },
}

-- The gradient of sum(w g) is g.
local function trajectory(optimizer)
  local w, rows = tensor.variable(numbers(3)), {}
  local step = train.step(function(g) return (w * g):sum() end, { w }, optimizer)
  for t = 0, STEPS - 1 do
    step(numbers(13 * t, 0.5))
    rows[#rows + 1] = w:detach():reshape(1, ROWS, COLUMNS):eval()
  end
  return tensor.concat(rows, 1)
end

function tests.test_optimizers()
  for name, optimizer in pairs(optimizers) do
    local prefix = "optimizer." .. name
    local own = wanted[prefix .. ".error"]:max():item() / wanted[prefix .. ".w"]:abs():max():item()
    is_near(trajectory(optimizer), prefix .. ".w", exact and 1e-8 or math.max(10 * own, 1e-5))
  end
end

-- A matrix and a vector, of which the vector has a rate of its own and no weight decay.
function tests.test_groups()
  local own = { "b*", lr = 0.03, weight_decay = 0 }
  local falling = optim.exponential { gamma = 0.9, per = "step" }
  local made = {
    sgd = optim.SGD { lr = 0.1, momentum = 0.9, weight_decay = 0.1, groups = { own },
      schedule = falling },
    adamw = optim.AdamW { lr = 0.01, weight_decay = 0.1, groups = { own }, schedule = falling },
  }
  for name, optimizer in pairs(made) do
    local w = tensor.variable(numbers(3), "w")
    local b = tensor.variable(numbers(4):slice { 1, 1 }, "bias")
    local step = train.step(function(g, h) return (w * g):sum() + (b * h):sum() end, { w, b },
      optimizer)
    local rows = {}
    for t = 0, STEPS - 1 do
      step(numbers(13 * t, 0.5), numbers(7 * t, 0.5):slice { 1, 1 })
      rows[#rows + 1] = tensor.concat({ w, b }, 1):detach():reshape(1, ROWS + 1, COLUMNS):eval()
    end
    is_near(tensor.concat(rows, 1), "groups." .. name .. ".w", exact and 1e-8 or 1e-5)
  end
end

-- What a step does follows from the options as they are and the number of the step: two
-- that come to them by other ways make the same one.
function tests.test_options_that_change_on_the_way()
  local function last(changes_at)
    local w, o = tensor.variable(numbers(3)), optim.NAdam { lr = 0, beta1 = 0.6 }
    local step = train.step(function(g) return (w * g):sum() end, { w }, o)
    for t = 1, STEPS do
      if t == changes_at then o.beta1 = 0.8 end
      if t == STEPS then o.lr = 0.01 end
      step(numbers(t == STEPS and 13 or 0, t == STEPS and 1 or 0))
    end
    return w:totable()
  end
  check.equal(last(10), last(STEPS))
end

-- -- schedules ---------------------------------------------------------------------------

local schedules = {
  multi_step = optim.multi_step { milestones = { 3, 10, 11 }, gamma = 0.3, per = "step" },
  polynomial = optim.polynomial { steps = 12, power = 2, per = "step" },
  cosine = optim.cosine { steps = 30, final = 0.1, per = "step" },
  cosine_restarts = optim.cosine_restarts { steps = 3, mult = 2, final = 0.1, per = "step" },
  one_cycle = optim.one_cycle { steps = 25, per = "step" },
  exponential = optim.exponential { gamma = 0.9, per = "step" },
  step = optim.step { every = 4, gamma = 0.5, per = "step" },
}

-- A step of SGD with the gradient 1 falls by the rate.
function tests.test_schedules()
  for name, schedule in pairs(schedules) do
    local w = tensor.variable(tensor { 0 })
    local step = train.step(function() return w:sum() end, { w },
      optim.SGD { lr = 0.2, schedule = schedule })
    local rates = {}
    for t = 1, STEPS do
      w:assign(tensor { 0 })
      step()
      rates[t] = -w:item()
    end
    is_near(tensor(rates), "schedule." .. name, exact and 1e-10 or 1e-5)
  end
end

-- -- initializers: moments of large samples ------------------------------------------------

local function drawn(init, rows, columns)
  local layer = nn.Dense(columns, { init = init })
  layer:build { rows }
  return layer:state()["dense_1.weight"]
end

local function deviation(t) return (t:var():item()) ^ 0.5 end

-- Of n values the sample's deviation is off by about 1 / sqrt(2 n): four such are allowed.
local function is_law(init, std)
  local w = drawn(init, 300, 400)
  check.near(w:mean():item() / std, 0, 4 / 120000 ^ 0.5)
  check.near(deviation(w) / std, 1, 4 / 240000 ^ 0.5)
  return w
end

function tests.test_initializers()
  local cut = is_law(init.truncated_normal { std = 0.3 }, 0.3 * 0.87962566103423978)
  check.yes(cut:abs():max():item() <= 0.6000001)
  is_law(init.variance_scaling(), (1 / 300) ^ 0.5)
  is_law(init.variance_scaling { scale = 2, mode = "fan_out", distribution = "normal" },
    (2 / 400) ^ 0.5)
  local flat = is_law(init.variance_scaling { scale = 3, mode = "fan_avg",
    distribution = "uniform" }, (3 / 350) ^ 0.5)
  check.yes(flat:abs():max():item() <= (9 / 350) ^ 0.5 * 1.000001)
  local thin = drawn(init.sparse { sparsity = 0.901, std = 2 }, 300, 400)
  local zeros = thin:eq(0):sum(1):totable()
  for i = 1, 400 do check.equal(zeros[i], 271, "ceil(.901 * 300) inputs of a unit are cut") end
  check.near((thin:square():sum():item() / (29 * 400)) ^ 0.5, 2, 2 * 4 / (2 * 29 * 400) ^ 0.5)
  check.equal(drawn(init.identity { gain = 2 }, 2, 3):totable(), { { 2, 0, 0 }, { 0, 2, 0 } })
  check.fails(function() drawn(init.sparse { sparsity = 1.5 }, 2, 2) end, "sparsity")
end

check.run(tests)
