-- Initializers: moments against their formulas, the rule that a summary shows, "auto".

local check = dofile "tests/check.lua"
local tests = {}

local ROWS, COLUMNS = 300, 400
local N = ROWS * COLUMNS
local deviation_of_cut = 0.87962566103423978

local function drawn(rule)
  return nn.Dense(COLUMNS, { init = rule }):build { ROWS }.weight
end

-- The deviation of the formula; the mean where it is not 0. Orthogonal: ROWS rows of length 1.
local laws = {
  zeros = { 0 }, ones = { 0, 1 }, constant = { 0, 0 },
  normal = { 0.05 }, uniform = { 0.1 / 12 ^ .5 }, truncated_normal = { 0.05 * deviation_of_cut },
  variance_scaling = { (1 / ROWS) ^ .5 },
  glorot_uniform = { (2 / (ROWS + COLUMNS)) ^ .5 }, glorot_normal = { (2 / (ROWS + COLUMNS)) ^ .5 },
  he_uniform = { (2 / ROWS) ^ .5 }, he_normal = { (2 / ROWS) ^ .5 },
  lecun_uniform = { (1 / ROWS) ^ .5 }, lecun_normal = { (1 / ROWS) ^ .5 },
  orthogonal = { (1 / COLUMNS) ^ .5 }, sparse = { 0.01 * 0.1 ^ .5 },
}

-- Of n values of a law the sample's mean is off by sd / sqrt(n), its deviation by about
-- sd sqrt((kurtosis - 1) / 4 n): four such are allowed, of the sparse one's kurtosis, 30.
function tests.test_every_initializer_has_the_moments_of_its_formula()
  local names = {}
  for name, f in pairs(init) do names[name] = tostring(f) == "function init." .. name or nil end
  for _, other in ipairs { "gain", "lsuv", "auto", "identity" } do names[other] = nil end
  for name, law in pairs(laws) do
    local net = nn.Sequential { nn.Dense(COLUMNS, { init = name, bias = false }) }:build { ROWS }
    local w, std, mean = net[1].weight, law[1], law[2] or 0
    check.yes(math.abs(w:mean():item() - mean) <= 4 * std / N ^ .5 + 1e-9, name)
    local off = math.abs(w:var():item() ^ .5 - std)
    local allowed = 4 * std * ((name == "sparse" and 29 or 2) / (4 * N)) ^ .5 + 1e-9
    check.yes(off <= allowed, ("%s: off by %g, allowed: %g"):format(name, off, allowed))
    local said = net:summary { init = true }:match "dense_1.weight[^\n]*"
    check.yes(said:find(name, 1, true) ~= nil, said)
    local rule = tonumber(said:match "(%S+) +%S+$")
    check.near(rule, std, 1e-3, name)
  end
  for name in pairs(names) do check.yes(laws[name] ~= nil, name .. " has no law here") end
end

function tests.test_uniform_laws_end_where_they_should()
  for name, c in pairs { glorot_uniform = 6 / (ROWS + COLUMNS), he_uniform = 6 / ROWS,
    lecun_uniform = 3 / ROWS } do
    local largest = drawn(name):abs():max():item()
    check.yes(largest <= c ^ .5 * 1.000001 and largest > c ^ .5 * 0.999, name)
  end
end

function tests.test_orthogonality()
  for _, shape in ipairs { { 50, 30 }, { 30, 50 }, { 20, 20 } } do
    local w = init.orthogonal { gain = 3 }(table.unpack(shape))
    local square = shape[1] < shape[2] and w:matmul(w:transpose()) or w:transpose():matmul(w)
    local off = (square - tensor.eye(math.min(shape[1], shape[2])) * 9):abs():max():item()
    check.yes(off <= 9e-5, off)
  end
end

function tests.test_functions_as_initializers()
  local seen
  local layer = nn.Dense(3, { init = function(shape, fan_in, fan_out)
    seen = { shape[1], shape[2], fan_in, fan_out }
    return tensor.full(0.5, table.unpack(shape))
  end }):build { 2 }
  check.equal(seen, { 2, 3, 2, 3 })
  check.near(layer.weight, { { .5, .5, .5 }, { .5, .5, .5 } })
  check.fails(function()
    nn.Dense(3, { init = function() return tensor.ones(2) end }):build { 2 }
  end, "got 2, allowed: 2x3")
end

-- The rules of the weights in order.
local function rules(net)
  local found = {}
  for rule in net:summary { init = true }:gmatch "%.weight +auto: (%S+)" do
    found[#found + 1] = rule
  end
  return found
end

local function dense(options)
  options = options or {}
  options.init = "auto"
  return nn.Dense(4, options)
end

function tests.test_auto_follows_the_activation()
  local net = nn.Sequential {
    dense { activation = "relu" }, dense { activation = "tanh" }, dense { activation = "selu" },
    dense(), nn.BatchNorm(), nn.Dropout(0.1), "gelu",
    dense(), nn.PReLU(), dense { activation = "rrelu" }, dense(), dense(), nn.Sequential { "elu" },
    nn.Sequential { dense() }, "sigmoid", dense { activation = function(x) return x end },
    nn.WeightNorm(dense()), "silu", dense() }
  net:build { 4 }
  check.equal(rules(net), { "he_normal", "glorot_uniform", "lecun_normal", "he_normal", "he_normal",
    "he_normal", "glorot_uniform", "he_normal", "glorot_uniform", "glorot_uniform", "he_normal",
    "glorot_uniform" })
  check.near(net[1].weight, nn.Sequential { nn.Dense(4, { init = "he_normal" }) }:build { 4 }[1]
    .weight:mean():item() * 0 + net[1].weight)
  local images = nn.Sequential { nn.Conv2D(8, 3, { init = "auto" }), "relu" }:build { 5, 6, 6 }
  check.near(images[1].weight:var():item(), 2 / 45, 0.015)
  for _, alone in ipairs { dense(), nn.Residual(dense()),
    nn.Sequential { dense(), function(x) return x end } } do
    check.fails(function() alone:build { 4 } end, "init.auto: it is not known", "nn.Sequential")
  end
  check.fails(function() init.auto()(3, 4):eval() end, "init.auto")
end

function tests.test_the_rule_is_shown()
  local net = nn.Sequential {
    nn.Dense(20, { init = init.he_normal { gain = 2, mode = "fan_out" } }), nn.BatchNorm() }
  net:build { 10 }
  local text = net:summary { init = true }
  local sd = ("%.4g"):format(2 * (2 / 20) ^ .5)
  local drawn_sd = ("%.4g"):format(net[1].weight:var():item() ^ .5)
  check.equal(text:match "dense_1.weight.- (%S+)\n", drawn_sd)
  check.yes(text:find("dense_1.weight +he_normal +fan_out 20 +2.828 +" .. sd) ~= nil, text)
  check.yes(text:find "dense_1.bias +zeros +0 +0\n" ~= nil, text)
  check.yes(text:find "batch_norm_1.running_var +constant +0 +0" ~= nil, text)
  check.equal(net:summary():find("Initial value", 1, true), nil)
  check.yes(init.lsuv(net, tensor.randn(9, 10)):summary { init = true }
    :find "dense_1.weight +lsuv +[%d.]+\n" ~= nil)
  check.yes(net:summary("mse", { init = true }):find "loss mse" ~= nil)
end

-- Of each fit, with the run: what was drawn, not what it became.
function tests.test_records_keep_the_rules()
  local path = check.file("kept.lua", [[
    local set = data.set(tensor.randn(20, 3), tensor.randn(20, 2))
    for _ = 1, 2 do
      local net = nn.Sequential { nn.Dense(5, { activation = "relu", init = "auto" }), nn.Dense(2) }
      train.fit(net, set, { loss = "mse", epochs = 1, verbose = false })
    end
  ]])
  local _, said, status = check.runner { path }
  check.equal(status, 0, said)
  local directory = check.temp .. "/" .. said:match "record: (%S+)"
  local meta = check.read(directory .. "/meta.json"):gsub("%s+", " ")
  local rule = '{ "variable": "dense_1.weight", "rule": "auto: he_normal", "mode": "fan_in", '
    .. '"fan": 3.0, "gain": 1.41421356'
  check.yes(meta:find('"init": [ ' .. rule, 1, true) ~= nil, meta)
  check.yes(meta:find('"fit2.init": [ ' .. rule, 1, true) ~= nil, meta)
  check.yes(meta:find('"variable": "dense_2.weight", "rule": "glorot_uniform"', 1, true) ~= nil)
  check.equal(meta:find "dense_1.bias", nil)
end

check.run(tests)
