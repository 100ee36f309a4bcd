-- Attention, Transformer blocks and embeddings against PyTorch's values, computed in float64 by
-- reference/attention.py, whose inputs and parameters are made alike here.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

local wanted = tensor.load "tests/nn/reference/attention.safetensors"
local N, T, S, F, H, U = 2, 4, 5, 6, 2, 7
local X, Z = { N, T, F }, { N, S, F }
local MASK = tensor { { 1, 1, 1, 0 }, { 0, 1, 1, 1 } }
local PAIRS = tensor { { { 1, 0, 0, 1 }, { 1, 1, 0, 0 }, { 0, 0, 1, 0 }, { 1, 1, 1, 1 } },
  { { 0, 1, 0, 0 }, { 0, 1, 1, 0 }, { 1, 0, 0, 1 }, { 0, 0, 1, 1 } } }
local BAND = tensor { { 1, 1, 0, 0, 0 }, { 0, 1, 1, 0, 0 }, { 0, 0, 1, 1, 0 }, { 0, 0, 0, 1, 1 } }

local pre = { norm_first = true, final_norm = false }
local cases = {
  self = { nn.MultiHeadAttention(H), { X } },
  causal = { nn.MultiHeadAttention(H, { causal = true }), { X } },
  masked = { nn.MultiHeadAttention(H), { X }, MASK },
  pairs = { nn.MultiHeadAttention(H), { X }, options = { attention_mask = PAIRS } },
  cross = { nn.MultiHeadAttention(H), { X, { N, S, 3 }, { N, S, 5 } } },
  encoder_post = { nn.TransformerEncoder(H, U, { activation = "gelu" }), { X }, MASK },
  encoder_pre = { nn.TransformerEncoder(H, U, { activation = "gelu", norm_first = true,
    final_norm = false }), { X }, MASK },
  decoder_post = { nn.TransformerDecoder(H, U), { X, Z } },
  decoder_pre = { nn.TransformerDecoder(H, U, pre), { X, Z } },
  decoder_pairs = { nn.TransformerDecoder(H, U, { causal = false }), { X, Z },
    options = { attention_mask = PAIRS, memory_mask = BAND } },
  embedding = { nn.Embedding(7, 3), {}, nil, tensor({ { 2, 4, 2, 1 }, { 7, 4, 4, 2 } },
    { dtype = "int32" }) },
}

local function inputs_of(case)
  local x = {}
  for i, shape in ipairs(case[2]) do x[i] = tensor.variable(reference.numbers(2 + i, 1, shape)) end
  return x
end

local function result(case, x)
  local given = { table.unpack(x) }
  given[#given + 1] = case[4]
  given[#given + 1] = case.options or { mask = case[3] }
  local y = case[1](table.unpack(given))
  return case[3] and y * case[3]:reshape(N, T, 1) or y
end

-- The largest gradient of a case, and how many there are.
local function largest(name)
  local size, i = 0, 1
  while wanted[name .. "." .. i] do
    size = math.max(size, wanted[name .. "." .. i]:abs():max():item())
    i = i + 1
  end
  return size, i - 1
end

local function is_near(got, name, i, size)
  local want = wanted[name .. "." .. i]
  local own = wanted[name .. ".float." .. i]:item() / math.max(want:abs():max():item(),
    1e-3 * size)
  reference.near_as_float(got, want, ("%s.%d"):format(name, i), size, own, 1e-10)
end

for name, case in pairs(cases) do
  tests["test_" .. name] = function()
    local x = inputs_of(case)
    result(case, x) -- builds
    local all = { table.unpack(x) }
    for i, v in ipairs(case[1]:parameters()) do
      v:assign(reference.numbers(10 + i, 0.8, v.shape))
      all[#all + 1] = v
    end
    local y = result(case, x)
    local size, n = largest(name)
    check.equal(n, #all)
    local got = grad((y * reference.numbers(2, 1, y.shape)):sum(), all)
    table.insert(got, 1, y)
    for i, g in ipairs(got) do
      is_near(g, name, i - 1, i > 1 and size or 0)
    end
  end
end

function tests.test_of_each_case_in_the_file_there_is_one_here()
  for key in pairs(wanted) do check.yes(cases[key:match "^[^.]*"] ~= nil, key) end
end

check.run(tests)
