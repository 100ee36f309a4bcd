-- A branch that a selection does not take has the gradient 0, also where its slope is
-- infinite or NaN; a gradient that is not 0 comes through.

local check = dofile "tests/check.lua"
local tests = {}
local inf, nan = math.huge, 0 / 0

-- f, and where its value or slope is infinite or NaN.
local cases = {
  { "sqrt", 0, -1 }, { "reciprocal", 0 }, { "exp", 1000, inf }, { "expm1", 1000 },
  { "log", 0, -1 }, { "log1p", -1, -2 }, { "square", inf }, { "sin", inf, nan },
  { "cos", inf }, { "tanh", nan }, { "sigmoid", nan }, { "erf", nan }, { "softplus", nan, inf },
  { "elu", nan, -inf }, { "selu", nan }, { "relu", nan, inf }, { "leaky_relu", nan },
  { "abs", nan }, { "neg", nan }, { "silu", nan, -inf }, { "gelu", nan, -inf },
  { function(x) return x ^ 0.5 end, 0, -1 }, { function(x) return x ^ -1 end, 0 },
  { function(x) return tensor { 2 } ^ x end, inf, 5000 },
  { function(x) return 1 / x end, 0 }, { function(x) return x / x end, 0, inf },
  { function(x) return x * x:log() end, 0 }, { function(x) return x * inf end, 1, 0 },
  { function(x) return x:square():sqrt():log() end, 0 },
  { function(x) return x:clip(-1, 1):sqrt() end, 0, -3 },
  { function(x) return tensor.maximum(x, 0):sqrt() end, 0, -2 },
  { function(x) return tensor.minimum(x, 0):log() end, 0, 3 },
}

local function each(check_one)
  for _, case in ipairs(cases) do
    local f = case[1]
    local function call(x) return type(f) == "string" and x[f](x) or f(x) end
    for i = 2, #case do check_one(call, case[i]) end
  end
end

function tests.test_first_derivative()
  each(function(f, bad)
    local x = tensor.variable(tensor { bad, 0.5 })
    local taken = tensor { 0, 1 }
    for _, y in ipairs { tensor.where(taken, f(x), 7), tensor.where(1 - taken, 7, f(x)) } do
      local g = grad(y:sum(), { x })[1]:totable()
      local want = grad(f(x[2]), { x })[1]:totable()
      check.equal(g[1], 0.0)
      check.equal(g[2], want[2])
    end
  end)
end

function tests.test_second_derivative()
  each(function(f, bad)
    local x = tensor.variable(tensor { bad, 0.5 })
    local first = grad(tensor.where(tensor { 0, 1 }, f(x), 7):sum(), { x })[1]
    local alone = tensor.variable(tensor { 0.5 })
    local slope = grad(f(alone):sum(), { alone })[1]
    local second = grad(first:sum(), { x })[1]:totable()
    check.equal(second[1], 0.0)
    check.near(second[2], grad(slope:sum(), { alone })[1]:item(), 1e-5)
  end)
end

function tests.test_other_selections()
  local x = tensor.variable(tensor { 0, 4 })
  check.near(grad(x:sqrt()[2], { x })[1], { 0, 0.25 })
  check.near(grad(tensor.maximum(x:sqrt(), 1):sum(), { x })[1], { 0, 0.25 })
  check.near(grad(x:log():clip(-5, 5):sum(), { x })[1], { 0, 0.25 })
  check.near(grad(x:sqrt():max(), { x })[1], { 0, 0.25 })
  check.near(grad((x:gt(0) * x:sqrt()):sum(), { x })[1], { 0, 0.25 })
  local rows = tensor.variable(tensor { { inf, 1 }, { 1, 3 } })
  local y = tensor.where(tensor { 0, 1 }, rows:var(2), 0)
  check.near(grad(y:sum(), { rows })[1], { 0, 0, -1, 1 })
  local nans = tensor.variable(tensor { { nan, 1 }, { 1, 3 } })
  check.near(grad(tensor.where(tensor { 0, 1 }, nans:max(2), 0):sum(), { nans })[1],
    { 0, 0, 0, 1 })
end

function tests.test_what_is_infinite_comes_through()
  local x = tensor.variable(tensor { 0, 4 })
  check.equal(grad(x:sqrt():sum(), { x })[1]:totable(), { inf, 0.25 })
  check.equal(grad(x:log():sum(), { x })[1]:totable(), { inf, 0.25 })
  check.equal(grad((x * inf):sum(), { x })[1]:totable(), { inf, inf })
  local v = tensor.variable(tensor { nan, 4 })
  local g = grad(v:tanh():sum(), { v })[1]:totable()
  check.yes(g[1] ~= g[1])
  local gy = grad(x:sqrt(), { x }, tensor { nan, 0 })[1]:totable()
  check.yes(gy[1] ~= gy[1])
  check.equal(gy[2], 0.0)
end

-- At a minimum gradients are 0 in ordinary products: higher derivatives are not.
function tests.test_higher_derivatives_where_lower_ones_are_zero()
  local x = tensor.variable(tensor { 0, 1 })
  local y = x:square():square() + (x * x * x * x)
  for _, want in ipairs { { 0, 8 }, { 0, 24 }, { 0, 48 }, { 48, 48 } } do
    y = grad(y:sum(), { x })[1]
    check.near(y, want)
  end
  local v = tensor.variable(tensor { 0, 1 })
  local z = (v * v) * (v / 2)
  for _, want in ipairs { { 0, 1.5 }, { 0, 3 }, { 3, 3 } } do
    z = grad(z:sum(), { v })[1]
    check.near(z, want)
  end
end

-- The same bytes planned and naive, and no change where all is finite.
function tests.test_planned_is_naive()
  check.equal_bytes [[
    local w = tensor.variable(tensor { 0, 4, -1, 100, 0.3 })
    local step = train.step(function()
      return tensor.where(w:gt(0), w:sqrt() + w:log() * w, w:exp() / w):sum() +
             tensor.where(w:le(0), w:exp(), w + 1):sum() + (w * 0.25):tanh():sum()
    end, { w }, optim.Adam { lr = 0.01 })
    for _ = 1, 3 do
      local ok, l = pcall(step)
      print(ok, ok and ("%a"):format(l))
      w:assign(tensor.where(w:eq(0), 0.5, w))
    end
    for _, v in ipairs(w:totable()) do print(("%a"):format(v)) end
  ]]
end

check.run(tests)
