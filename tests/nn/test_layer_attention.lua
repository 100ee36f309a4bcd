-- Attention: against its equation, masks, padding, positions.

local check = dofile "tests/check.lua"
local tests = {}

local nan = 0 / 0
local exact = check.eps < 1e-10
local near = exact and 1e-12 or 1e-5

-- softmax(q k^T / sqrt(D)) v of one head; allowed [N, Q, S].
local function plain(q, k, v, allowed)
  local z = q:matmul(k:transpose { 1, 3, 2 }) / math.sqrt(q.shape[3])
  return tensor.where(allowed:gt(0), z, -math.huge):softmax(3):matmul(v)
end

local function by_equation(layer, x, z, allowed)
  local function part(u, name)
    return u:matmul(layer["weight_" .. name]) + layer["bias_" .. name]
  end
  local q, k, v = part(x, "q"), part(z, "k"), part(z, "v")
  local heads = {}
  local D = q.shape[3] / layer.num_heads
  for h = 1, layer.num_heads do
    local columns = { (h - 1) * D + 1, h * D }
    local function of(u) return u:slice({}, {}, columns) end
    heads[h] = plain(of(q), of(k), of(v), allowed)
  end
  return part(tensor.concat(heads, 3), "o")
end

local function gradients(y, variables)
  return grad((y * tensor.arange(1, #y:reshape(-1)):reshape(y.shape)):sum(), variables)
end

function tests.test_the_equation_with_masks()
  local x, z = tensor.randn(2, 4, 6), tensor.randn(2, 5, 3)
  local mask = tensor { { 1, 1, 0, 0, 1 }, { 0, 1, 1, 1, 1 } }
  local layer = nn.MultiHeadAttention(3, { init = "normal", bias_init = "normal" })
  layer(x, z)
  local counted = nn.Sequential { { layer = layer, forward = function(self, u, v)
    return self.layer(u, v) end } }
  check.near(counted(x, z), by_equation(layer, x, z, tensor.ones(2, 4, 5)), near)
  local own = nn.MultiHeadAttention(2, { causal = true, bias_init = "normal" })
  own(x)
  local lower = tensor.arange(1, 4):reshape(4, 1):ge(tensor.arange(1, 4)):reshape(1, 4, 4)
  local causal = lower * tensor.ones(2, 1, 1)
  check.near(own(x), by_equation(own, x, x, causal), near)
  local steps = tensor { { 1, 1, 1, 0 }, { 1, 0, 1, 1 } }
  check.near(own(x, { mask = steps }) * steps:reshape(2, 4, 1),
    by_equation(own, x, x, causal * steps:reshape(2, 1, 4)) * steps:reshape(2, 4, 1), near)
  local got = gradients(own(x, { mask = steps }) * steps:reshape(2, 4, 1), own:parameters())
  local want = gradients(by_equation(own, x, x, causal * steps:reshape(2, 1, 4)) *
    steps:reshape(2, 4, 1), own:parameters())
  for i, g in ipairs(want) do check.near(got[i], g, 30 * near) end
  -- of the keys: the mask of a second input
  local y = x:attention(z:matmul(tensor.ones(3, 6)), z, mask, { heads = 3 })
  check.equal(y.shape, { 2, 4, 3 })
end

-- pytorch#41508, keras#14491: what is masked may be NaN, and a query that sees no key gives
-- zeros; so do the gradients.
function tests.test_nothing_to_look_at()
  local q, v = tensor.variable(tensor.randn(2, 3, 4)), tensor.variable(tensor.randn(2, 2, 4))
  local mask = tensor { { 0, 0 }, { 1, 0 } }
  local y, p = q:attention(v, v, mask, { heads = 2 })
  check.equal(y[1]:totable(), tensor.zeros(3, 4):totable())
  check.equal(p[1]:totable(), tensor.zeros(2, 3, 2):totable())
  check.equal(p[2]:slice({}, {}, 2):totable(), tensor.zeros(2, 3, 1):totable())
  local a, b = table.unpack(grad(y:sum(), { q, v }))
  check.equal(a:totable(), tensor.zeros(2, 3, 4):totable())
  check.equal({ b[1]:totable(), b[2][2]:totable() }, { tensor.zeros(2, 4):totable(),
    { 0, 0, 0, 0 } })
  check.near(b[2][1], tensor.full(3, 4))
  local hole = tensor.where(tensor { { 0, 0 }, { 1, 0 } }:reshape(2, 2, 1):gt(0), v, nan):eval()
  check.equal((q:attention(hole, hole, mask, { heads = 2 })):totable(), y:totable())
  local by_pairs = mask:reshape(2, 1, 2):mul(tensor.ones(2, 3, 1))
  check.equal((q:attention(hole, hole, by_pairs, { heads = 2 })):totable(), y:totable())
  -- a mask for each query and key, and a causal one besides
  local each = tensor { { { 1, 0 }, { 0, 0 }, { 0, 1 } }, { { 0, 1 }, { 1, 1 }, { 1, 1 } } }
  local _, w = q:attention(v, v, each, { causal = true })
  check.equal(w:gt(0):totable(), { { { { 1, 0 }, { 0, 0 }, { 0, 1 } } },
    { { { 0, 0 }, { 1, 1 }, { 1, 1 } } } })
end

-- Which key each query may see, given with the call: by the equation, with masks of steps and
-- causal ones beside it; of all heads and, as [Q, S], of all examples.
function tests.test_a_mask_of_pairs()
  local x, z = tensor.randn(2, 4, 6), tensor.randn(2, 5, 3)
  local pairs_ = tensor { { { 1, 0, 0, 1, 1 }, { 0, 1, 0, 0, 0 }, { 1, 1, 1, 1, 1 },
    { 0, 0, 0, 0, 1 } },
    { { 0, 0, 1, 0, 0 }, { 1, 1, 0, 0, 1 }, { 0, 1, 0, 1, 0 }, { 1, 0, 0, 0, 0 } } }
  local layer = nn.MultiHeadAttention(3, { init = "normal", bias_init = "normal" })
  check.near(layer(x, z, { attention_mask = pairs_ }), by_equation(layer, x, z, pairs_), near)
  local one = pairs_:slice({ 2, 2 })
  local of_all = { attention_mask = one:reshape(4, 5) }
  check.near(layer(x, z, of_all), by_equation(layer, x, z, one * tensor.ones(2, 1, 1)), near)
  check.near(layer(x, z, { attention_mask = one }), layer(x, z, of_all), 0)
  local own = nn.MultiHeadAttention(2, { causal = true, bias_init = "normal" })
  local square, steps = pairs_:slice({}, {}, { 1, 4 }), tensor { { 1, 1, 1, 0 }, { 1, 0, 1, 1 } }
  local lower = tensor.arange(1, 4):reshape(4, 1):ge(tensor.arange(1, 4)):reshape(1, 4, 4)
  local may = tensor.maximum(square, tensor { 1, 0, 0, 0 }):eval() -- and each sees key 1
  local function seen(how)
    return own(x, { mask = steps, attention_mask = may, training = how }) * steps:reshape(2, 4, 1)
  end
  seen()
  local function wanted()
    return by_equation(own, x, x, may * lower * steps:reshape(2, 1, 4)) * steps:reshape(2, 4, 1)
  end
  check.near(seen(), wanted(), near)
  local got, want = gradients(seen(true), own:parameters()), gradients(wanted(), own:parameters())
  for i, g in ipairs(want) do check.near(got[i], g, 30 * near) end
end

-- pytorch#63271: keys that no query sees may hold NaN; a query that sees none gives the bias, and
-- no gradient.
function tests.test_a_mask_of_pairs_that_hides_a_key()
  local layer = nn.MultiHeadAttention(2, { init = "normal", bias_init = "normal" })
  local x, z = tensor.variable(tensor.randn(2, 3, 4)), tensor.randn(2, 3, 4):eval()
  local may = tensor { { 1, 0, 1 }, { 0, 0, 0 }, { 1, 0, 0 } }
  local y = layer(x, z, { attention_mask = may })
  check.equal(y:slice({}, { 2, 2 }):reshape(2, 4):totable(),
    (layer.bias_o * tensor.ones(2, 1)):totable())
  local list = layer:parameters()
  list[#list + 1] = x
  local want = gradients(y, list)
  check.equal(want[#want]:slice({}, { 2, 2 }):totable(), tensor.zeros(2, 1, 4):totable())
  for _, fill in ipairs { nan, 1 / 0 } do
    local hole = tensor.where(tensor { 1, 0, 1 }:reshape(1, 3, 1):gt(0), z, fill):eval()
    local again = layer(x, hole, { attention_mask = may })
    check.equal(again:totable(), y:totable())
    for i, g in ipairs(gradients(again, list)) do check.near(g, want[i], near) end
  end
  -- pytorch#152028, #103963: nor do weights that are dropped, and returned, become NaN
  local drops = nn.MultiHeadAttention(2, { dropout = 0.5, return_scores = true })
  local u, p = drops(x, z, { attention_mask = may, training = true })
  check.equal(p:slice({}, {}, { 2, 2 }):totable(), tensor.zeros(2, 2, 1, 3):totable())
  check.yes(u:square():sum():item() >= 0)
  -- the padding of each input as a mask of its own: the memory's is the second
  local padded = { mask = { tensor.ones(2, 3), tensor { { 1, 0, 1 }, { 1, 0, 1 } } } }
  check.near(layer(x, z, padded), layer(x, z, { attention_mask = tensor { { 1, 0, 1 } } }), near)
end

-- The mask reaches all attention inside; a decoder's to its memory has one of its own; what
-- nothing takes is refused.
function tests.test_masks_of_pairs_inside_nets()
  local x, z = tensor.randn(2, 3, 4), tensor.randn(2, 5, 4)
  local lower = tensor.arange(1, 3):reshape(3, 1):ge(tensor.arange(1, 3)):eval()
  local options = { layers = 2, dropout = 0.1 }
  local free, causal = nn.TransformerEncoder(2, 5, options), nn.TransformerEncoder(2, 5, options)
  causal:build(3, 4)
  causal:load(free:build(3, 4):state())
  for i = 2, #causal, 6 do causal[i].causal = true end -- attention of each block
  check.near(nn.Sequential { free }(x, { attention_mask = lower }), causal(x), near)
  local decoder = nn.TransformerDecoder(2, 5, { causal = false })
  local short = decoder(x, z:slice({}, { 2, 4 }))
  check.near(decoder(x, z, { memory_mask = tensor { { 0, 1, 1, 1, 0 } } }), short, near)
  check.yes((decoder(x, z, { attention_mask = lower }) - decoder(x, z)):abs():max():item() > 1e-3)
  local within = nn.Sequential { { a = free, forward = function(self, u)
    return self.a(u, { attention_mask = false }) end } }
  check.fails(function() within(x, { attention_mask = lower }) end, '"attention_mask"', "no layer")
  check.fails(function() free(x, { memory_mask = lower }) end, '"memory_mask"',
    "TransformerDecoder")
  check.fails(function() nn.Dense(2)(x, { attention_mask = lower }) end, "no layer of dense_1")
  check.fails(function() free(x, { attention_mask = tensor.ones(2, 3) }) end, "got 2x3",
    "2x3x3", "3x3", '"mask"')
  check.fails(function() free(x, { attention_mask = tensor.ones(2, 2, 3, 3) }) end, "2x2x3x3",
    "the same in all heads")
  check.fails(function() free(x, { attention_mask = tensor { { 0, -1 / 0, 0 } } }) end,
    "got -inf", "m:eq(0)")
  check.fails(function() free(x, { attention_mask = 1 }) end, "got a number", "[N, Q, S]")
  check.fails(function() free(x, { attn_mask = lower }) end, "attention_mask", "PyTorch")
  check.fails(function() free(x, { key_padding_mask = lower }) end, "mask = { false, m }")
  check.fails(function() free(x, { mask = { lower, lower } }) end, "2 masks", "1 tensor")
  check.fails(function() free(x, { mask = { 1 } }) end, "got a number")
end

-- Of predict each batch has its rows of the masks; one for all is there in every batch.
function tests.test_predict_with_masks_of_pairs()
  local x, z = tensor.randn(5, 3, 4), tensor.randn(5, 6, 4)
  local net = nn.TransformerDecoder(2, 5, { causal = false })
  local own = tensor.maximum(tensor.rand(5, 3, 3):lt(0.6), tensor.eye(3)):eval()
  local band = tensor.rand(3, 6):lt(0.6):eval()
  local want = net(x, z, { attention_mask = own, memory_mask = band })
  for _, n in ipairs { 1, 2, 5, 9 } do
    check.near(net:predict(x, z, { attention_mask = own, memory_mask = band, batch_size = n }),
      want, near)
  end
  check.near(net:predict(x, z, { memory_mask = band, batch_size = 2 }),
    net(x, z, { memory_mask = band }), near)
  check.fails(function() net:predict(x, z, { attention_mask = tensor.ones(4, 3, 3) }) end,
    "got 4x3x3")
  check.fails(function() nn.Dense(2):predict(x, { attention_mask = own }) end,
    "predict: option", "no layer of dense_1")
end

-- A training step with such a mask, which is another one each time.
function tests.test_steps_with_masks_of_pairs()
  check.equal_bytes [[
    local net = nn.TransformerEncoder(2, 8)
    local step = train.step(function(x, m)
      return loss.mse(net(x, { attention_mask = m }), x * 0.5)
    end, net, optim.Adam { lr = 0.01 })
    for i = 1, 6 do
      local m = tensor.maximum(tensor.rand(4, 4):lt(0.5), tensor.eye(4)):eval()
      print(("%a"):format(step(tensor.randn(3, 4, 6), m)))
    end]]
end

local function padded(x, side, fill)
  local gap = tensor.full(fill, x.shape[1], 2, x.shape[3])
  local on, off = tensor.ones(x.shape[1], x.shape[2]), tensor.zeros(x.shape[1], 2)
  local left = side == "left"
  return tensor.concat(left and { gap, x } or { x, gap }, 2):eval(),
    tensor.concat(left and { off, on } or { on, off }, 2):eval(), left and { 3, 5 } or { 1, 3 }
end

-- Left or right, whatever the padding holds: outputs, gradients, single sequences.
function tests.test_padding()
  for _, options in ipairs { {}, { causal = true }, { rotary = true } } do
    tensor.seed(3)
    options.bias_init = "normal"
    local net = nn.Sequential { nn.SinePositionEncoding(), nn.PositionEmbedding(9),
      nn.MultiHeadAttention(2, options), nn.LayerNorm() }
    local x = tensor.randn(3, 3, 4):eval()
    local y = net(x)
    local want = gradients(y, net:parameters())
    for _, side in ipairs { "left", "right" } do
      for _, fill in ipairs { 0, nan, 1 / 0, -1e30 } do
        local u, mask, counts = padded(x, side, fill)
        local got = net(u, { mask = mask }):slice({}, counts)
        check.near(got, y, near)
        local g = gradients(got, net:parameters())
        for i, w in ipairs(want) do check.near(g[i], w, 100 * near) end
      end
    end
    for n = 1, 3 do check.near(net(x:slice({ n, n })), y:slice({ n, n }), near) end
  end
end

-- The same where padding fills whole vectors of keys, and of those logits that are -inf.
function tests.test_gradients_beside_much_padding()
  tensor.seed(6)
  local layer, n = nn.MultiHeadAttention(2, { bias_init = "normal" }), 12
  local x, c = tensor.randn(2, n, 6):eval(), tensor.randn(2, n, 6):eval()
  layer(x)
  local want = gradients(layer(x) * c, layer:parameters())
  for _, fill in ipairs { 4, 5, 9, 16, 21 } do
    local gap, none = tensor.full(nan, 2, fill, 6), tensor.zeros(2, fill)
    for _, side in ipairs { "left", "right" } do
      local function joined(a, b)
        return tensor.concat(side == "left" and { a, b } or { b, a }, 2)
      end
      local y = layer(joined(gap, x), { mask = joined(none, tensor.ones(2, n)) })
      local first = side == "left" and fill or 0
      local g = gradients(y:slice({}, { first + 1, first + n }) * c, layer:parameters())
      for i, w in ipairs(want) do check.near(g[i], w, 1000 * near) end
    end
  end
  local logits = tensor.variable(tensor.randn(1, 20))
  local hidden = tensor.arange(1, 20):reshape(1, 20):lt(6)
  local p = nn.softmax(tensor.where(hidden, -1 / 0, logits))
  local d = tensor.randn(1, 20):eval()
  local g = grad((p * d):sum(), { logits })[1]
  check.near(g, p * (d - (p * d):sum()), 100 * near)
end

function tests.test_scores_and_inputs()
  local layer = nn.MultiHeadAttention(2, { return_attention_scores = true, key_dim = 3 })
  local x, z, v = tensor.randn(2, 3, 4), tensor.randn(2, 5, 2), tensor.randn(2, 5, 7)
  local y, p = layer(x, z, v)
  check.equal({ y.shape, p.shape }, { { 2, 3, 4 }, { 2, 2, 3, 5 } })
  check.near(p:sum(4), tensor.ones(2, 2, 3))
  check.equal({ layer.weight_q.shape, layer.weight_k.shape, layer.weight_v.shape,
    layer.weight_o.shape }, { { 4, 6 }, { 2, 6 }, { 7, 6 }, { 6, 4 } })
  check.fails(function() layer(x, v, z) end, "multi_head_attention_1", "2 features for weight_k")
  check.fails(function() layer(x, z, v:slice({}, { 1, 3 })) end, "keys and values of the same T")
  check.fails(function() layer(x, tensor.ones(3, 5, 2)) end, "the same N", "got 2x3x4, 3x5x2")
  -- PyTorch counts the features first, then the heads
  check.fails(function() nn.MultiheadAttention(4, 2) end, '"MultiHeadAttention"')
  check.fails(function() layer(tensor.ones(2, 4)) end, "[N, T, F]", "got 2x4")
  check.fails(function() nn.MultiHeadAttention(3)(x) end, "4 features", "3 heads", "key_dim")
  check.fails(function() nn.MultiHeadAttention(4, { rotary = true })(x) end, "even D")
  check.fails(function() nn.MultiHeadAttention() end, "num_heads")
  check.fails(function() nn.MultiHeadAttention(2, { dropout = 1 }) end, "dropout")
  check.fails(function() x:attention(z, z) end, "q 2x3x4, k 2x5x2")
  check.fails(function() x:attention(x, x, tensor.ones(2, 4)) end, "mask: got 2x4", "2x3")
end

function tests.test_dropout_of_weights()
  local x = tensor.ones(4, 8, 4)
  local layer = nn.MultiHeadAttention(2, { dropout = 0.5, init = "identity" })
  check.near(layer(x), x, near)
  local y = layer(x, { training = true })
  check.yes((y - x):abs():max():item() > 0.1)
  check.near(layer(tensor.ones(64, 16, 4), { training = true }):mean(), 1, 0.05)
end

-- Products of turned vectors depend on the distance of their positions alone.
function tests.test_rotary()
  local q, k = tensor.randn(1, 1, 4), tensor.randn(1, 1, 4)
  local function at(u, p) return u:rotary(tensor({ { p } }, { dtype = "int32" }), { heads = 2 }) end
  for _, p in ipairs { 1, 10, 3000 } do
    check.near((at(q, p + 2) * at(k, p)):sum(), (at(q, 3) * at(k, 1)):sum(), 1e-5)
  end
  check.near(at(at(q, 7), 1), at(q, 7))
  check.near(at(q, 9):rotary(tensor({ { 9 } }, { dtype = "int32" }), { heads = 2,
    inverse = true }), q, near)
  check.near(tensor { { { 1, 0 }, { 1, 0 } } }:rotary(), { 1, 0, math.cos(1), math.sin(1) }, near)
end

function tests.test_sines()
  local y = nn.SinePositionEncoding { base = 100, scale = true }(tensor.ones(1, 3, 4))
  for t = 0, 2 do
    check.near(y[1][t + 1], { 2 + math.sin(t), 2 + math.cos(t), 2 + math.sin(t / 10),
      2 + math.cos(t / 10) }, near)
  end
  -- whatever lengths and widths came before
  local layer = nn.SinePositionEncoding()
  for _, shape in ipairs { { 1, 7, 4 }, { 1, 3, 4 }, { 2, 3, 6 }, { 1, 9, 6 }, { 1, 3, 4 } } do
    local x = tensor.ones(table.unpack(shape))
    check.equal(layer(x):totable(), nn.SinePositionEncoding()(x):totable())
  end
  check.fails(function() nn.PositionEmbedding(2)(tensor.ones(1, 3, 4)) end, "up to 2 steps",
    "got 1x3x4")
  check.fails(function() nn.SinePositionEncoding()(tensor.ones(3, 4)) end, "[N, T, F]")
end

check.run(tests)
