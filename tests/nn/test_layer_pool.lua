-- Pooling of images and steps, and images of another size: PyTorch's values, Keras's rules of
-- padding, ties, NaN, masks, and what is refused.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

local IMAGE = { 2, 3, 7, 6 }
local NAN, INF = 0 / 0, math.huge

function tests.test_values_and_gradients()
  local odd = { stride = { 2, 1 }, padding = 1, ceil_mode = true }
  local counted = { stride = { 2, 1 }, padding = 1, ceil_mode = true, count_include_pad = true }
  reference.open "images".layers {
    max = { nn.MaxPool2D(), { IMAGE } },
    max_options = { nn.MaxPool2D({ 3, 2 }, { stride = { 2, 1 }, padding = 1, dilation = 2,
      ceil_mode = true }), { IMAGE } },
    max_ceil = { nn.MaxPool2D(3, 2, { padding = { 1, 1, 1, 1 }, ceil_mode = true }), { IMAGE } },
    average = { nn.AveragePooling2D(2), { IMAGE } },
    average_padding = { nn.AvgPool2d({ 3, 2 }, counted), { IMAGE } },
    average_image = { nn.AvgPool2d({ 3, 2 }, odd), { IMAGE } },
    lp_2 = { nn.LpPool2D(2, 2), { IMAGE } },
    lp_4 = { nn.LpPool2D(4, { 3, 2 }, { stride = { 2, 3 }, ceil_mode = true }), { IMAGE } },
    lp_1 = { nn.LpPool2D(1, 2), { IMAGE } },
    adaptive_average = { nn.AdaptiveAvgPool2D { 3, 4 }, { IMAGE } },
    adaptive_max = { nn.AdaptiveMaxPool2D { 3, 0 }, { IMAGE } },
    adaptive_more = { nn.AdaptiveAvgPool2D { 9, 4 }, { IMAGE } },
    global_average = { nn.GlobalAveragePooling2D(), { IMAGE } },
    global_max = { nn.GlobalMaxPooling2D(), { IMAGE } },
  }
end

-- The gradient of a ReLU before a pooling is made by one op with that of the pooling: the same
-- as that of a ReLU that is not known for one, and of a pooling that others share it with.
function tests.test_gradient_behind_relu()
  local x = tensor.variable(tensor.randn(2, 3, 9, 15))
  local function as_where(v) return tensor.where(v:gt(0), v, 0) end
  local function all_of(pool, relu, shared)
    local h = relu(x)
    local y = pool(h) * 3
    if shared then y = y + h:sum() end
    local g = grad((y * y):sum(), { x })[1]
    return { g, grad((g * x):sum(), { x })[1] }
  end
  local padded = nn.MaxPool2D(2, 1, { padding = 1 })
  for _, pool in ipairs { nn.MaxPool2D(2), nn.MaxPool2D(3, 2), padded } do
    for _, shared in ipairs { false, true } do
      local got = all_of(pool, function(v) return v:relu() end, shared)
      local want = all_of(pool, as_where, shared)
      for i = 1, 2 do check.equal(got[i]:totable(), want[i]:totable()) end
    end
  end
end

local SEQUENCE = { 2, 9, 4 }

function tests.test_steps()
  local counted = { stride = 2, padding = 1, ceil_mode = true, count_include_pad = true }
  reference.open "images".layers {
    max_steps = { nn.MaxPool1D(3, 2, { padding = 1, dilation = 2, ceil_mode = true }),
      { SEQUENCE } },
    average_steps = { nn.AveragePooling1D(3, counted), { SEQUENCE } },
    average_steps_alone = { nn.AvgPool1D(4, 2, { padding = 2, ceil_mode = true }), { SEQUENCE } },
    lp_steps = { nn.LpPool1D(2, 2, 3, { ceil_mode = true }), { SEQUENCE } },
    adaptive_average_steps = { nn.AdaptiveAvgPool1D(4), { SEQUENCE } },
    adaptive_max_steps = { nn.AdaptiveMaxPool1D(4), { SEQUENCE } },
    global_average_steps = { nn.GlobalAveragePooling1D(), { SEQUENCE } },
    global_max_steps = { nn.GlobalMaxPooling1D(), { SEQUENCE } },
  }
end

function tests.test_other_sizes()
  local function bilinear(o) o.mode = "bilinear" return { nn.UpSample(o), { IMAGE } } end
  reference.open "images".layers {
    nearest = { nn.UpSampling2D { 2, 3 }, { IMAGE } },
    nearest_size = { nn.Upsample { output_size = { 5, 8 } }, { IMAGE } },
    bilinear = { nn.UpSampling2D(2, { interpolation = "bilinear" }), { IMAGE } },
    bilinear_size = bilinear { output_size = { 5, 13 } },
    bilinear_aligned = bilinear { output_size = { 5, 13 }, align_corners = true },
  }
  local x = tensor { { { { 1, 1 / 0, 3 }, { 4, 5, 6 } } } }
  check.equal(nn.UpSample(2)(x):totable()[1][1][2], { 1, 1, 1 / 0, 1 / 0, 3, 3 })
  check.equal(nn.UpSample { output_size = { 2, 3 }, mode = "bilinear" }(x):totable(), x:totable())
  check.fails(function() nn.UpSample { align_corners = true } end, "nearest", "bilinear")
  check.fails(function() nn.UpSample(0.5) end, "scale_factor")
  check.fails(function() nn.UpSample(2)(tensor.ones(2, 3)) end, "[N, C, H, W]")
  check.fails(function() nn.UpSample(2)(tensor.ones(1, 1, 0, 3)) end, "a row")
end

-- Steps that a mask leaves out, be they NaN, change nothing: a batch of lengths is its single
-- sequences.
function tests.test_masks()
  local T, lengths, rows = 7, { 7, 3, 1, 0 }, {}
  local full, width = tensor.randn(#lengths, T, 2), 2
  local x = full:totable()
  for n, length in ipairs(lengths) do
    for t = length + 1, T do for f = 1, width do x[n][t][f] = -9 end end
    rows[n] = length
  end
  local pools = { nn.MaxPool1D(3, 2, { padding = 1 }), nn.AveragePooling1D(3, 2, { padding = 1 }),
    nn.LpPool1D(2, 3, 1), nn.AveragePooling1D(1) }
  local all = { nn.GlobalMaxPooling1D(), nn.GlobalAveragePooling1D() }
  for _, pool in ipairs(pools) do
    local y = nn.Sequential { nn.Masking(-9), pool, nn.Unmask() }(tensor(x))
    for n, length in ipairs(lengths) do
      if length >= 3 then
        local alone = pool(full:slice { { n, n }, { 1, length } })
        local same = y:slice { { n, n }, { 1, alone.shape[2] } }
        check.near(same, alone, 1e-6)
      end
    end
    check.equal(y:slice { { #lengths, #lengths } }:abs():sum():item(), 0)
  end
  for _, pool in ipairs(all) do
    local net = nn.Sequential { nn.Masking(-9), pool }
    local v = tensor.variable(tensor(x))
    local y = net(v)
    for n, length in ipairs(lengths) do
      local alone = length > 0 and pool(full:slice { { n, n }, { 1, length } }) or { { 0, 0 } }
      check.near(y:slice { { n, n } }, alone, 1e-6)
    end
    local g = grad(y:sum(), { v })[1]:totable()
    for n, length in ipairs(lengths) do
      for t = length + 1, T do check.equal(g[n][t], { 0, 0 }) end
    end
  end
  local counted = nn.AveragePooling1D(2, { count_include_pad = true })
  check.fails(function() nn.Sequential { nn.Masking(-9), counted }(tensor(x)) end,
    "count_include_pad", "nn.Unmask")
  check.fails(function() nn.Sequential { nn.Masking(-9), nn.Conv1D(2, 3) }(tensor(x)) end,
    "conv1d", "nn.Unmask")
end

-- The mask of the result: its step counts where one of its window does.
function tests.test_mask_of_the_result()
  local x = tensor { { { 1 }, { -9 }, { -9 }, { -9 }, { 3 } } }
  local net = nn.Sequential { nn.Masking(-9), nn.MaxPool1D(2, { ceil_mode = true }),
    nn.GlobalAveragePooling1D() }
  check.near(net(x), { { 2 } })
end

local function image(rows) return tensor { { rows } } end

-- Keras: an odd pixel of padding is at the end, and a mean leaves the padding out.
function tests.test_same()
  local x = image { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } }
  local same = { padding = "same" }
  check.equal(nn.AveragePooling2D(2, same)(x):totable()[1][1], { { 3, 4.5 }, { 7.5, 9 } })
  check.equal(nn.MaxPool2D(2, 1, same)(x):totable()[1][1],
    { { 5, 6, 6 }, { 8, 9, 9 }, { 8, 9, 9 } })
  check.equal(nn.MaxPool2D(2, 1, same)(-x):totable()[1][1],
    { { -1, -2, -3 }, { -4, -5, -6 }, { -7, -8, -9 } })
  check.equal(nn.MaxPool2D(1, 3, same)(x):totable()[1][1], { { 1 } })
  check.equal(nn.AveragePooling2D(3, 1, { padding = { 2, 0, 0, 1 } })(x):totable()[1][1],
    { { 2, 2.5 }, { 3.5, 4 }, { 5, 5.5 } })
end

local function gradient(layer, x)
  local v = tensor.variable(x)
  return grad(layer(v):sum(), { v })[1]:totable()[1][1]
end

-- The first of equal ones gets it all, row by row, whether windows overlap or not.
function tests.test_ties()
  local x = image { { 1, 1, 2 }, { 1, 1, 2 }, { 2, 2, 2 } }
  check.equal(gradient(nn.MaxPool2D(2), x), { { 1, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } })
  check.equal(gradient(nn.MaxPool2D(2, 1), x), { { 1, 0, 1 }, { 0, 0, 1 }, { 1, 0, 0 } })
  check.equal(gradient(nn.GlobalMaxPooling2D(), x), { { 0, 0, 1 }, { 0, 0, 0 }, { 0, 0, 0 } })
  check.equal(gradient(nn.AdaptiveMaxPool2D(2), x), { { 1, 0, 1 }, { 0, 0, 1 }, { 1, 0, 0 } })
end

-- NaN wins, and gets the gradient; −inf is a value like any other, and no padding.
function tests.test_numbers_that_are_not_finite()
  local x = image { { 1, NAN, 3, 4 }, { 2, INF, -INF, -INF }, { -INF, -INF, 1, 1 },
    { -INF, -INF, 1, NAN } }
  for _, layer in ipairs { nn.MaxPool2D(2), nn.MaxPool2D(2, { padding = { 0, 1, 0, 1 } }),
    nn.AdaptiveMaxPool2D(2) } do
    local y = layer(x):totable()[1][1]
    check.yes(y[1][1] ~= y[1][1] and y[2][2] ~= y[2][2])
    check.equal({ y[1][2], y[2][1] }, { 4, -INF })
    check.equal(gradient(layer, x),
      { { 0, 1, 0, 1 }, { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 0, 0, 0, 1 } })
  end
  local padded = nn.MaxPool2D(3, 1, { padding = 1 })(image { { -INF, -5 } })
  check.equal(padded:totable()[1][1], { { -5, -5 } })
end

-- The gradient of a norm is 0 where all is 0.
function tests.test_norm_of_zeros()
  check.equal(gradient(nn.LpPool2D(2, 2), tensor.zeros(1, 1, 2, 2)), { { 0, 0 }, { 0, 0 } })
  check.near(nn.LpPool2D(3, 1)(image { { -2, 3 } }):totable()[1][1], { { -2, 3 } })
end

function tests.test_what_is_refused()
  local x = tensor.ones(1, 1, 3, 3)
  check.fails(function() nn.MaxPool2D(4)(x) end, "max_pool_2d", "window of 4x4", "1x1x3x3")
  check.fails(function() nn.MaxPool2D(2, 1, { padding = 2 })(x) end, "padding alone")
  check.fails(function() nn.AveragePooling2D(2)(tensor.ones(2, 3)) end, "[N, C, H, W]", "2x3")
  check.fails(function() nn.MaxPool2D(0) end, "pool_size")
  check.fails(function() nn.MaxPool2D(2, 0) end, "stride")
  check.fails(function() nn.MaxPool2D(2, { padding = { 1, 2, 3 } }) end, "a list of 3", "four for")
  check.fails(function() nn.MaxPool2D(2, { padding = "full" }) end, '"same"')
  check.fails(function() nn.LpPool2D(0.5, 2) end, "norm_type")
  check.fails(function() nn.AdaptiveAvgPool2D() end, "output_size")
  check.fails(function() nn.GlobalMaxPooling2D()(tensor.ones(1, 1, 0, 3)) end, "images of 1 to")
  check.fails(function() nn.MaxPool2D(2)(tensor.ones(1, 1, 1, 4)) end, "larger than")
end

-- With ceil_mode a window that begins inside may be larger than all there is, by less than its
-- step.
function tests.test_windows_larger_than_the_image()
  local x = tensor { { { { 1, 2 }, { 3, 6 } } } }
  local ceil = { ceil_mode = true }
  check.equal(nn.MaxPool2D(3, ceil)(x):totable(), { { { { 6 } } } })
  check.equal(nn.AveragePooling2D(3, ceil)(x):totable(), { { { { 3 } } } })
  check.equal(nn.AvgPool2D({ 3, 1 }, ceil)(x):totable(), { { { { 2, 4 } } } })
  check.near(nn.LpPool2D(1, 4, ceil)(x):item(), 48)
  local v = tensor.variable(x)
  check.equal(grad(nn.MaxPool2D(3, ceil)(v), { v })[1]:totable(), { { { { 0, 0 }, { 0, 1 } } } })
  local steps = x:reshape(1, 2, 2)
  check.equal(nn.MaxPool1D(3, ceil)(steps):totable(), { { { 3, 6 } } })
  check.equal(nn.AvgPool1D(3, ceil)(steps, { mask = tensor { { 1, 0 } } }):totable(),
    { { { 1, 2 } } })
  check.fails(function() nn.MaxPool2D(3, 1, ceil)(x) end, "larger than")
  check.fails(function() nn.MaxPool1D(4, 2, ceil)(steps) end, "max_pool_1d",
    "window of 4 steps", "padded sequence", "[N, T, F] = 1x2x2")
  for _, kind in ipairs { "MaxPool1D", "AveragePooling1D" } do
    check.fails(function() nn[kind](3)(steps) end, "window of 3 steps", "[N, T, F] = 1x2x2")
  end
  check.fails(function() nn.LpPool1D(2, 3)(steps) end, "window of 3 steps", "[N, T, F] = 1x2x2")
end

-- A batch of none, and images without channels, are none behind it.
function tests.test_none()
  check.equal(nn.MaxPool2D(2)(tensor.ones(0, 3, 4, 4)).shape, { 0, 3, 2, 2 })
  check.equal(nn.GlobalAveragePooling2D()(tensor.ones(0, 3, 4, 4)).shape, { 0, 3 })
end

check.run(tests)
