-- calls.lua: random calls with random arguments on everything that a script can reach of
-- the library. Run by test_calls.c with `input`:
--
--   input.byte()   the next byte of the fuzzer's input, 0 where it has ended
--   input.left()   has it more?
--   input.words    names of options, kinds and choices, of all records
--   input.options  name of a kind -> names of its options
--   input.library  the library's table: what `require "runner"` gives
--
-- Functions are found by walking the library's tables, methods by asking each value that a
-- call has given; so what is new is covered by itself. Each call is protected: an error is
-- as good as a result. What counts is that the program neither dies nor hangs nor leaks.

local input = ...
local byte = input.byte

local function below(n) return n <= 256 and byte() % n or (byte() * 256 + byte()) % n end
local function one_of(list) return list[1 + below(math.max(#list, 1))] end

-- -- what can be called ---------------------------------------------------------------

local functions, seen = {}, {}
local option_names      -- those of the kind that is being called, or nil

local function callable(value)
  if type(value) == "function" then return true end
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- A metatable that a script can get is as public as a module.
local function walk(value, name)
  if seen[value] then return end
  seen[value] = true
  if callable(value) then functions[#functions + 1] = { call = value, name = name } end
  if type(value) == "table" then
    for _, key in ipairs(sorted(value)) do walk(value[key], key) end
  end
  local meta = type(value) ~= "string" and getmetatable(value)
  if type(meta) == "table" then walk(meta) end
end
for _, name in ipairs(sorted(input.library)) do walk(input.library[name], name) end

-- Names of a value's methods: they stand in a table that __index is or has.
local method_names = {}
local function methods(value)
  local meta = debug.getmetatable(value)
  if not meta then return {} end
  if not method_names[meta] then
    local index, names = meta.__index, {}
    if type(index) == "table" then names = sorted(index) end
    for i = 1, type(index) == "function" and 8 or 0 do
      local name, upvalue = debug.getupvalue(index, i)
      if name and type(upvalue) == "table" then
        for _, key in ipairs(sorted(upvalue)) do names[#names + 1] = key end
      end
    end
    method_names[meta] = names
  end
  return method_names[meta]
end

-- -- values ------------------------------------------------------------------------------

local pool = {}      -- what calls have given
local value          -- (depth) -> a random value

-- One of this type (the name that metatables have), if there is one, mostly.
local function pooled(type_name)
  local found = {}
  for _, v in ipairs(pool) do
    local meta = debug.getmetatable(v)
    if type(meta) == "table" and rawget(meta, "__name") == type_name then
      found[#found + 1] = v
    end
  end
  return one_of(#found > 0 and below(8) > 0 and found or pool)
end

local function keep(v)
  if v == nil then return end
  if #pool < 32 then pool[#pool + 1] = v else pool[1 + below(32)] = v end
end

local numbers = {
  0, 1, 2, 3, 4, 5, 7, 8, -1, -2, -3, 0.5, 0.1, 1e-3, 1.5, -0.0, 0 / 0, 1 / 0, -1 / 0, 3.0,
  10, 16, 33, 100, 255, 256, 65536, 2 ^ 31, 2 ^ 31 - 1, -2 ^ 31, 2 ^ 32, 2 ^ 40, 2 ^ 53,
  2 ^ 63, -2 ^ 63, 1e300, -1e300, 1e-300, 5e-324, math.maxinteger, math.mininteger, 1e9,
}
local texts = {
  "", "x", "nn", "\0", "a\0b", "\xff\xfe", ("long"):rep(2000), "%s%n", "1", "-1", "0x10",
  "a.safetensors", "a.npy", "a.npz", "a.csv", "a.png", ".", "/", "none", "auto", "real",
  "int32", "uint8", "float64", ".*", "[", "%", "*weight*", "dense_1", "dense_1.weight",
}

local function text()
  if option_names and #option_names > 0 and below(8) > 0 then return one_of(option_names) end
  if below(4) > 0 then return one_of(input.words) end
  return one_of(texts)
end

local function size() return one_of { 1, 2, 3, 2, 4, 5, 0, 7 } end

local function small_tensor()
  local t, rank, shape = input.library.tensor, below(5), {}
  for i = 1, rank do shape[i] = size() end
  local dtype = one_of { "real", "real", "real", "int32", "uint8" }
  local make = one_of { "rand", "ones", "zeros", "full", "randint" }
  local ok, made
  if make == "full" then ok, made = pcall(t.full, one_of(numbers), shape, { dtype = dtype })
  elseif make == "randint" then ok, made = pcall(t.randint, 1, size(), shape)
  else ok, made = pcall(t[make], shape, { dtype = dtype }) end
  return ok and made or nil
end

local function list(depth)
  local out = {}
  for i = 1, below(5) do out[i] = value(depth + 1) end
  return out
end

local function options(depth)
  local out = below(3) == 0 and list(depth) or {}
  for _ = 1, below(5) do out[text()] = value(depth + 1) end
  return out
end

local function hostile_table(depth)
  local raises = function() error "hostile" end
  return setmetatable(list(depth), one_of {
    { __index = raises }, { __len = raises }, { __len = function() return 2 ^ 40 end },
    { __call = raises }, { __pairs = raises }, { __name = "runner.tensor" },
    { __tostring = raises }, { __tostring = function() return 1 end },
  })
end

local random_call

local function user_function()
  local fixed = value(3)
  return one_of {
    function(...) return ... end,
    function(x) return x * 2 end,
    function(x) return x:sum() end,
    function() return fixed end,
    function() end,
    function() error "user" end,
    function() error { "table" } end,
    function() coroutine.yield() end,
    function(...) random_call(...) return ... end,
    function() collectgarbage() return fixed end,
    function(x) x.forward = fixed return x end,
  }
end

local makers = {
  function() return one_of(numbers) end,
  function() return below(6) end,
  text,
  function() return below(2) == 0 end,
  function() return nil end,
  small_tensor, small_tensor,
  function() return one_of(pool) end, function() return one_of(pool) end,
  function() return one_of(pool) end, function() return one_of(pool) end,
  options, list, hostile_table, user_function,
  function() return coroutine.create(function() end) end,
  function() return io.stdout end,
  function(depth) return { forward = user_function(), [text()] = value(depth + 1) } end,
}

function value(depth)
  if depth > 3 or not input.left() then return below(4) end
  return one_of(makers)(depth)
end

-- A first value, if any, then random ones; a table among them has options of that kind.
local function arguments(name, first)
  option_names = input.options[name]
  local out = { n = below(5), first }
  local from = first ~= nil and 2 or 1
  for i = from, out.n do out[i] = value(0) end
  out.n = math.max(out.n, from - 1)
  if option_names and below(2) == 0 then
    out.n = out.n + 1
    out[out.n] = options(1)
  end
  option_names = nil
  return table.unpack(out, 1, out.n)
end

-- -- calls -------------------------------------------------------------------------------

local function keep_results(ok, ...)
  if not ok then return end
  for i = 1, math.min(select("#", ...), 4) do keep((select(i, ...))) end
end

local operators = {
  function(a, b) return a + b end, function(a, b) return a - b end,
  function(a, b) return a * b end, function(a, b) return a / b end,
  function(a, b) return a ^ b end, function(a, b) return a % b end,
  function(a, b) return a // b end, function(a) return -a end,
  function(a) return #a end, function(a, b) return a == b end,
  function(a, b) return a < b end, function(a, b) return a <= b end,
  function(a, b) return a .. b end, function(a, b) return a[b] end,
  function(a, b, c) a[b] = c end, function(a) return tostring(a) end,
  function(a, ...) return a(...) end, function(a) return pairs(a) end,
  function(a) for _, v in pairs(a) do keep(v) end end,
  function(a) local _ <close> = a end,
  function(a, ...) for x, y in a, ... do keep(x) keep(y) break end end,
}

local function call_function(...)
  local f = one_of(functions)
  keep_results(pcall(f.call, arguments(f.name, ...)))
end

local function call_method()
  local self = one_of(pool)
  local name = one_of(methods(self))
  if not name then return end
  local found, method = pcall(function() return self[name] end)
  if not found then return end
  if below(8) == 0 then keep_results(pcall(method, arguments(name)))
  else keep_results(pcall(method, arguments(name, self))) end
end

local function call_operator()
  keep_results(pcall(one_of(operators), value(0), value(0), value(0)))
end

local function use_field()
  local object, name = one_of(pool), text()
  if below(2) == 0 then keep_results(pcall(function() return object[name] end))
  else pcall(function() object[name] = value(0) end) end
end

local function call_in_coroutine()
  local f = one_of(functions)
  local thread = coroutine.create(function(...) return f.call(...) end)
  keep_results(coroutine.resume(thread, arguments(f.name)))
end

-- Steps and fits that would work, with options that may not.
local function train_step()
  local lib = input.library
  local net, x = pooled "runner.layer", pooled "runner.tensor"
  local made, step = pcall(lib.train.step, function(...)
    if below(4) == 0 then random_call() end
    return (net(...) ^ 2):mean()
  end, net, one_of { lib.optim.SGD { lr = 0.1 }, pooled "runner.optimizer", value(1) },
    one_of { { static = true }, {}, options(1) })
  keep(made and step or nil)
  for _ = 1, made and below(4) or 0 do keep_results(pcall(step, x)) end
end

local function train_fit()
  local lib = input.library
  option_names = input.options.fit
  local given = options(1)
  option_names = nil
  given.loss = given.loss or one_of { "mse", "sparse_categorical_crossentropy", value(1) }
  given.optimizer = given.optimizer or one_of { "sgd", "adam", value(1) }
  given.epochs = given.epochs or below(3)
  given.verbose = false
  keep_results(pcall(lib.train.fit, pooled "runner.layer", pooled "runner.set", given))
end

local statements = {
  call_function, call_function, call_function, call_method, call_method, call_method,
  call_operator, call_operator, use_field, train_step, train_fit, call_in_coroutine,
}

local depth = 0
function random_call(...)
  if depth > 3 or not input.left() then return end
  depth = depth + 1
  pcall(one_of(statements), ...)
  depth = depth - 1
end

-- -- the program --------------------------------------------------------------------------

local function begin()
  local tensor, nn, data = input.library.tensor, input.library.nn, input.library.data
  local net = nn.Sequential { nn.Dense(3, { activation = "relu" }), nn.Dense(2) }
  net:build { 2 }
  pool = {
    net, tensor { { 1, 2 }, { 3, 4 } }, tensor { 1, 2, 1 }, tensor.variable(tensor { 1, 2 }, "v"),
    data.xor { n = 8 }, nn.BatchNorm {}, input.library.optim.Adam {}, nn.Dropout(0.5),
    data.spirals { n = 6, classes = 2 }, nn.Sequential { nn.Dense(2) },
  }
end

begin()
while input.left() do random_call() end
