-- Blocks of a Transformer: their parts, masks, copies, what they refuse.

local check = dofile "tests/check.lua"
local tests = {}

local exact = check.eps < 1e-10
local near = exact and 1e-12 or 1e-5

function tests.test_a_block_is_its_parts()
  local x, z = tensor.randn(2, 3, 4), tensor.randn(2, 5, 6)
  for _, first in ipairs { false, true } do
    local net = nn.TransformerDecoder(2, 7, { layers = 2, norm_first = first,
      final_norm = "never" })
    local y, p = net(x, z), net.parts
    check.equal(#p, 18)
    local own = x
    for b = 0, 1 do
      for s = 1, 3 do
        local norm, inner = p[9 * b + 3 * s - 2], p[9 * b + 3 * s - 1]
        local u = first and norm(own) or own
        local v = s == 2 and inner(u, z) or inner(u)
        own = first and own + v or norm(own + v)
      end
    end
    check.near(y, own, near)
  end
  local encoder = nn.TransformerEncoder(2, 7, { layers = 2, norm_first = true, norm = "rms" })
  check.equal(#encoder.parts, 13)
  encoder(x)
  local names = {}
  for _, v in ipairs(encoder:parameters()) do names[#names + 1] = v.name end
  check.equal(names[1], "rms_norm_1.weight")
  check.equal({ names[#names - 1], names[#names] },
    { "feed_forward_2.bias_2", "rms_norm_5.weight" })
end

function tests.test_masks_and_padding()
  tensor.seed(2)
  local encoder = nn.TransformerEncoder(2, 5, { layers = 2, causal = true, rotary = true })
  local decoder = nn.TransformerDecoder(2, 5, { norm_first = true })
  local net = nn.Sequential { nn.Embedding(9, 4, { mask_zero = true, init = "normal" }),
    nn.SinePositionEncoding(), { encoder = encoder, forward = function(self, u)
      return self.encoder(u) end } }
  local function ids(v) return tensor(v, { dtype = "int32" }) end
  check.fails(function() net(ids { { 1, 2, 0 } }) end, "custom_1: knows no mask")
  net = nn.Sequential { net[1], net[2], encoder, nn.Dense(3) }
  local y = net(ids { { 4, 7, 2 } })
  check.near(net(ids { { 0, 0, 4, 7, 2 } }):slice({}, { 3, 5 }), y, near)
  local right = net(ids { { 4, 7, 2, 0, 0 }, { 1, 1, 1, 1, 1 } })
  check.near(right:slice({ 1, 1 }, { 1, 3 }), y, near)
  local x, memory = tensor.randn(2, 3, 4), tensor.randn(2, 5, 4)
  decoder(x, memory)
  local left = nn.Sequential { decoder, nn.Dense(2) }
  check.equal(left(x, memory, { mask = tensor { { 0, 1, 1 }, { 1, 1, 1 } } }).shape, { 2, 3, 2 })
end

function tests.test_dropout_draws_in_each_part()
  local x = tensor.randn(2, 3, 4)
  local net = nn.TransformerEncoder(2, 8, { dropout = 0.4 })
  check.equal(net(x):totable(), net(x):totable())
  local a, b = net(x, { training = true }), net(x, { training = true })
  check.yes((a - b):abs():max():item() > 1e-3)
  check.near(net.parts[2].dropout, 0.4)
  check.equal({ net.parts[3].rate, net.parts[5].dropout, net.parts[6].rate }, { 0.4, 0.4, 0.4 })
end

function tests.test_copies_files_and_parts_replaced()
  local x = tensor.randn(2, 3, 4)
  local net = nn.TransformerEncoder(2, 8, { layers = 2, activation = "prelu" })
  local y = net(x)
  check.equal(#net:parameters(), 2 * (8 + 4 + 4 + 1))
  local copy = net:clone()
  check.equal(copy(x):totable(), y:totable())
  local path = check.temp .. "/encoder.safetensors"
  net:save(path)
  local read = nn.TransformerEncoder(2, 8, { layers = 2, activation = "prelu" })
  read:load(path)
  check.equal(read(x):totable(), y:totable())
  net:replace("multi_head_attention_2", nn.MultiHeadAttention(1))
  check.equal(net(x).shape, { 2, 3, 4 })
  net:replace("feed_forward_1", nn.Dense(3))
  check.fails(function() net(x) end, "dense_1", "to be added to it", "2x3x3")
end

function tests.test_what_they_refuse()
  local x = tensor.randn(2, 3, 4)
  check.fails(function() nn.TransformerDecoder(2, 8)(x) end, "takes 2 tensors, got 1")
  check.fails(function() nn.TransformerEncoder(2, 8)(x, x) end, "takes 1 tensor, got 2")
  check.fails(function() nn.TransformerEncoder(3, 8)(x) end, "4 features", "3 heads")
  check.fails(function() nn.TransformerEncoder(2, 8)(tensor.ones(2, 4)) end, "[N, T, F]")
  check.fails(function() nn.TransformerEncoder(2) end, "units")
  check.fails(function() nn.TransformerEncoderLayer(4, 2) end, "has no", "TransformerEncoder")
  check.fails(function() nn.TransformerEncoder { d_model = 4, nhead = 2 } end, "by themselves")
  check.fails(function() nn.TransformerEncoder(2, 8, { norm = "batch" }) end, '"layer"')
  check.fails(function() nn.TransformerEncoder(2, 8, { norm_frist = true }) end,
    '"norm_first"')
  local net = nn.TransformerEncoder { nhead = 2, dim_feedforward = 8, num_layers = 2 }
  check.fails(function() net.layers = 3 end, "12 parts", "18")
  check.fails(function() nn.FeedForward(3)(tensor.ones(3)) end, "[N, T, F]")
  local odd = nn.FeedForward(3)
  odd(x)
  check.fails(function() odd(tensor.ones(2, 3, 5)) end, "[N, T, 4]")
end

check.run(tests)
