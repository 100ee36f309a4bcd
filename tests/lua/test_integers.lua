-- Integer tensors: int32 holds more whole numbers than a float. Comparisons are exact,
-- selections keep the type, arithmetic gives real, exact and rounded once; what does not fit
-- is refused by name and place.
local check = dofile "tests/check.lua"
local tests = {}

local big = 16777216 -- 2^24: a float has no 16777217
local least, most = -2 ^ 31 // 1 | 0, (2 ^ 31 // 1 | 0) - 1

local function int32(...) return tensor({ ... }, { dtype = "int32" }) end
local function uint8(...) return tensor({ ... }, { dtype = "uint8" }) end

-- The same type and exactly the same numbers.
local function same(t, dtype, want)
  check.equal(t.dtype, dtype)
  local got = t:totable()
  check.equal(got, want)
  for _, v in ipairs(type(got) == "table" and got or { got }) do
    check.equal(math.type(v), dtype == "real" and "float" or "integer")
  end
end

local a, b = int32(big, big + 1, most, least, -5), int32(big + 1, big + 1, most - 1, least + 1, -5)

function tests.test_comparisons_are_exact()
  same(a:eq(b), "real", { 0.0, 1.0, 0.0, 0.0, 1.0 })
  same(a:ne(b), "real", { 1.0, 0.0, 1.0, 1.0, 0.0 })
  same(a:lt(b), "real", { 1.0, 0.0, 0.0, 1.0, 0.0 })
  same(a:le(b), "real", { 1.0, 1.0, 0.0, 1.0, 1.0 })
  same(a:gt(b), "real", { 0.0, 0.0, 1.0, 0.0, 0.0 })
  same(a:ge(b), "real", { 0.0, 1.0, 1.0, 0.0, 1.0 })
end

function tests.test_comparisons_with_numbers_and_other_types_are_exact()
  same(a:eq(big + 1), "real", { 0.0, 1.0, 0.0, 0.0, 0.0 })
  same(a:eq(most - 1), "real", { 0.0, 0.0, 0.0, 0.0, 0.0 })
  same(a:lt(3e9), "real", { 1.0, 1.0, 1.0, 1.0, 1.0 })
  same(a:gt(-4.5), "real", { 1.0, 1.0, 1.0, 0.0, 0.0 })
  same(a:eq(tensor(big)), "real", { 1.0, 0.0, 0.0, 0.0, 0.0 })
  same(a:eq(tensor(0 / 0)), "real", { 0.0, 0.0, 0.0, 0.0, 0.0 })
  same(uint8(3, 255):gt(a:slice({ 4, 5 })), "real", { 1.0, 1.0 })
  same(tensor.eq(big + 1, a), "real", { 0.0, 1.0, 0.0, 0.0, 0.0 })
end

function tests.test_selections_keep_the_type()
  same(a:maximum(b), "int32", { big + 1, big + 1, most, least + 1, -5 })
  same(a:minimum(b), "int32", { big, big + 1, most - 1, least, -5 })
  same(a:maximum(0), "int32", { big, big + 1, most, 0, 0 })
  same(tensor.where(a:eq(b), a, b), "int32", b:totable())
  same(tensor.where(a:eq(b), a, 0), "int32", { 0, big + 1, 0, 0, -5 })
  same(tensor.where(tensor { 1 }, int32(big + 1), int32(0)), "int32", { big + 1 })
  same(a:clip(-10, big + 1), "int32", { big, big + 1, big + 1, -10, -5 })
  same(uint8(1, 200):maximum(uint8(7, 7)), "uint8", { 7, 200 })
  same(uint8(1, 200):minimum(100), "uint8", { 1, 100 })
  same(uint8(1, 200):maximum(300), "int32", { 300, 300 })
  same(uint8(1, 200):clip(-3, 1000), "uint8", { 1, 200 })
  same(uint8(1, 200):maximum(int32(big + 1)), "int32", { big + 1, big + 1 })
end

function tests.test_selections_among_reals_are_real()
  same(int32(1, 3):maximum(2.5), "real", { 2.5, 3.0 })
  same(int32(1, 3):clip(1.5, 2), "real", { 1.5, 2.0 })
  same(tensor.where(int32(1, 0), 1, 0), "real", { 1.0, 0.0 })
  same(tensor.where(int32(1, 0), tensor { 0.5, 0.5 }, 0), "real", { 0.5, 0.0 })
end

function tests.test_reductions()
  local t = tensor({ { big, big + 1, 7 }, { most, least, -7 } }, { dtype = "int32" })
  same(t:max(1), "int32", { most, big + 1, 7 })
  same(t:min(1), "int32", { big, least, -7 })
  same(t:max(2), "int32", { big + 1, most })
  check.equal(math.tointeger(t:max():item()), most)
  check.equal(t:max():item(), most)
  same(t:argmax(2), "int32", { 2, 1 })
  same(t:argmin(1), "int32", { 1, 2, 2 })
  same(uint8(9, 3):max(), "uint8", 9)
  same(int32(big + 1, -big):sum(), "real", 1.0)
  same(t:sum(2):sub(int32(2 * big + 8, -8)), "real", { 0.0, 0.0 })
  check.near(int32(big + 1, big + 3):mean():sub(big + 2), 0)
  check.near(int32(big + 1, big + 3):var(), 1)
  local many = tensor.full(big + 1, 40000, 2, { dtype = "int32" })
  local less = tensor.full(-big, 40000, 2, { dtype = "int32" })
  check.equal(tensor.concat({ many, less }):sum(1):totable(), { 40000.0, 40000.0 })
  check.equal(tensor.concat({ many, less }):sum():item(), 80000.0)
  check.equal(many:var(1):totable(), { 0.0, 0.0 })
  same(many:max(1), "int32", { big + 1, big + 1 })
end

function tests.test_arithmetic_is_exact_and_rounded_once()
  same(a - b, "real", { -1.0, 0.0, 1.0, -1.0, 0.0 })
  same(int32(big + 1) - (big + 1), "real", { 0.0 })
  same((int32(most) + int32(least)), "real", { -1.0 })
  same(int32(most) + 1, "real", { 2.0 ^ 31 })
  same(int32(least) - 1 + 2 ^ 31, "real", { check.eps == 2 ^ -52 and -1.0 or 0.0 })
  same(int32(big + 1) / (big + 1), "real", { 1.0 })
  same(int32(big + 1):square() - int32(big + 1) * int32(big + 1), "real", { 0.0 })
  same(int32(big + 1):reciprocal() - 1 / int32(big + 1), "real", { 0.0 })
  same(int32(3, 4) * int32(5, 6), "real", { 15.0, 24.0 })
  same(int32(3, 4) + 0.5, "real", { 3.5, 4.5 })
  same(uint8(200) + uint8(100), "real", { 300.0 })
  same(uint8(0) - 1, "real", { -1.0 })
  same(-int32(7), "real", { -7.0 })
end

function tests.test_moves_keep_every_integer()
  same(a:slice({ 2, 3 }), "int32", { big + 1, most })
  same(a:gather(int32(2, 4)), "int32", { big + 1, least })
  same(tensor.concat({ a, b }):slice({ 2, 6 }), "int32", { big + 1, most, least, -5, big + 1 })
  same(a:reshape(5, 1):transpose():reshape(5), "int32", a:totable())
  same(a[2], "int32", big + 1)
end

function tests.test_made_without_reals()
  same(tensor.full(big + 1, 2, { dtype = "int32" }), "int32", { big + 1, big + 1 })
  same(tensor.arange(big, big + 2, { dtype = "int32" }), "int32", { big, big + 1, big + 2 })
  same(tensor.arange(most - 2, most, 2, { dtype = "int32" }), "int32", { most - 2, most })
  same(tensor.randint(most, most, 2), "int32", { most, most })
  same(int32(-0.0, 3.0), "int32", { 0, 3 })
end

function tests.test_what_does_not_fit_is_refused()
  for _, bad in ipairs { 2 ^ 31, -2 ^ 31 - 1, 1.5, 0 / 0, 1 / 0, math.maxinteger } do
    check.fails(function() int32(1, bad) end, "element 2")
    check.fails(function() int32(1, bad) end, "-2147483648 to 2147483647")
    check.fails(function() tensor.full(bad, 2, { dtype = "int32" }) end, "full")
  end
  check.fails(function() tensor.arange(1, 2, 0.5, { dtype = "int32" }) end, "element 2")
  check.fails(function() tensor.arange(254, 256, { dtype = "uint8" }) end, "element 3")
  for _, bad in ipairs { 3e9, 2.5, 0 / 0, -1 / 0 } do
    check.fails(function() tensor({ 1, bad }):cast("int32"):eval() end, "element 2")
  end
  check.fails(function() int32(1, 256):cast("uint8"):eval() end, "element 2")
  check.fails(function() int32(1, -1):cast("uint8"):eval() end, "element 2")
  same(tensor { -0.0, -2 ^ 31 }:cast "int32", "int32", { 0, least })
  same(int32(big + 1):cast "real", "real", { tensor(big + 1):item() })
end

function tests.test_printed_whole()
  check.equal(tostring(int32(most)[1]), "2147483647")
  check.equal(tostring(int32(least)[1]), "-2147483648")
  assert(tostring(a):find("16777217", 1, true))
  local many = tostring(tensor.arange(big + 1, big + 2001, { dtype = "int32" }))
  assert(many:find("min 16777217", 1, true) and many:find("max 16779217", 1, true), many)
end

function tests.test_files_keep_every_integer()
  for _, suffix in ipairs { ".npy", ".npz", ".safetensors" } do
    local path = check.temp .. "/ids" .. suffix
    tensor.save(path, a)
    local back = tensor.load(path)
    same(type(back) == "table" and back.tensor or back, "int32", a:totable())
  end
end

-- int64, as NumPy writes them: what int32 holds comes in exactly, the rest is refused.
local function npy_of_int64(path, ...)
  local head = "{'descr': '<i8', 'fortran_order': False, 'shape': (" .. select("#", ...) .. ",), }"
  head = head .. (" "):rep((64 - (10 + #head + 1) % 64) % 64) .. "\n"
  local file <close> = assert(io.open(path, "wb"))
  file:write("\x93NUMPY\1\0", string.pack("<I2", #head), head,
             string.pack("<" .. ("i8"):rep(select("#", ...)), ...))
end

function tests.test_files_of_int64()
  local path = check.temp .. "/wide.npy"
  npy_of_int64(path, big + 1, most, least)
  same(tensor.load(path), "int32", { big + 1, most, least })
  for _, bad in ipairs { most + 1, least - 1, math.maxinteger } do
    npy_of_int64(path, 1, bad)
    check.fails(function() tensor.load(path) end, "element 2")
  end
end

function tests.test_the_same_in_a_step()
  local w = tensor.variable(tensor { 1 })
  local function all(x, y)
    return x:eq(y), x - y, x:maximum(y), tensor.where(x:lt(y), x, y) + 1, x:max(), x:sum()
  end
  local step = train.step(function(x, y) return w:sum(), all(x, y) end, { w }, optim.SGD { lr = 0 })
  local outside = table.pack(all(a, b))
  for _ = 1, 2 do
    local inside = table.pack(select(2, step(a, b)))
    check.equal(inside.n, outside.n)
    for i = 1, inside.n do
      local got = type(inside[i]) == "userdata" and inside[i]:totable() or inside[i]
      check.equal(got, outside[i]:totable())
    end
  end
end

function tests.test_gradients_flow_past_integers()
  local g = grad(function(x) return tensor.where(a:eq(b), x, a):sum() end)(tensor { 1, 2, 3, 4, 5 })
  check.near(g, { 0, 1, 0, 0, 1 })
end

check.run(tests)
