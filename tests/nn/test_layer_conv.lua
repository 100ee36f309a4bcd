-- Convolutions against plain loops, with the options as in Keras and PyTorch.

local check = dofile "tests/check.lua"
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
  check.fails(function() nn.Conv2D(4, 3)(tensor.ones(2, 4)) end, "conv2d_1: expects [N, C, H, W]")
  local layer = nn.Conv2D(2, 1)
  layer(x)
  check.fails(function() layer(tensor.ones(1, 3, 3, 3)) end, "expects [N, 4, H, W]", "1x3x3x3")
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
