-- Layers of sequences with options and shapes drawn at random: gradients against differences
-- along a random direction, the same bytes planned or op by op and for any number of threads.
-- LONG=1: many more.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"
local exact = check.eps < 1e-10

-- What both tests draw: a net, its inputs and their mask, from a seed.
local drawing = [[
local function drawn(seed)
  math.randomseed(seed)
  tensor.seed(seed)
  local r = math.random
  local function yes() return r(2) == 1 end
  local function any(list) return list[r(#list)] end
  local heads, N, T, S = r(3), r(3), r(5), r(5)
  local F = heads * 2 * r(2)
  local options = { causal = yes(), rotary = yes(), bias = yes() }
  local norm = { norm_first = yes(), norm = any { "layer", "rms", "none" }, layers = r(2),
    final_norm = any { "auto", "always", "never" }, activation = any { "relu", "gelu", "tanh" },
    causal = options.causal, rotary = options.rotary, bias = options.bias }
  local x, z = tensor.randn(N, T, F):eval(), nil
  local layer, ids
  local kind = r(6)
  if kind == 1 then
    if yes() then options.key_dim, options.value_dim = 2 * r(3), r(4) end
    layer = nn.MultiHeadAttention(heads, options)
  elseif kind == 2 then
    options.output_dim, options.key_dim = r(5), 2
    layer, z = nn.MultiHeadAttention(heads, options), tensor.randn(N, S, r(4)):eval()
  elseif kind == 3 then
    layer = nn.TransformerEncoder(heads, r(5), norm)
  elseif kind == 4 then
    layer, z = nn.TransformerDecoder(heads, r(5), norm), tensor.randn(N, S, r(4)):eval()
  elseif kind == 5 then
    ids = tensor.randint(1, 7, N, T):eval()
    layer = nn.Sequential { nn.Embedding(7, F, { init = "normal" }), any {
      nn.SinePositionEncoding(), nn.PositionEmbedding(T) }, nn.MultiHeadAttention(heads) }
  else
    layer = nn.Sequential { nn.TimeDistributed(nn.Dense(F)), nn.Masking(), nn.FeedForward(r(6)) }
  end
  local mask = yes() and tensor.rand(N, T):lt(0.7):eval() or nil
  local keys = kind == 2 and S or T
  local sees = kind < 6 and yes() and tensor.rand(any { 1, N }, T, keys):lt(0.7):eval() or nil
  local memory = kind == 4 and yes() and tensor.rand(T, S):lt(0.7):eval() or nil
  local function output()
    local given = { ids or x, z }
    given[#given + 1] = { mask = mask, attention_mask = sees, memory_mask = memory }
    local y = layer(table.unpack(given))
    return mask and y * mask:reshape(N, T, 1) or y
  end
  output()
  for i, v in ipairs(layer:parameters()) do
    v:assign((tensor.randn(table.unpack(v.shape)) * 0.7):eval())
  end
  return layer, output, kind
end
]]
local drawn = load(drawing .. "return drawn")()

function tests.test_gradients_along_a_direction()
  for seed = 1, long and 400 or 25 do
    local layer, output, kind = drawn(seed)
    local list = layer:parameters()
    local c = tensor.randn(table.unpack(output().shape)):eval()
    local grads = grad((output() * c):sum(), list)
    local along, way, start = 0, {}, {}
    for i, v in ipairs(list) do
      way[i], start[i] = tensor.randn(table.unpack(v.shape)):eval(), v:detach():eval()
      along = along + (grads[i] * way[i]):sum():item()
    end
    check.yes(along == along, "seed " .. seed)
    if exact then
      local function moved(h)
        for i, v in ipairs(list) do v:assign((start[i] + way[i] * h):eval()) end
        return (output() * c):sum():item()
      end
      local h = 1e-6
      local difference = (moved(h) - moved(-h)) / (2 * h)
      -- a relu within h of its kink is off; seeds are fixed
      local ok = math.abs(difference - along) <= 2e-5 * math.max(1, math.abs(along))
      check.yes(ok, ("seed %d, kind %d: %.9g, difference %.9g"):format(seed, kind, along,
        difference))
    end
  end
end

function tests.test_equal_bytes()
  check.equal_bytes(drawing .. ([[
    for seed = 1, %d do
      local layer, output = drawn(seed)
      local g = grad(output():square():sum(), layer:parameters())
      g[#g + 1] = output()
      for i, t in ipairs(g) do
        local sum = 0
        for k, v in ipairs(t:reshape(-1):totable()) do sum = sum + v * math.sin(k) end
        print(seed, i, ("%%a"):format(sum))
      end
    end]]):format(long and 300 or 30))
end

check.run(tests)
