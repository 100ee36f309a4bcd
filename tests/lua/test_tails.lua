-- Values in tails and at infinity, as users see them: elementwise ops, softmax of rows with
-- infinities, denormals inside and outside of a step.
local check = dofile "tests/check.lua"
local inf, nan = math.huge, 0 / 0
local tests = {}

local function one(x, f) return f(tensor { x }):totable()[1] end

function tests.test_gelu_keeps_the_digits_of_its_tail()
  local got = nn.activation "gelu" (tensor { -4, -5, -5.5, -6, -13 }):totable()
  local want = { -0.00012668496733, -1.43325785940e-06, -1.04442593562e-07, -5.919525870e-09,
                 -7.95231371941e-38 }
  for i = 1, #want do assert(math.abs(got[i] / want[i] - 1) < 1e-6, got[i]) end
  local slope = grad(function(x) return x:gelu() end)(tensor(-6.0)):item()
  assert(math.abs(slope / -3.54687094539e-8 - 1) < 1e-6, slope)
end

function tests.test_at_infinity()
  for name, want in pairs {
    relu = 0, leaky_relu = -inf, elu = -1, sigmoid = 0, tanh = -1, softplus = 0, silu = 0,
    gelu = 0, linear = -inf } do
    check.equal(one(-inf, nn.activation(name)), want + 0.0, name)
    check.equal(one(inf, nn.activation(name)),
                (name == "sigmoid" or name == "tanh") and 1.0 or inf, name)
    local nothing = one(nan, nn.activation(name))
    assert(nothing ~= nothing, name)
  end
end

function tests.test_nan_is_never_lost()
  local t = tensor { nan }
  for _, y in ipairs { t:maximum(1), t:minimum(1), tensor { 1 }:maximum(nan), t:clip(0, 1), t:max(),
                       t:min(), t:sign(), t:abs(), t:relu(), t:sum(), t:sqrt(), t:square() } do
    local v = y:sum():item()
    assert(v ~= v)
  end
  check.equal(t:argmax():item(), 1)
  check.equal(t:eq(t):item(), 0.0)
  check.equal(t:ne(t):item(), 1.0)
end

function tests.test_softmax_of_infinities()
  local function row(...) return tensor { { ... } }:softmax():totable()[1] end
  check.near(row(0, -inf, 0), { 0.5, 0, 0.5 })
  for _, r in ipairs { row(inf, 0, 1), row(-inf, -inf), row(0, nan) } do
    for _, v in ipairs(r) do assert(v ~= v) end
  end
  check.equal(tensor { { 0, -inf } }:log_softmax():totable()[1], { 0.0, -inf })
end

local tiny = check.eps == 2 ^ -52 and 2 ^ -1022 or 2 ^ -126 -- the smallest normal number

local functions = {
  function(x) return x:gt(0) end, function(x) return x:ne(0) end, function(x) return x * 1 end,
  function(x) return x + 0 end, function(x) return x:maximum(0) end, function(x) return -x end,
  function(x) return x:abs() end, function(x) return x:relu() end, function(x) return x:exp() end,
  function(x) return x:sqrt() end, function(x) return x:log() end, function(x) return x:sign() end,
  function(x) return tensor.where(x, x + 1, x + 2) end, function(x) return x:clip(-1, 1) end,
  function(x) return x:gelu() end, function(x) return x:silu() end,
  function(x) return x:pow(0.5) end, function(x) return x:sum() + x:max() end,
}

-- A denormal counts as zero in every op: at top level as in a step.
function tests.test_denormals_are_the_same_inside_and_outside_of_a_step()
  local values = {}
  for i = 1, 37 do values[i] = (i % 3 == 0 and -1 or 1) * tiny * (i % 5 == 0 and 1 or i / 64) end
  local x = tensor(values)
  local w = tensor.variable(tensor { 1 })
  for i, f in ipairs(functions) do
    local outside = f(x):reshape(-1):totable()
    local step = train.step(function(v) return w:sum(), f(v):reshape(-1) end, { w },
                            optim.SGD { lr = 0 })
    for _ = 1, 2 do
      local _, inside = step(x)
      inside = inside:totable()
      for k = 1, #outside do
        assert(string.pack("d", inside[k]) == string.pack("d", outside[k]),
               i .. ": " .. inside[k] .. " in a step, " .. outside[k] .. " outside")
      end
    end
  end
  check.equal((tensor { tiny / 2 }:gt(0)):item(), 0.0)
  check.equal((tensor { tiny } * 0.5):item(), 0.0)
  assert(2 ^ -1022 / 2 > 0, "Lua's own denormals are there again")
end

check.run(tests)
