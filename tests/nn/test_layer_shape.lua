-- Layers that change shapes, join tensors, or go around a block.

local check = dofile "tests/check.lua"
local tests = {}

local x = tensor.arange(1, 24):reshape(2, 3, 4)

function tests.test_reshape_permute_repeat()
  check.equal(nn.Reshape { 2, -1 }(x):totable(), x:reshape(2, 2, 6):totable())
  check.equal(nn.Reshape(12)(x).shape, { 2, 12 })
  check.equal(nn.Permute { 3, 2 }(x):totable(), x:transpose(1, 3, 2):totable())
  check.equal(nn.RepeatVector(2)(tensor { { 1, 2 } }):totable(), { { { 1, 2 }, { 1, 2 } } })
  check.fails(function() nn.Reshape { -1, -1 } end, "2 of them -1")
  check.fails(function() nn.Reshape { 0, 3 } end, "got 0")
  check.fails(function() nn.Reshape { 5, -1 }(x) end, "a multiple of 5 numbers", "2x3x4")
  check.fails(function() nn.Reshape { 5 }(x) end, "examples of 5 numbers")
  check.fails(function() nn.Permute { 2, 1 } end, "got 1 as number 2", "2 to 3")
  check.fails(function() nn.Permute { 2, 2 } end, "got 2 as number 2")
  check.fails(function() nn.Permute { 2 }(x) end, "2x3x4")
  check.fails(function() nn.RepeatVector(3)(x) end, "[N, F]")
  check.fails(function() nn.RepeatVector(0) end, "from 1")
end

function tests.test_joining()
  local a, b = tensor { { 1, 2 }, { 3, 4 } }, tensor { { 5, 6 }, { 7, 8 } }
  check.equal(nn.Add()(a, b):totable(), { { 6, 8 }, { 10, 12 } })
  check.equal(nn.Multiply()(a, b, a):totable(), { { 5, 24 }, { 63, 128 } })
  check.equal(nn.Concat()(a, b):totable(), { { 1, 2, 5, 6 }, { 3, 4, 7, 8 } })
  check.equal(nn.Concat { axis = 1 }(a, b).shape, { 4, 2 })
  check.equal(nn.Multiply()(a, tensor { { 2 }, { 3 } }):totable(), { { 2, 4 }, { 9, 12 } })
  local gate = nn.Multiply { nn.Dense(2), nn.Dense(2, { activation = "sigmoid" }) }
  check.near(gate(a), gate[1](a) * gate[2](a), 1e-6)
  check.fails(function() nn.Add()(a) end, "takes 2 to 8 tensors, got 1")
  check.fails(function() nn.Add()(a, tensor.ones(2)) end, "tensors of 2x2")
  check.fails(function() nn.Add()(a, tensor.ones(3, 2)) end, "tensors of 2x2", "3x2")
end

function tests.test_bilinear()
  local layer, a, b = nn.Bilinear(2), tensor { { 1, 2 } }, tensor { { 3, 4, 5 } }
  layer(a, b)
  layer.weight:assign(tensor.arange(1, 12):reshape(2, 3, 2))
  check.near(layer(a, b), { { 3 + 12 + 25 + 42 + 72 + 110, 6 + 16 + 30 + 48 + 80 + 120 } })
  check.fails(function() layer(a) end, "takes two tensors")
  check.fails(function() layer(b, a) end, "1x3 1x2")
  check.fails(function() layer(a, tensor.ones(2, 3)) end, "1x2 2x3")
end

local function dense(units, options) return nn.Dense(units, options) end

function tests.test_residual_in_its_forms()
  local v = tensor.randn(5, 3)
  local block = dense(3)
  local still = nn.Residual(block, { scale = 0 })
  check.near(still(v), v)
  still.factor:assign(tensor { 0.5 })
  check.near(still(v), v + block(v) * 0.5, 1e-6)
  local after = nn.Residual(block, { activation = "relu" })
  check.near(after(v), (v + block(v)):maximum(0), 1e-6)
  local before = nn.Residual(block, { pre_activation = nn.Sequential { nn.LayerNorm(), "tanh" } })
  check.near(before(v), v + block(nn.LayerNorm()(v):tanh()), 1e-5)
  local wide = nn.Residual(dense(7), { projection = true })
  check.near(wide(v), wide[1](v) + v:matmul(wide.weight), 1e-5)
  local net = nn.Sequential { wide, nn.Residual(dense(7)) }
  check.equal(net(v).shape, { 5, 7 })
  check.equal(net:state()["residual_1.weight"].shape, { 3, 7 })
  local images = tensor.randn(2, 3, 7, 5)
  local conv = nn.Residual(nn.Conv2D(4, 3, { stride = 2, padding = "same" }), { projection = true })
  check.equal(conv(images).shape, { 2, 4, 4, 3 })
  check.equal(conv.weight.shape, { 4, 3, 1, 1 })
  local corner = conv(images) - conv[1](images)
  local want = conv.weight:reshape(4, 3):matmul(images:slice({ 1, 1 }, nil, { 3, 3 }, { 5, 5 })
    :reshape(3, 1))
  check.near(corner:slice({ 1, 1 }, nil, { 2, 2 }, { 3, 3 }):reshape(4), want:reshape(4), 1e-5)
  check.fails(function()
    nn.Residual(dense(3), { projection = true, shortcut = dense(3) })
  end, "one of them")
  check.fails(function() nn.Residual(dense(4))(v) end, "must be the same")
  check.fails(function() nn.Residual(dense(4), { scale = "a" }) end, "scale")
end

-- Fixup: 30 blocks without normalization begin as the identity, and gradients reach the first.
function tests.test_zero_initialized_blocks_train()
  local net = nn.Sequential {}
  for _ = 1, 30 do
    net:add(nn.Residual(nn.Sequential {
      dense(8, { activation = "relu", init = init.he_normal { gain = 30 ^ -0.5 } }),
      dense(8, { init = "zeros" }) }, { scale = 1 }))
  end
  local v = tensor.randn(16, 8)
  check.near(net(v), v)
  local target = v * 2
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.Adam { lr = 0.01 })
  local first = step(v, target)
  local last
  for _ = 1, 30 do last = step(v, target) end
  check.yes(last < first / 3, ("%g -> %g"):format(first, last))
end

check.run(tests)
