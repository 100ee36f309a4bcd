-- Normalizations by what they make of their inputs.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_group_norm()
  local x = tensor.randn(2, 6, 3, 4) * 3 + 5
  local y = nn.GroupNorm(2)(x):reshape(2, 2, 36)
  check.near(y:mean(3), { { 0, 0 }, { 0, 0 } }, 1e-4)
  check.near(y:var(3), { { 1, 1 }, { 1, 1 } }, 1e-3)
  check.near(nn.GroupNorm(1)(x), nn.LayerNorm { affine = false }(x:reshape(2, 72)):reshape(2, 6,
    3, 4), 1e-5)
  check.equal(nn.norm("group", { groups = 3 })(x).shape, { 2, 6, 3, 4 })
  check.fails(function() nn.GroupNorm(4)(x) end, "multiple of 4 groups", "2x6x3x4")
  check.fails(function() nn.GroupNorm(3)(tensor.ones(2, 3)) end, "at least 2 values")
  check.fails(function() nn.norm "grup" end, 'did you mean "group"')
end

check.run(tests)
