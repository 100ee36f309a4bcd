-- Files of tensors: what NumPy wrote is read (tests/tensor/fixtures, made by
-- make_fixtures.py), and NumPy reads what is written, where it is installed.

local check = dofile "tests/check.lua"
local tests = {}

local function fixture(name) return tensor.load("tests/tensor/fixtures/" .. name) end

local function counted() return tensor.arange(0, 23):reshape(2, 3, 4) end

local function same(got, want)
  check.equal(got.shape, want.shape)
  check.equal(got:totable(), want:totable())
end

function tests.test_types_and_byte_orders()
  local values = {
    f = { -1.5, 0.25, 1000 }, i = { -2, 0, 100 }, u = { 2, 0, 100 }, b = { 1, 0, 1 },
  }
  local dtypes = { u1 = "uint8", b1 = "uint8" }
  local n = 0
  for name, t in pairs(fixture "types.npz") do
    local code = name:match "^(%w%d)_"
    check.equal(t:totable(), values[code:sub(1, 1)], name)
    check.equal(t.dtype, dtypes[code] or code:sub(1, 1) == "f" and "real" or "int32", name)
    n = n + 1
  end
  check.equal(n, 24)
end

function tests.test_orders_of_axes()
  for _, name in ipairs { "row_major", "column_major", "column_major_high" } do
    same(fixture(name .. ".npy"), counted())
  end
end

function tests.test_odd_shapes_and_versions()
  check.equal(fixture("scalar.npy"):item(), 7)
  check.equal(fixture("scalar.npy").shape, {})
  check.equal(fixture("empty.npy").shape, { 0, 3 })
  check.equal(fixture("version_2.npy"):totable(), { 1, 2, 3 })
  check.equal(fixture("version_3.npy"):totable(), { 1, 2, 3 })
end

function tests.test_archives()
  local packed, streamed = fixture "compressed.npz", fixture "streamed.npz"
  same(packed.counted, counted())
  check.equal(packed.ones:sum():item(), 400)
  same(streamed.counted, counted())
  check.equal(streamed.n:item(), 7)
end

function tests.test_what_cannot_be_held_is_refused()
  check.fails(function() fixture "large_int.npy" end, "large_int.npy", "element 2 (I64)",
    "does not fit type int32")
  check.fails(function() fixture "complex.npy" end, "'<c16' cannot be used", "f4")
  check.fails(function() fixture "records.npy" end, "array of records")
  check.fails(function() fixture "text.npy" end, "'<U2' cannot be used")
  check.fails(function() fixture "none.npy" end, "none.npy: cannot be read")
  check.fails(function() fixture "types.zip" end, "unknown format", ".npy .npz .safetensors")
end

-- Text, complex numbers, records, objects and more than six axes leave the numbers alone.
function tests.test_what_is_no_number_is_left_out_of_archives()
  local path = "tests/tensor/fixtures/mixed.npz"
  local mixed = tensor.load(path)
  same(mixed.counted, counted())
  check.equal(mixed.n:item(), 7)
  local n = 0
  for _ in pairs(mixed) do n = n + 1 end
  check.equal(n, 2)
  check.file("mixed.npz", check.read(path))
  local _, err = check.runner { "-e", "tensor.load 'mixed.npz'" }
  for _, said in ipairs { "\"names\" is left out: elements of type '<U2'", "'<c16'", "'|O'",
    '"table" is left out: is an array of records', '"deep" is left out: has more than 6 axes' } do
    check.yes(err:find(said, 1, true) ~= nil, err)
  end
  check.equal(select(2, err:gsub("left out", "")), 5)
  local damaged, n_changed = check.read(path):gsub("a%z%z%zb", "a\0\0\1b")
  check.equal(n_changed, 1)
  check.fails(function() tensor.load(check.file("damaged.npz", damaged)) end, "damaged.npz",
    'array "names.npy"')
  check.fails(function() fixture "no_numbers.npz" end, "holds no array of numbers", '"names"',
    "'<U2' cannot be used")
end

-- Where a real is a float, numbers beyond it are refused, with their place.
function tests.test_numbers_beyond_the_type_are_refused()
  if check.eps == 2 ^ -52 then return end
  check.fails(function() tensor { { 1, 2 }, { 3, -1e300 } } end, "element 4", "float does not hold")
  check.fails(function() tensor(1e39) end, "element 1")
  check.fails(function() tensor.full(1e300, 2) end, "argument 1")
  check.fails(function() tensor.linspace(0, 1e39, 3) end, "argument 2")
  check.fails(function() tensor.arange(1e39, 3e39, 1e39) end, "argument 1")
  check.equal(tensor({ math.huge, -math.huge }):totable(), { math.huge, -math.huge })
  check.equal(tensor({ 1e-300, 3.4e38 })[1]:item(), 0)
end

function tests.test_saving_refuses_what_it_cannot_write()
  local path = check.temp .. "/x"
  check.fails(function() tensor.save(path .. ".npy", { a = tensor { 1 } }) end, "got a table",
    "a tensor")
  check.fails(function() tensor.save(path .. ".npz", { a = 1 }) end, "got a = a number")
  check.fails(function() tensor.save(path .. ".npz", { ["a\0b"] = tensor { 1 } }) end, "a")
  check.fails(function() tensor.save(path .. ".npy", tensor { 1 }, { compress = true }) end,
    ".npy files are not compressed")
  check.fails(function() tensor.save(path .. ".npz", tensor { 1 }, { pack = true }) end,
    "compress = true or false")
  check.fails(function() tensor.save(path .. ".txt", tensor { 1 }) end, "unknown format")
  check.equal(io.open(path .. ".npy"), nil)
end

local function all_kinds()
  return {
    real = counted() / 7, int = tensor({ -5, 6 }, { dtype = "int32" }),
    byte = tensor({ { 0, 255 } }, { dtype = "uint8" }), scalar = tensor(2.5),
    empty = tensor.zeros(0, 3),
  }
end

function tests.test_round_trips()
  for _, name in ipairs { "a.npz", "a.safetensors" } do
    local path = check.temp .. "/" .. name
    tensor.save(path, all_kinds())
    local read = tensor.load(path)
    for key, t in pairs(all_kinds()) do
      same(read[key], t)
      check.equal(read[key].dtype, t.dtype)
    end
  end
  local path = check.temp .. "/one.npz"
  tensor.save(path, tensor { 1, 2 }, { compress = true })
  same(tensor.load(path).tensor, tensor { 1, 2 })
end

local numpy_check = [==[
import sys, numpy as np
root = sys.argv[1]
for name in "plain.npz", "packed.npz":
    z = np.load(root + name)
    assert sorted(z) == ["byte", "empty", "int", "real", "scalar"], sorted(z)
    want = (np.arange(24) / 7).reshape(2, 3, 4)
    assert z["real"].dtype in ("f4", "f8") and z["real"].shape == (2, 3, 4)
    assert np.abs(z["real"] - want).max() < 1e-6
    assert z["int"].dtype == "i4" and list(z["int"]) == [-5, 6]
    assert z["byte"].dtype == "u1" and z["byte"].tolist() == [[0, 255]]
    assert z["scalar"].shape == () and z["scalar"] == 2.5
    assert z["empty"].shape == (0, 3)
assert np.load(root + "one.npy").tolist() == [[1, 2], [3, 4]]
]==]

function tests.test_numpy_reads_what_is_written()
  local python = "/usr/bin/python3"
  if not os.execute(python .. " -c 'import numpy' 2>/dev/null") then return end
  local root = check.temp .. "/"
  tensor.save(root .. "plain.npz", all_kinds())
  tensor.save(root .. "packed.npz", all_kinds(), { compress = true })
  tensor.save(root .. "one.npy", tensor { { 1, 2 }, { 3, 4 } })
  local script = check.file("check.py", numpy_check)
  check.yes(os.execute(python .. " " .. script .. " " .. root))
  check.yes(os.execute(python .. " -m zipfile -t " .. root .. "packed.npz >/dev/null"))
end

check.run(tests)
