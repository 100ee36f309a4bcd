-- print shows what the prompt shows; nets print as nets.

local check = dofile "tests/check.lua"
local tests = {}

local function printed(code, environment)
  local out, err, status = check.runner({ "-e", code }, environment)
  check.equal({ status, err }, { 0, "" })
  return out
end

function tests.test_tables_are_shown()
  check.equal(printed "print { 1, 2, { a = 3, [true] = 'x' } }",
    '{ 1, 2, { a = 3, [true] = "x" } }\n')
  check.equal(printed "print(tensor.zeros(2, 3).shape, {}, 'x')", "{ 2, 3 }\t{}\tx\n")
  check.equal(printed "local t = {} t.t = t print(t)", "{ t = { itself } }\n")
  check.equal(printed "print(nil, true, 3, 2.5, 0 / 0)", "nil\ttrue\t3\t2.5\tnan\n")
  check.equal(printed "local t = {} for i = 1, 1000 do t[i] = 'x' end print(t)":match "%d+ more",
    "976 more")
  local many = printed "local t = {} for i = 1, 3e5 do t['k' .. i] = i end print(t)"
  check.yes(many:find("^{\n  k1 = 1,\n  k10 = 10,\n  k100 = 100,") ~= nil, many)
  check.equal(many:match "%.%.%. (%d+) more", "299976")
  check.equal(printed "print { b = 1, a = 2, 7, [2.5] = 0, [10] = 3, [true] = 4 }",
    "{ 7, [2.5] = 0, [10] = 3, a = 2, b = 1, [true] = 4 }\n")
  check.equal(printed "print(function() end)", "function (-e:1)\n")
  check.equal(printed [[
    local how = { loss = "mse", epochs = 2, verbose = false, metrics = {} }
    local set, net = data.set(tensor.zeros(2, 1), tensor.zeros(2, 1)), nn.Dense(1)
    local h = train.fit(net, set, how)
    h.time_s = nil
    print(h) print(net:evaluate(set))]], "{ epoch = { 1, 2 }, loss = { 0.0, 0.0 }, " ..
    "lr = { 0.01, 0.01 }, stopped = false }\n{ loss = 0.0 }\n")
end

-- What has a text of its own gives it; tostring is Lua's.
function tests.test_texts_of_ones_own()
  check.equal(printed [[
    print(setmetatable({ 1 }, { __tostring = function() return "mine" end }))
    print({ setmetatable({ 1 }, { __tostring = function() return "mine" end }) })
    print(setmetatable({ 1 }, { __name = "Point" }) ~= nil)
    print(pcall(print, setmetatable({}, { __tostring = function() error("no", 0) end })))
    print((pcall(print, setmetatable({}, { __tostring = function() return {} end }))))
    print(setmetatable({ 1 }, { __index = error, __len = error }))
    print(tostring({}):match "^table: 0x" ~= nil)
  ]], "mine\n{ mine }\ntrue\nfalse\tno\nfalse\n{ 1 }\ntrue\n")
  check.yes(printed "print(setmetatable({ 1 }, { __name = 'Point' }))":find "^Point: 0x" ~= nil)
  check.equal(printed "coroutine.wrap(function() print { 1 } end)()", "{ 1 }\n")
end

function tests.test_lines_are_as_wide_as_columns_says()
  local code = "local t = {} for i = 1, 12 do t[i] = ('x'):rep(6) end print(t)"
  check.yes(#printed(code):match "[^\n]*" <= 80)
  check.equal(printed(code, "COLUMNS=200"):find "\n", #printed(code, "COLUMNS=200"))
end

-- What contains itself ends; what is in two places is shown in both.
function tests.test_tables_in_tables()
  check.equal(printed "local a = { 1 } print { a, a }", "{ { 1 }, { 1 } }\n")
  for _, table in ipairs { "package.loaded", "_G", "require 'runner'" } do
    check.yes(#printed("print(" .. table .. ")") > 100)
  end
end

function tests.test_a_net_prints_a_line_per_layer()
  local net = nn.Sequential { nn.Dense(3, { activation = "relu", init = "he_normal" }),
    nn.BatchNorm(), nn.Residual(nn.Dense(3)), "tanh", nn.Lambda(function(x) return x end),
    nn.Dropout(0.25), nn.Dense(2, { bias = false }) }
  check.equal(tostring(net), [[
nn.Sequential {
  [1] nn.Dense(3, activation = relu, init = he_normal)
  [2] nn.BatchNorm()
  [3] nn.Residual {
    [1] nn.Dense(3)
  }
  [4] nn.Activation(tanh)
  [5] nn.Lambda(...)
  [6] nn.Dropout(0.25)
  [7] nn.Dense(2, bias = false)
}]])
  net:build { 4 }
  local text = tostring(net)
  check.yes(text:find("[1] nn.Dense(3, activation = relu, init = he_normal)  4 -> 3\n", 1,
    true) ~= nil, text)
  check.yes(text:find("    [1] nn.Dense(3)  3 -> 3\n", 1, true) ~= nil, text)
  check.yes(text:find("[7] nn.Dense(2, bias = false)  3 -> 2\n}", 1, true) ~= nil, text)
  local lua = { gain = tensor.variable(tensor.ones(3)) }
  function lua:forward(x) return x * self.gain end
  check.equal(tostring(nn.Sequential { nn.Dense(3), lua }:build { 2 }),
    "nn.Sequential {\n  [1] nn.Dense(3)  2 -> 3\n  [2] nn.Custom(...)  3 -> 3\n}")
  check.equal(printed "print { nn.Sequential { nn.Dense(1) } }", "{ nn.Sequential { ... } }\n")
  check.equal(tostring(nn.Sequential {}), "nn.Sequential {}")
  check.equal(tostring(nn.Concat(nn.Identity(), { axis = 1 })),
    "nn.Concat(axis = 1) {\n  [1] nn.Identity()\n}")
  check.equal(tostring(nn.Dense(3)), "nn.Dense { units = 3, activation = none, bias = true, " ..
    "init = glorot_uniform, bias_init = zeros }")
end

-- Those that are written in Lua, too.
function tests.test_functions_of_the_library()
  check.equal(printed "print(nn.Dense)", "function nn.Dense\n")
  for _, name in ipairs { "args", "experiment", "grad", "apropos" } do
    local text = printed(("print(%s)"):format(name))
    check.equal(text:find("function " .. name, 1, true), 1, text)
  end
end

-- A layer in many places makes more lines than anybody reads.
function tests.test_the_lines_of_a_net_have_an_end()
  local net = nn.Identity()
  for _ = 1, 12 do net = nn.Sequential { net, net } end
  local _, n = tostring(net):gsub("\n", "")
  check.yes(n < 2100, n)
end

function tests.test_the_summary_names_activations()
  local summary = nn.Sequential { nn.Dense(3, { activation = "relu" }), nn.elu(2),
    nn.Dense(2) }:build { 4 }:summary()
  check.yes(summary:find("dense_1 (relu)             N x 3                        15  yes", 1,
    true) ~= nil, summary)
  check.yes(summary:find("activation_1 (elu) ", 1, true) ~= nil, summary)
  check.yes(summary:find("\ndense_2  ", 1, true) ~= nil, summary)
end

check.run(tests)
