-- reference.lua: comparison with values that PyTorch computed in float64 (reference/*.py),
-- from inputs that are made alike here.
--
--   local reference = dofile "tests/nn/reference.lua"
--   local images = reference.open "images"     -- of reference/images.safetensors
--   images.layers { relu = { nn.ReLU(), { { 2, 3 } } } }

local check = dofile "tests/check.lua"
local reference = { exact = check.eps < 1e-10 }
reference.tolerance = reference.exact and 1e-10 or 1e-5

-- As numbers() of the scripts.
function reference.numbers(phase, scale, shape)
  local v, n = {}, 1
  for _, size in ipairs(shape) do n = n * size end
  for i = 0, n - 1 do v[i + 1] = ((37 * i + 29 * phase) % 101 - 50) / 50 * (scale or 1) end
  return tensor(v):reshape(shape):eval()
end

local function same(t) return t end
local as_is = { ours = same, theirs = same }

-- Of the layer or of one inside: "weight" of dense_1.weight.
local function parameter_of(layer, name)
  for _, v in ipairs(layer:parameters()) do
    if v.name:match "[^.]*$" == name then return v end
  end
end

-- The inputs as variables, the parameters with their values; both, and how they differ.
local function prepare(layer, inputs, parameters)
  local all, forms, x = {}, {}, {}
  for i, shape in ipairs(inputs) do
    x[i] = tensor.variable(reference.numbers(2 + i, 2, shape))
    all[i], forms[i] = x[i], as_is
  end
  layer(table.unpack(x))
  for _, p in ipairs(parameters) do
    local form, parameter = p[3] or as_is, parameter_of(layer, p[1])
    parameter:assign(form.ours(reference.numbers(3 + #all, 2, p[2])))
    all[#all + 1], forms[#forms + 1] = parameter, form
  end
  return x, all, forms
end

-- The tensors whose names begin so, by the rest of their names.
function reference.begun_with(prefix, wanted)
  local found = {}
  for key, t in pairs(wanted) do
    if key:sub(1, #prefix) == prefix then found[key:sub(#prefix + 1)] = t end
  end
  return found
end

-- In double to `bound`; in float ten times as far off as PyTorch's own float is, or 1e-5.
function reference.near_as_float(got, want, name, largest, own, bound)
  local off = check.error_of(got, want, largest)
  bound = reference.exact and bound or math.max(10 * own, 1e-5)
  local ok = off <= bound
  check.yes(ok, ("%s: off by %.3g, allowed: %.3g"):format(name, off, bound))
end

function reference.open(file)
  local wanted = tensor.load("tests/nn/reference/" .. file .. ".safetensors")
  local open = { wanted = wanted }

  function open.is_near(got, name, tolerance)
    check.yes(wanted[name] ~= nil, name)
    local off = check.error_of(got, wanted[name])
    local ok = off <= (tolerance or reference.tolerance)
    check.yes(ok, ("%s: off by %.3g, allowed: %.3g"):format(name, off,
      tolerance or reference.tolerance))
  end

  -- By name a layer, shapes of its inputs, of its parameters those of PyTorch (where ours have
  -- other axes, `ours` makes the one of the other and `theirs` goes back), options of the call:
  -- the result, and the gradients of sum(y c) by inputs and parameters.
  function open.layers(cases)
    for name, case in pairs(cases) do
      local layer = case[1]
      local x, all, forms = prepare(layer, case[2], case[3] or {})
      if case[4] then x[#x + 1] = case[4] end
      local y = layer(table.unpack(x))
      open.is_near(y, "layer." .. name .. ".y")
      for i, g in ipairs(grad((y * reference.numbers(11, 1, y.shape)):sum(), all)) do
        open.is_near(forms[i].theirs(g), ("layer.%s.%d"):format(name, i))
      end
    end
  end

  return open
end

return reference
