-- What follows from records alone: normalizations by their short names, gains of activations.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_normalizations_by_their_short_names()
  local made = { batch = nn.BatchNorm, layer = nn.LayerNorm, none = nn.Identity }
  local text = check.fails(function() nn.norm "bach" end, 'did you mean "batch"?')
  for name, constructor in pairs(made) do
    check.equal(tostring(nn.norm(name)), tostring(constructor()), name)
    check.yes(text:find('"' .. name .. '"', 1, true) ~= nil, name)
  end
  check.equal(nn.norm("batch", { momentum = 0.2 }).momentum, 0.2, "an option of the layer")
end

function tests.test_gains_of_activations()
  local wanted = (2 / 1.04) ^ 0.5
  check.near(init.gain("leaky_relu", 0.2), wanted, 1e-15)
  check.near(init.gain(nn.leaky_relu(0.2)), wanted, 1e-15)
  check.near(init.gain("leaky_relu", { negative_slope = 0.2 }), wanted, 1e-15)
  check.near(init.gain "tanh", 5 / 3, 1e-15)
  check.fails(function() init.gain "gelu" end, 'none known for "gelu", allowed: linear, relu')
  check.fails(function() init.gain "rellu" end, 'did you mean "relu"?')
  check.fails(function() init.gain() end, "init.gain: got: nothing, or nil")
  check.fails(function() init.gain("relu", 2) end, "allowed: a table of options")
end

-- An object is named by its family, wherever another thing is wanted.
function tests.test_objects_where_others_are_wanted()
  check.fails(function() nn.Dense(nn.Dense(3)) end, 'option "units": got layer, allowed')
  check.fails(function() nn.Dropout(tensor { 1 }) end, 'option "rate": got tensor')
  check.fails(function() optim.SGD { schedule = nn.Dense(2) } end, 'got a layer, allowed')
  check.fails(function() nn.Sequential { optim.SGD() } end, "got an optimizer, allowed: a list")
  check.fails(function() nn.Dense(3, nn.relu()) end, "argument 2 is an activation")
  check.fails(function() train.fit(optim.SGD(), data.xor {}, {}) end, "got an optimizer; allowed")
end

-- A layer whose bias is taken away gives what it gives with a bias of 0.
function tests.test_a_bias_that_is_taken_away()
  local steps, image = tensor.randn(2, 3, 4), tensor.randn(2, 3, 4, 4)
  for _, case in ipairs { { nn.Dense(3), steps }, { nn.Conv1D(2, 2), steps },
    { nn.Conv2D(2, 2), image }, { nn.DepthwiseConv2D(2), image },
    { nn.SeparableConv2D(2, 2), image }, { nn.ConvTranspose2D(2, 2), image },
    { nn.SimpleRNN(3), steps }, { nn.LSTM(3), steps }, { nn.GRU(3), steps },
    { nn.MultiHeadAttention(2), steps }, { nn.FeedForward(3), steps } } do
    local layer, x = table.unpack(case)
    layer(x)
    local biases = {}
    for _, v in ipairs(layer:parameters()) do
      if v.name:match "%.bias" then biases[#biases + 1] = v end
    end
    for _, v in ipairs(biases) do v:assign(tensor.ones(table.unpack(v.shape))) end
    layer.bias = false
    local y = layer(x):totable()
    layer.bias = true
    for _, v in ipairs(biases) do v:assign(tensor.zeros(table.unpack(v.shape))) end
    check.equal(y, layer(x):totable(), tostring(layer))
  end
end

-- What variables have their sizes by cannot be set when they are there, nor what layers inside
-- were made by: it would be shown, and nothing would follow.
function tests.test_fields_that_built_the_layer()
  local rows, steps, image = tensor.randn(2, 6), tensor.randn(2, 4, 6), tensor.randn(2, 6, 4, 4)
  local ids = tensor({ { 1, 2 } }, { dtype = "int32" })
  for _, case in ipairs { { nn.Dense(3), rows, "units" }, { nn.Conv1D(2, 2), steps, "filters" },
    { nn.Conv1D(2, 2), steps, "kernel_size" }, { nn.Conv2D(2, 2), image, "filters" },
    { nn.Conv2D(2, 2), image, "kernel_size" }, { nn.Conv2D(2, 2), image, "groups" },
    { nn.DepthwiseConv2D(2), image, "depth_multiplier" },
    { nn.ConvTranspose2D(2, 2), image, "filters" }, { nn.LSTM(3), steps, "units" },
    { nn.SeparableConv2D(2, 2), image, "filters" }, { nn.GRU(3), steps, "units" },
    { nn.MultiHeadAttention(2), steps, "key_dim" }, { nn.FeedForward(3), steps, "units" },
    { nn.Embedding(9, 2), ids, "n" }, { nn.Embedding(9, 2), ids, "d" },
    { nn.PositionEmbedding(9), steps, "n" } } do
    local layer, x, field = table.unpack(case)
    local given = layer[field]
    layer[field] = 1
    layer[field] = given
    local want = layer(x):totable()
    check.fails(function() layer[field] = 1 end, '"' .. field .. '"', layer.name or "_1",
      "before the first use")
    check.equal(layer(x):totable(), want)
  end
  local net = nn.TransformerEncoder(2, 3)
  local made = { dropout = 0.5, causal = true, num_heads = 1, units = 4, bias = false }
  for field, value in pairs(made) do
    check.fails(function() net[field] = value end, "nn.TransformerEncoder", '"' .. field .. '"',
      "layers inside")
  end
  net.parts[2].causal, net.norm_first, net.name = true, false, "encoder"
  check.near(net(steps):slice({}, { 1, 2 }), net(steps:slice({}, { 1, 2 })))
end

-- Tensors and data sets are options like any other.
function tests.test_tensors_as_options()
  local x, labels = tensor { { 1, 2 }, { 3, 4 } }, tensor({ 1, 2 }):cast "int32"
  check.equal(#data.set(x, nil, { classes = 2 }), 2)
  check.equal(#data.set(x, labels, { classes = 3 }), 2)
  check.equal(#data.set { x = x, y = labels }, 2)
  check.fails(function() data.set() end, '"x" is missing: a tensor')
  check.fails(function() data.set(3) end, 'option "x": got a number, allowed: a tensor')
  check.fails(function() data.set(x, { 1, 2 }) end, 'option "y": got a table')
  check.fails(function() data.set(x, labels, 3) end, "argument 3 is a number")
end

function tests.test_data_sets_as_options()
  local set = data.set(tensor { { 1, 2 }, { 3, 4 } }, tensor({ 1, 2 }):cast "int32")
  local function fit(options)
    options.loss, options.verbose = "cross_entropy", false
    return train.fit(nn.Sequential { nn.Dense(2) }, set, options)
  end
  local history = fit { validation = set, test_data = set }
  check.near(history.test_loss, history.val_loss[1])
  local refused = {
    ['option "test": got a tensor, allowed: a data set'] = { test = tensor { 1 } },
    ['option "validation_data": got a number'] = { validation_data = 3 },
    ['option "test" is given twice'] = { test = set, test_data = set },
    ["has several parts; take one of them"] = { test = data.fashion_mnist() },
    ['option "validation": got 2, allowed: a number above 0'] = { validation = 2 },
  }
  for text, options in pairs(refused) do check.fails(function() fit(options) end, text) end
end

check.run(tests)
