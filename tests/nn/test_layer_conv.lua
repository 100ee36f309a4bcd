-- Convolutions against plain loops, with the options as in Keras and PyTorch.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

-- y [N, F, P, Q] of nested lists x and w; pad = { top, left }, size = { P, Q }.
local function convolve(x, w, o)
  local y, F, c = {}, #w, #w[1]
  for n = 1, #x do
    y[n] = {}
    for f = 1, F do
      local group = (f - 1) // (F // o.groups)
      y[n][f] = {}
      for p = 1, o.size[1] do
        y[n][f][p] = {}
        for q = 1, o.size[2] do
          local sum = 0
          for k = 1, c do
            for r = 1, #w[1][1] do
              for s = 1, #w[1][1][1] do
                local row = x[n][group * c + k][(p - 1) * o.stride[1] + (r - 1) * o.dilation[1]
                  - o.pad[1] + 1]
                local v = row and row[(q - 1) * o.stride[2] + (s - 1) * o.dilation[2]
                  - o.pad[2] + 1]
                sum = sum + (v or 0) * w[f][k][r][s]
              end
            end
          end
          y[n][f][p][q] = sum
        end
      end
    end
  end
  return y
end

local function compare(shape, filters, kernel, options, want)
  local layer, x = nn.Conv2D(filters, kernel, options), tensor.randn(table.unpack(shape))
  local y = layer(x)
  for name, value in pairs { groups = 1, stride = { 1, 1 }, dilation = { 1, 1 } } do
    want[name] = want[name] or value
  end
  check.equal(y.shape, { shape[1], filters, want.size[1], want.size[2] })
  check.near(y, convolve(x:totable(), layer.weight:totable(), want), 1e-4)
end

local CHANNELS, SEQUENCE = { 2, 4, 7, 6 }, { 2, 9, 4 }

local function variables(filters, ...)
  return { { "weight", { ... } }, { "bias", { filters } } }
end

function tests.test_values_and_gradients()
  reference.open "images".layers {
    conv2d = { nn.Conv2D(6, { 3, 2 }), { CHANNELS }, variables(6, 6, 4, 3, 2) },
    conv2d_options = { nn.Conv2d(6, { 3, 2 }, { padding = { 2, 3, 1, 0 }, stride = { 2, 1 },
      dilation = { 1, 2 }, groups = 2 }), { CHANNELS }, variables(6, 6, 2, 3, 2) },
    depthwise = { nn.DepthwiseConv2D(3, { padding = 1, stride = 2, depth_multiplier = 2 }),
      { CHANNELS }, variables(8, 8, 1, 3, 3) },
    separable = { nn.SeparableConv2D(5, 3, { padding = "same", depth_multiplier = 2 }),
      { CHANNELS }, { { "depthwise_weight", { 8, 1, 3, 3 } },
        { "pointwise_weight", { 5, 8, 1, 1 } }, { "bias", { 5 } } } },
    transpose = { nn.ConvTranspose2D(3, { 2, 3 }), { CHANNELS }, variables(3, 4, 3, 2, 3) },
    transpose_options = { nn.ConvTranspose2d(6, { 3, 4 }, { stride = { 2, 3 },
      padding = { 1, 2 }, output_padding = { 1, 2 }, dilation = { 2, 1 }, groups = 2 }),
      { CHANNELS }, variables(6, 4, 3, 3, 4) },
    transpose_same = { nn.Conv2DTranspose(3, 4, { strides = 3, padding = "same" }),
      { CHANNELS }, variables(3, 4, 3, 4, 4) },
    conv1d = { nn.Conv1D(5, 3), { SEQUENCE }, variables(5, 5, 4, 3) },
    conv1d_options = { nn.Conv1D(6, 3, { stride = 2, padding = 3, dilation = 2, groups = 2 }),
      { SEQUENCE }, variables(6, 6, 2, 3) },
    conv1d_causal = { nn.Conv1D(5, 3, { padding = "causal", dilation_rate = 3 }), { SEQUENCE },
      variables(5, 5, 4, 3) },
  }
end

-- A step of a causal convolution does not depend on later ones, whatever they hold.
function tests.test_causal()
  local layer = nn.Conv1D(3, 4, { padding = "causal", dilation = 2 })
  local x = tensor.randn(2, 9, 2)
  local y = layer(x)
  check.equal(y.shape, { 2, 9, 3 })
  local cut = tensor.concat({ x:slice { nil, { 1, 5 } }, x:slice { nil, { 6, 9 } } * (0 / 0) }, 2)
  check.equal(layer(cut):slice { nil, { 1, 5 } }:totable(), y:slice { nil, { 1, 5 } }:totable())
end

-- What a convolution makes of an image of a size, the transpose makes into that size again;
-- <conv(x), y> = <x, transpose(y)> for the same weight.
function tests.test_transpose_is_the_transpose()
  for size = 6, 8 do
    local conv = nn.Conv2D(3, 3, { stride = 2, padding = 1, bias = false })
    local back = nn.ConvTranspose2D(2, 3, { stride = 2, padding = 1, bias = false,
      output_padding = 1 - size % 2 })
    local x = tensor.randn(2, 2, size, size)
    local y = conv(x)
    local z = tensor.randn(table.unpack(y.shape))
    check.equal(back(z).shape, { 2, 2, size, size })
    back.weight:assign(conv.weight)
    check.near((y * z):sum(), (x * back(z)):sum(), 1e-4)
  end
end

-- Fans of the layer as the initializer gets them, seen in the deviation it gives.
function tests.test_fans()
  local x = tensor.randn(2, 6, 8, 8)
  local function fan(layer, input, weight)
    layer(input)
    return 2 / layer[weight or "weight"]:square():mean():item()
  end
  local he = { init = "he_normal", groups = 2 }
  local function near(got, want) check.near(got / want, 1, 0.25) end
  near(fan(nn.Conv2D(40, 3, he), x), 27)
  near(fan(nn.ConvTranspose2D(40, 3, he), x), 27)
  near(fan(nn.Conv1D(60, 5, he), tensor.randn(2, 9, 6)), 15)
  near(fan(nn.DepthwiseConv2D(5, { init = "he_normal", depth_multiplier = 6 }), x), 25)
  local both = nn.SeparableConv2D(40, 5, { depthwise_init = "he_normal",
    pointwise_init = "he_normal", depth_multiplier = 5 })
  near(fan(both, x, "depthwise_weight"), 25)
  near(fan(both, x, "pointwise_weight"), 30)
end

-- Penalties and bounds reach each weight.
function tests.test_penalties_and_bounds()
  local layer = nn.SeparableConv2D(4, 3, { depthwise_regularizer = nn.l2(0.5),
    pointwise_regularizer = nn.l1(2), depthwise_constraint = nn.max_norm(0.1) })
  local x = tensor.randn(2, 3, 5, 5)
  layer(x)
  local before = layer.depthwise_weight:square():sum():item() * 0.5
    + layer.pointwise_weight:abs():sum():item() * 2
  local step = train.step(function() return layer(x):sum() * 0 end, layer,
    optim.SGD { lr = 0.01 })
  check.near(step(), before, 1e-4)
  local norms = layer.depthwise_weight:square():sum({ 2, 3, 4 }):sqrt()
  check.yes(norms:max():item() <= 0.1 + 1e-6)
end

function tests.test_values()
  compare({ 2, 3, 5, 6 }, 4, 3, {}, { size = { 3, 4 }, pad = { 0, 0 } })
  compare({ 1, 1, 1, 1 }, 1, 1, {}, { size = { 1, 1 }, pad = { 0, 0 } })
  compare({ 2, 4, 7, 6 }, 6, { 3, 2 }, { groups = 2, stride = { 2, 1 }, dilation = { 1, 2 } },
    { size = { 3, 4 }, pad = { 0, 0 }, groups = 2, stride = { 2, 1 }, dilation = { 1, 2 } })
  compare({ 1, 2, 4, 5 }, 2, 3, { padding = 2 }, { size = { 6, 7 }, pad = { 2, 2 } })
  compare({ 1, 2, 4, 5 }, 2, 3, { padding = { 0, 1 } }, { size = { 2, 5 }, pad = { 0, 1 } })
  compare({ 1, 2, 4, 5 }, 2, 3, { padding = { 1, 0, 3, 0 } }, { size = { 3, 6 }, pad = { 1, 3 } })
  compare({ 3, 3, 5, 5 }, 3, 3, { groups = 3, padding = "valid" },
    { size = { 3, 3 }, pad = { 0, 0 }, groups = 3 })
end

-- Keras: an odd zero is at the end; with a stride there are ceil(n / stride) positions.
function tests.test_same()
  compare({ 1, 1, 5, 5 }, 2, 3, { padding = "same" }, { size = { 5, 5 }, pad = { 1, 1 } })
  compare({ 1, 1, 5, 6 }, 2, 2, { padding = "same" }, { size = { 5, 6 }, pad = { 0, 0 } })
  compare({ 1, 1, 6, 5 }, 2, 3, { padding = "same", stride = 2 },
    { size = { 3, 3 }, pad = { 0, 1 }, stride = { 2, 2 } })
  compare({ 1, 1, 4, 7 }, 1, 1, { padding = "same", stride = 3 },
    { size = { 2, 3 }, pad = { 0, 0 }, stride = { 3, 3 } })
  compare({ 1, 2, 6, 6 }, 2, 3, { padding = "same", dilation = 2 },
    { size = { 6, 6 }, pad = { 2, 2 }, dilation = { 2, 2 } })
end

-- More positions than one tile of the unfolded image holds.
function tests.test_tiles()
  compare({ 1, 3, 40, 41 }, 2, 5, {}, { size = { 36, 37 }, pad = { 0, 0 } })
end

function tests.test_options_and_shapes_that_are_refused()
  local x = tensor.ones(1, 4, 3, 3)
  check.fails(function() nn.Conv2D(4, 5)(x) end, "conv2d", "kernel of 5x5", "larger")
  check.fails(function() nn.Conv2D(4, 3, { groups = 3 }) end, "4 filters in 3 groups")
  check.fails(function() nn.Conv2D(3, 3, { groups = 3 })(x) end, "multiple of 3 groups")
  check.fails(function() nn.Conv2D(4, 0) end, "kernel_size")
  check.fails(function() nn.Conv2D(4, { 1, 2, 3 }) end, "kernel_size")
  check.fails(function() nn.Conv2D(4) end, "kernel_size")
  check.fails(function() nn.Conv2D(4, 3, { padding = "some" }) end, "padding", '"same"')
  check.fails(function() nn.Conv2D(4, 3, { padding = -1 }) end, "padding")
  check.fails(function() nn.Conv2D(4, 3, { stride = 0 }) end, "stride")
  check.fails(function() nn.Conv2D(4, 3)(tensor.ones(2, 4)) end, "expects [N, C, H, W], got 2x4")
  local layer = nn.Conv2D(2, 1)
  layer(x)
  check.fails(function() layer(tensor.ones(1, 3, 3, 3)) end, "expects [N, 4, H, W]", "1x3x3x3")
  check.fails(function() nn.Conv1D(2, 3, { dilation = 2 })(tensor.ones(2, 4, 5)) end, "conv1d",
    "kernel of 3 steps", "padded sequence", "[N, T, F] = 2x4x5")
end

function tests.test_layers_of_their_kin_refuse()
  local x = tensor.ones(1, 4, 3, 3)
  check.fails(function() nn.DepthwiseConv2D(3)(tensor.ones(2, 4)) end, "[N, C, H, W]", "2x4")
  check.fails(function() nn.SeparableConv2D(2, 5)(x) end, "separable_conv2d", "larger")
  check.fails(function() nn.ConvTranspose2D(2, 3, { output_padding = 1 }) end,
    "less than the stride")
  check.fails(function() nn.ConvTranspose2D(2, 3, { stride = 2, output_padding = 1,
    padding = "same" }) end, "beside padding")
  check.fails(function() nn.ConvTranspose2D(2, 1, { padding = 2 })(x) end, "padding leaves")
  check.fails(function() nn.ConvTranspose2D(3, 1, { groups = 2 }) end, "nn.ConvTranspose2D",
    "3 filters in 2 groups")
  check.fails(function() nn.Conv1D(2, 3)(x) end, "[N, T, F], got 1x4x3x3")
  check.fails(function() nn.Conv1D(2, 3)(tensor.ones(1, 2, 5)) end, "conv1d", "larger")
  check.fails(function() nn.Conv1D(2, 3, { padding = "casual" }) end, 'did you mean "causal"')
  check.fails(function() nn.Conv2D(2, 3, { padding = "causal" }) end, '"same"')
  local depthwise = nn.DepthwiseConv2D(2)
  depthwise(x)
  check.fails(function() depthwise(tensor.ones(1, 3, 3, 3)) end, "[N, 4, H, W]")
end

-- Gradients of a net of convolutions reach the first weight, and a training learns.
function tests.test_training()
  local net = nn.Sequential { nn.Conv2D(4, 3, { activation = "relu", padding = "same" }),
    nn.norm("group", { groups = 2 }), nn.Conv2D(4, 3, { strides = 2 }), nn.Flatten(), nn.Dense(2) }
  local x = tensor.randn(16, 1, 6, 6)
  local y = (x:sum({ 2, 3, 4 }):gt(0) + 1):cast "int32"
  local history = train.fit(net, data.set(x, y), { loss = "cross_entropy", epochs = 60,
    batch_size = 5, optimizer = optim.Adam { lr = 0.01 }, verbose = false, record = false })
  check.yes(history.loss[60] < 0.1 * history.loss[1])
  check.equal(net[1].weight.shape, { 4, 1, 3, 3 })
end

check.run(tests)
