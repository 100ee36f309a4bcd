-- Tensors from Lua: making, indexing, computing, printing, errors.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_from_tables()
  local t = tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  check.equal(t.shape, { 2, 3 })
  check.equal(t.dtype, "real")
  check.equal(#t, 2)
  check.equal(t:totable(), { { 1.0, 2.0, 3.0 }, { 4.0, 5.0, 6.0 } })
  check.equal(tensor({ 1, 2 }, { dtype = "int32" }):totable(), { 1, 2 })
  check.equal(tensor(3):item(), 3.0)
  check.equal(tensor({}).shape, { 0 })
end

function tests.test_wrong_tables()
  check.fails(function() tensor { { 1, 2 }, { 3 } } end, "differ in length")
  check.fails(function() tensor { 1, "x" } end, "element 2 is a string")
  check.fails(function() tensor({ 1.5 }, { dtype = "int32" }) end, "int32")
  check.fails(function() tensor({ 300 }, { dtype = "uint8" }) end, "uint8")
  check.fails(function() tensor({ 1 }, { dtyp = "int32" }) end, "dtype")
  check.fails(function() tensor "x" end, "list of numbers")
end

function tests.test_creation()
  check.near(tensor.zeros(2, 3), { 0, 0, 0, 0, 0, 0 })
  check.near(tensor.ones { 2 }, { 1, 1 })
  check.near(tensor.full(2.5, 2), { 2.5, 2.5 })
  check.near(tensor.arange(1, 4), { 1, 2, 3, 4 })
  check.near(tensor.arange(3), { 1, 2, 3 })
  check.near(tensor.arange(0, 1, 0.25), { 0, 0.25, 0.5, 0.75, 1 })
  check.near(tensor.arange(3, 1, -1), { 3, 2, 1 })
  check.near(tensor.linspace(0, 1, 3), { 0, 0.5, 1 })
  check.near(tensor.eye(2), { 1, 0, 0, 1 })
  check.equal(tensor.zeros(2, { dtype = "int32" }).dtype, "int32")
  check.fails(function() tensor.zeros(-1) end, "size 1")
  check.fails(function() tensor.zeros(1, 2, 3, 4, 5, 6, 7) end, "6 axes")
  check.fails(function() tensor.zeros(1e12, 1e12) end, "elements")
  check.fails(function() tensor.zeros(1e7, 1e7):eval() end, "memory")
end

function tests.test_draws_are_named_by_seed_and_order()
  tensor.seed(7)
  local a, b = tensor.rand(5), tensor.rand(5)
  tensor.seed(7)
  local c, d = tensor.rand(5), tensor.rand(5)
  check.equal(d:totable(), b:totable())
  check.equal(c:totable(), a:totable())
  check.yes(a:ne(b):sum():item() > 0)
  local z = tensor.randn(20000)
  check.near(z:mean(), 0, 0.03)
  check.near(z:var(), 1, 0.05)
  local i = tensor.randint(1, 6, 10000)
  check.equal({ i:min():item(), i:max():item() }, { 1, 6 })
end

function tests.test_indexing()
  local t = tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  check.near(t[1], { 1, 2 })
  check.near(t[-1], { 5, 6 })
  check.equal(t[2][1]:item(), 3.0)
  check.fails(function() return t[0] end, "count from 1")
  check.fails(function() return t[5] end, "allowed 1 to 3")
  check.fails(function() return t[1.5] end, "whole number")
  check.fails(function() return t.shap end, "no field or method")
  check.fails(function() t[1] = 2 end, "do not change")
end

function tests.test_slices()
  local t = tensor { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } }
  check.near(t:slice({ 1, 2 }), { 1, 2, 3, 4, 5, 6 })
  check.near(t:slice(nil, { 2, -1 }), { 2, 3, 5, 6, 8, 9 })
  check.near(t:slice({ -1, 1, -2 }, 1), { 7, 1 })
  check.fails(function() return t:slice({ 1, 4 }) end, "from 1 to 3")
  check.fails(function() return t:slice(1, 1, 1) end, "more ranges")
end

function tests.test_arithmetic_and_broadcasting()
  local a, b = tensor { { 1, 2 }, { 3, 4 } }, tensor { 10, 20 }
  check.near(a + b, { 11, 22, 13, 24 })
  check.near(1 - a, { 0, -1, -2, -3 })
  check.near(-a / 2, { -0.5, -1, -1.5, -2 })
  check.near(2 ^ a, { 2, 4, 8, 16 })
  check.near(a * b:reshape(2, 1), { 10, 20, 60, 80 })
  check.near(tensor({ 1, 2 }, { dtype = "int32" }) / 2, { 0.5, 1 })
  check.near(a:gt(2), { 0, 0, 1, 1 })
  check.near(tensor.where(a:ge(3), a, 0), { 0, 0, 3, 4 })
  check.fails(function() return a + tensor { 1, 2, 3 } end, "add", "2x2", "3")
  check.fails(function() return a < b end, "t:lt(u)")
  check.fails(function() return a + "x" end, "string")
end

function tests.test_reductions()
  local a = tensor { { 1, 2 }, { 3, 6 } }
  check.near(a:sum(), 12)
  check.near(a:sum(1), { 4, 8 })
  check.near(a:sum { axes = 2, keepdims = true }, { 3, 9 })
  check.equal(a:sum({ 1, 2 }, true).shape, { 1, 1 })
  check.near(a:mean(-1), { 1.5, 4.5 })
  check.near(a:var(), 3.5)
  check.near(a:max(1), { 3, 6 })
  check.equal(a:argmax(2):totable(), { 2, 2 })
  check.fails(function() return a:sum(0) end, "count from 1")
  check.fails(function() return a:sum(3) end, "axis from 1 to 2")
  check.fails(function() return a:sum { axis = 1 } end, "did you mean \"axes\"")
end

function tests.test_shapes()
  local a = tensor.arange(1, 6):reshape(2, 3)
  check.near(a:transpose(), { 1, 4, 2, 5, 3, 6 })
  check.near(a:transpose(2, 1), { 1, 4, 2, 5, 3, 6 })
  check.equal(a:reshape(-1).shape, { 6 })
  check.equal(a:reshape { 3, -1 }.shape, { 3, 2 })
  check.near(tensor.concat({ a, a }, 1):sum(), 42)
  check.equal(tensor.concat({ a, a }, 2).shape, { 2, 6 })
  check.equal(a:pad({ 1, 0 }, { 0, 2 }).shape, { 3, 5 })
  check.near(a:gather(tensor({ 2, 1 }, { dtype = "int32" })), { 4, 5, 6, 1, 2, 3 })
  check.near(tensor({ 2, 1 }, { dtype = "int32" }):one_hot(2), { 0, 1, 1, 0 })
  check.fails(function() return a:reshape(4, 2) end, "reshape", "2x3")
  check.fails(function() return a:matmul(a) end, "matmul", "2x3")
end

function tests.test_results_that_nobody_can_count()
  local wide = tensor.zeros(1, 1e9)
  local tall = tensor.zeros(1e9, 1)
  check.fails(function() return tall:matmul(wide) end, "more elements")
  check.fails(function() return tall + wide end, "more elements")
end

function tests.test_data_errors_name_the_line_of_the_op()
  local bad = tensor { 1, 2 }:gather(tensor({ 3 }, { dtype = "int32" })) -- line 132
  check.fails(function() return bad:totable() end, "test_tensor.lua:132", "gather", "3",
    "1 to 2")
end

function tests.test_printing()
  local small = tostring(tensor { { 1, 2 }, { 3, 4 } })
  check.yes(small:find("2x2", 1, true) and small:find("real", 1, true) ~= nil)
  local large = tostring(tensor.arange(1, 100000))
  check.yes(large:find("100000", 1, true) and large:find("mean 50000.5", 1, true) ~= nil)
  check.yes(#large < 1000)
  check.equal(tostring(tensor(1.5)), "1.5")
end

function tests.test_deferred_chains_are_long_and_cheap()
  local s = tensor(0)
  for _ = 1, 20000 do s = s + 1 end
  check.equal(s:item(), 20000.0)
end

function tests.test_save_and_load()
  local path = check.temp .. "/t.safetensors"
  local t, i = tensor.randn(3, 4), tensor.randint(1, 9, 5)
  tensor.save(path, { weights = t, ids = i })
  local back = tensor.load(path)
  check.equal(back.weights:totable(), t:totable())
  check.equal(back.ids:totable(), i:totable())
  check.equal(back.ids.dtype, "int32")
  check.fails(function() tensor.load(check.temp .. "/none.safetensors") end, "none.safetensors")
  check.fails(function() tensor.save(check.temp .. "/t.xyz", t) end, ".safetensors")
end

-- A list of what each axis gives, as Torch has it; a range alone is that of the first axis.
function tests.test_slices_by_list()
  local t = tensor.arange(1, 24):reshape(2, 3, 4)
  check.equal(t[{ 2, 1, 3 }]:item(), 15.0)
  check.equal(t[{ 2, 1, 3 }].shape, t:slice(2, 1, 3).shape)
  check.near(t[{ 2, { 1, 2 } }], t:slice(2, { 1, 2 }))
  check.near(t[{ { 1, 1 }, nil, { 4, 1, -1 } }], t:slice({ 1, 1 }, nil, { 4, 1, -1 }))
  check.near(t[{ nil, { 2, 3 }, nil }], t:slice(nil, { 2, 3 }))
  check.near(t[{}], t)
  check.near(t[{ 2 }], t[2])
  check.near(t:slice { nil, nil, { 4, 1, -1 } }, t:slice(nil, nil, { 4, 1, -1 }))
  check.near(t:slice { nil, { 2, 3 } }, t:slice(nil, { 2, 3 }))
  check.near(t:slice { nil, { 2, 3 }, nil }, t:slice(nil, { 2, 3 }))
  check.near(t:slice { 2, { 2, 3 } }, t:slice(2, { 2, 3 }))
  check.near(t:slice { 1, 2 }, t:slice({ 1, 2 }))
  check.near(tensor.slice(t, { { 1, 2 }, { 1, 2 } }), t:slice({ 1, 2 }, { 1, 2 }))
  check.near(tensor.ones(1, 2):pad { nil, { 1, 1 } }, { 0, 1, 1, 0 })
  check.near(tensor.ones(1, 2):pad { { 0, 1 }, { 1, 0 } }, { 0, 1, 1, 0, 0, 0 })
  check.fails(function() return t[{ 1, x = 2 }] end, 'got the name "x"')
  check.fails(function() return t[{ 1, 2, 3, 4 }] end, "more ranges than the tensor has axes (3)")
  check.fails(function() return t[{ [1000] = 1 }] end, "a list of 1000 ranges")
  check.fails(function() return t[{ 3 }] end, "from 1 to 2")
  check.fails(function() return t:slice { { 1, 2 }, x = 3 } end, '"x"')
  local v = tensor.variable { { 1, 2 }, { 3, 4 } }
  check.near(grad(v[{ 1, 2 }]:sum(), { v })[1], { 0, 1, 0, 0 })
end

check.run(tests)
