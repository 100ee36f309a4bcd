-- Probes of a fit: what they measure, that they change nothing, what the record keeps of them.

local check = dofile "tests/check.lua"
local tests = {}

local CE = "sparse_categorical_crossentropy"

local function chain(depth, units)
  local net = nn.Sequential {}
  for _ = 1, depth do net:add(nn.Dense(units, { activation = "tanh" })) end
  net:add(nn.Dense(3))
  return net
end

local function blobs(n) return data.spirals { n = n or 96, classes = 3, noise = 0.3 } end

local function fit(net, options)
  local all = { loss = CE, optimizer = "Adam", batch_size = 16, probes = "gradients",
    verbose = false, record = false }
  for name, value in pairs(options or {}) do all[name] = value end
  return train.fit(net, all.set or blobs(), (function() all.set = nil return all end)())
end

local function layers(h)
  local out = {}
  for i, s in ipairs(h.probes.gradients) do out[i] = s.layer end
  return table.concat(out, " ")
end

-- The steps that the windows of a series cover, in number.
local function covered(s)
  local n = 0
  for i = 1, #s.mean do n = n + s.step_last[i] - s.step_first[i] + 1 end
  return n
end

-- -- what is measured ------------------------------------------------------------------------

function tests.test_norms_of_gradients_by_hand()
  local x, y = tensor.randn(32, 2), tensor.randint(1, 3, 32)
  local net = chain(2, 5)
  net:build { 2 }
  local want = {}
  local l = loss.sparse_categorical_crossentropy(net(x), y)
  local p = net:parameters()
  for i, g in ipairs(grad(l, p)) do want[p[i].name] = g:square():sum():sqrt():item() end
  local h = fit(net, { set = data.set(x, y), batch_size = 32, shuffle = false })
  check.equal(#h.probes.gradients, 6)
  for name, norm in pairs(want) do
    local s = h.probes.gradients[name].norm
    check.equal({ s.layer, s.quantity, s.step_first, s.step_last }, { name, "norm", { 1 }, { 1 } })
    for _, column in ipairs { "mean", "min", "max", "last" } do
      check.near(s[column], { norm }, 1e-5)
    end
  end
end

-- Neither clipping nor the rule of the optimizer is in it.
function tests.test_gradients_before_clipping()
  local function first(optimizer)
    tensor.seed(4)
    return fit(chain(1, 4), { optimizer = optimizer }).probes.gradients[1].mean[1]
  end
  local want = first "SGD"
  check.equal(first(optim.Adam { clipnorm = 1e-3 }), want)
  check.equal(first(optim.SGD { clipvalue = 1e-4, momentum = 0.9 }), want)
end

function tests.test_windows_join_steps()
  local h = fit(chain(1, 4), { epochs = 5 })
  for _, s in ipairs(h.probes.gradients) do
    check.equal(s.step_first, { 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 25, 29 })
    check.equal(s.step_last, { 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 18, 21, 24, 28, 30 })
    for i = 1, #s.mean do
      check.yes(s.min[i] <= s.mean[i] and s.mean[i] <= s.max[i])
      check.yes(s.min[i] <= s.last[i] and s.last[i] <= s.max[i] and s.max[i] < math.huge)
    end
    check.yes(s.min[16] < s.max[16])
  end
end

function tests.test_40_layers()
  local h = fit(chain(39, 8), { set = blobs(16) })
  check.equal(#h.probes.gradients, 80)
  check.yes(layers(h):find("^dense_1.weight dense_1.bias dense_2.weight .* dense_40.bias$") ~= nil)
  for _, s in ipairs(h.probes.gradients) do check.equal(#s.mean, 1) end
end

function tests.test_a_shared_layer_is_one()
  local shared = nn.Dense(6, { activation = "tanh" })
  local net = nn.Sequential { nn.Dense(6), shared, shared, nn.Dense(3) }
  check.equal(layers(fit(net)), "dense_1.weight dense_1.bias dense_2.weight dense_2.bias " ..
    "dense_3.weight dense_3.bias")
end

-- 6 steps an epoch; dense_2 is frozen in epochs 3 and 4, that is steps 13 to 24.
function tests.test_a_layer_that_is_frozen_for_a_while()
  local net = chain(2, 5)
  local h = fit(net, { epochs = 6, callbacks = { function(info)
    if info.epoch == 2 then net:freeze "dense_2" end
    if info.epoch == 4 then net:unfreeze "dense_2" end
  end } })
  local rest, frozen = h.probes.gradients[1], h.probes.gradients["dense_2.weight"].norm
  check.equal(#h.probes.gradients, 6)
  check.equal(covered(rest), 36)
  check.equal(covered(frozen), 24)
  for i, first in ipairs(frozen.step_first) do
    check.yes(first <= 12 and frozen.step_last[i] <= 12 or first >= 25)
  end
  check.equal(frozen.step_first[#frozen.step_first], rest.step_first[#rest.step_first])
end

function tests.test_other_nets()
  local net = nn.Sequential { nn.Residual(nn.Sequential { nn.Dense(2), nn.BatchNorm() }),
    nn.Dropout(0.2), nn.Concat { nn.Dense(4), nn.Identity() }, nn.LayerNorm(), nn.Dense(3) }
  check.equal(layers(fit(net)), "dense_1.weight dense_1.bias batch_norm_1.weight " ..
    "batch_norm_1.bias dense_2.weight dense_2.bias layer_norm_1.weight layer_norm_1.bias " ..
    "dense_3.weight dense_3.bias")
  local own = { a = tensor.variable(tensor { { 1, 2, 3 }, { 1, 0, 1 } }),
    forward = function(self, x) return x:matmul(self.a) end }
  check.equal(#fit(nn.Sequential { own }, { epochs = 2 }).probes.gradients, 1)
end

-- -- ends ------------------------------------------------------------------------------------

function tests.test_a_fit_that_diverges()
  local net = nn.Sequential { nn.Dense(2), nn.Dense(1) }
  local set = data.set(tensor.randn(16, 2), tensor.randn(16, 1))
  check.fails(function()
    fit(net, { set = set, loss = "mse", optimizer = optim.SGD { lr = 1e4 }, epochs = 50 })
  end, "not finite")
  local s = train.history().probes.gradients[1]
  check.yes(#s.mean > 1 and s.max[#s.max] > 1e6 * s.max[1])
end

function tests.test_early_stopping()
  local h = fit(chain(1, 4), { epochs = 50, validation_data = blobs(), callbacks = {
    train.early_stopping { patience = 1, mode = "max", min_delta = 100 } } })
  check.yes(h.stopped)
  check.equal(covered(h.probes.gradients[1]), 6 * #h.epoch)
end

function tests.test_one_step()
  local h = fit(chain(1, 4), { set = blobs(16) })
  check.equal(h.probes.gradients[1].step_last, { 1 })
end

function tests.test_many_steps()
  local net = nn.Sequential { nn.Dense(1) }
  local set = data.set(tensor { { 1 }, { 2 } }, tensor { { 1 }, { 0 } })
  local s = fit(net, { set = set, loss = "mse", optimizer = "SGD", batch_size = 1,
    epochs = 2000 }).probes.gradients[1]
  check.equal(#s.mean, 56)
  check.equal(s.step_last[56], 4000)
  check.equal(covered(s), 4000)
end

-- -- nothing is changed ----------------------------------------------------------------------

local script = [[
local a = args { probes = "none", show = false }
local function hex(v)
  return (string.pack("d", v):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
local function show(v)
  if type(v) == "userdata" then v = v:totable() end
  if type(v) ~= "table" then io.write(type(v) == "number" and hex(v) or tostring(v), " ") return end
  for _, x in ipairs(v) do show(x) end
end
local net = nn.Sequential { nn.Dense(120, { activation = "tanh" }), nn.BatchNorm(),
  nn.Dropout(0.2), nn.Dense(9, { activation = "relu" }), nn.Dense(3) }
local set = data.spirals { n = 90, classes = 3, noise = 0.3 }
local h = train.fit(net, set, { loss = "sparse_categorical_crossentropy", metrics = { "acc" },
  optimizer = optim.Adam { lr = 0.02, global_clipnorm = 0.5 }, epochs = 3, batch_size = 32,
  validation = 0.2, probes = a.probes, verbose = false, record = false })
if a.show then
  for _, s in ipairs(h.probes.gradients) do show { s.step_last, s.mean, s.min, s.max, s.last } end
else
  for _, t in pairs(net:state()) do show(t) end
  show { h.loss, h.accuracy, h.val_loss, tensor.rand(3):totable() }
end
]]

function tests.test_bytes_of_training_and_of_probes()
  local path = check.file("probed.lua", script)
  local function run(executor, threads, ...)
    local out, err, status = check.runner({ "--threads", threads, path, ... },
      "RUNNER_EXECUTOR=" .. executor)
    check.equal(status, 0, err)
    return out
  end
  local plain, seen = run("planned", "1"), run("planned", "1", "probes=gradients", "show=true")
  for _, executor in ipairs { "planned", "naive" } do
    for _, threads in ipairs { "1", "3" } do
      check.yes(run(executor, threads, "probes=gradients") == plain)
      check.yes(run(executor, threads, "probes=gradients", "show=true") == seen)
    end
  end
end

-- -- the record ------------------------------------------------------------------------------

-- The table of a file: its columns, and rows of texts.
local function rows(path)
  local out = {}
  for line in check.read(path):gmatch "[^\n]+" do
    out[#out + 1] = {}
    for field in line:gmatch "[^,]+" do table.insert(out[#out], field) end
  end
  return table.remove(out, 1), out
end

function tests.test_the_table_in_the_record()
  local path = check.file("recorded.lua", [[
    local net = nn.Sequential { nn.Dense(4, { activation = "tanh", name = "a" }), nn.Dense(3) }
    local set = data.spirals { n = 90, classes = 3 }
    local options = { loss = "sparse_categorical_crossentropy", epochs = 7, verbose = false,
      probes = { "gradients" } }
    for fit = 1, 2 do
      for _, s in ipairs(train.fit(net, set, options).probes.gradients) do
        for i = 1, #s.mean do
          print(fit, s.layer, s.quantity, s.step_first[i], s.step_last[i],
            ("%a %a %a %a"):format(s.mean[i], s.min[i], s.max[i], s.last[i]))
        end
      end
    end
    options.probes = "none"
    train.fit(net, set, options)]])
  local out, err, status = check.runner { "--runs", check.temp .. "/r", path }
  check.equal(status, 0, err)
  local directory = err:match "record: (%S+)"
  local got = {}
  for fit, name in ipairs { "probes.csv", "probes-2.csv" } do
    local header, table = rows(directory .. "/" .. name)
    check.equal(header, { "probe", "layer", "quantity", "step_first", "step_last", "mean", "min",
      "max", "last" })
    for _, row in ipairs(table) do
      check.equal(row[1], "gradients")
      got[#got + 1] = ("%d\t%s\t%s\t%s\t%s\t%a %a %a %a"):format(fit, row[2], row[3], row[4],
        row[5], tonumber(row[6]), tonumber(row[7]), tonumber(row[8]), tonumber(row[9]))
    end
  end
  local printed = {}
  for line in out:gmatch "[^\n]+" do printed[#printed + 1] = line end
  check.yes(#got > 50)
  check.equal(got, printed)
  check.yes(not pcall(check.read, directory .. "/probes-3.csv"))
end

-- -- loops of one's own ----------------------------------------------------------------------

-- The same net on the same batches: the same norms, static or not.
function tests.test_steps_measure_as_a_fit_does()
  local set = blobs()
  local function trained(options)
    tensor.seed(6)
    local net = chain(2, 5)
    net:build { 2 }
    if not options then
      return fit(net, { set = set, epochs = 3, shuffle = false }).probes, net
    end
    options.probes = "gradients"
    local step, probes = train.step(function(x, y)
      return loss.sparse_categorical_crossentropy(net(x), y)
    end, net, "Adam", options)
    for _ = 1, 3 do
      for x, y in set:batches(16, { shuffle = false }) do step(x, y) end
    end
    return probes(), net
  end
  local want = trained()
  for _, options in ipairs { {}, { static = true } } do
    local got = trained(options)
    check.equal(#got.gradients, #want.gradients)
    for i, s in ipairs(want.gradients) do check.equal(got.gradients[i], s) end
  end
end

function tests.test_names_of_what_steps_train()
  local a, b, w = nn.Dense(2), nn.Dense(1), tensor.variable { 1, 2 }
  a:build(3)
  b:build(2)
  local x = tensor.randn(4, 3)
  local step, probes = train.step(function() return (b(a(x) * w)):square():mean() end,
    { a, b, w }, "SGD", { probes = { "gradients" } })
  check.equal(probes(), {})
  step()
  local names = {}
  for i, s in ipairs(probes().gradients) do names[i] = s.layer end
  check.equal({ names[1], names[2], names[3], names[4], #names },
    { "net1.dense_1.weight", "net1.dense_1.bias", "net2.dense_1.weight", "net2.dense_1.bias",
      5 })
  check.equal(select("#", train.step(function() return (w * w):sum() end, { w }, "SGD")), 1)
  check.equal(select("#", train.step(function() return (w * w):sum() end, { w }, "SGD",
    { probes = "none" })), 1)
  local function with(options)
    return function() train.step(function() return w:sum() end, { w }, "SGD", options) end
  end
  check.fails(with { probes = "gradient" }, "train.step", '"gradients"')
  check.fails(with { probes = { "gradients", "gradients" } }, "train.step", "twice")
  check.fails(with { statik = true }, '"statik"', '"static"')
  check.fails(with { static = 1 }, '"static"')
end

function tests.test_the_record_of_steps()
  local path = check.file("steps.lua", [[
    tensor.seed(1)
    local x, y = tensor.randn(8, 2):eval(), tensor.randn(8, 1):eval()
    for _ = 1, 2 do
      local net = nn.Sequential { nn.Dense(3, { activation = "tanh" }), nn.Dense(1) }
      local step = train.step(function(u, v) return loss.mse(net(u), v) end, net, "SGD",
        { probes = "gradients" })
      for _ = 1, 20 do step(x, y) end
    end]])
  local _, err, status = check.runner { "--runs", check.temp .. "/r", path }
  check.equal(status, 0)
  local directory = err:match "record: (%S+)"
  for _, name in ipairs { "probes.step.csv", "probes.step-2.csv" } do
    local text = check.read(directory .. "/" .. name)
    check.yes(text:find("^probe,layer,quantity,step_first") ~= nil)
    check.yes(text:find("gradients,dense_2.bias,norm,16,18,", 1, true) ~= nil)
  end
end

-- A trial's steps go into its own record, those before it into none of a trial.
function tests.test_the_record_of_a_trials_steps()
  local path = check.file("trials.lua", [[
    local function trained(n)
      local net = nn.Sequential { nn.Dense(1) }
      local step, probes = train.step(function(x) return net(x):square():mean() end, net, "SGD",
        { probes = "gradients" })
      for _ = 1, n do step(tensor.ones(2, 2)) end
      return #probes().gradients[1].mean
    end
    experiment { name = "steps", factors = { n = { 3, 5 } }, baseline = { n = 3 }, seeds = 1,
      metric = "windows", goal = "max",
      trial = function(c) return { windows = trained(c.n) } end }]])
  local _, err, status = check.runner { "--runs", check.temp .. "/r", path }
  check.equal({ status, err:match "error" }, { 0 })
  local list = io.popen("ls " .. check.temp .. "/r/steps/trials/*/probes*"):read "a"
  local n = 0
  for file in list:gmatch "[^\n]+" do
    n = n + 1
    check.yes(file:find("/probes.step.csv", 1, true) ~= nil)
    local lines = select(2, check.read(file):gsub("\n", ""))
    check.yes(lines == 1 + 2 * 3 or lines == 1 + 2 * 5)
  end
  check.equal(n, 2)
end

-- 801 series over 300 steps: 2.4 MB of windows, of which neighbours are joined.
function tests.test_the_table_is_at_most_1_MB()
  local path = check.file("many.lua", [[
    tensor.seed(1)
    local net = nn.Sequential {}
    for _ = 1, 400 do net:add(nn.Dense(1)) end
    local set = data.set(tensor.randn(10, 1):eval(), tensor.randn(10, 1):eval())
    local h = train.fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 1e-6 },
      batch_size = 1, epochs = 30, probes = "gradients", verbose = false })
    local n, sum = 0, 0
    for _, s in ipairs(h.probes.gradients) do n = n + #s.mean end
    print(n)]])
  local out, err, status = check.runner { "--runs", check.temp .. "/r", path }
  check.equal(status, 0)
  check.yes(tonumber(out) > 20000)
  local directory = err:match "record: (%S+)"
  local text = check.read(directory .. "/probes.csv")
  check.yes(#text < 1 << 20 and #text > 1 << 18)
  local covered_steps, next_first, lines = 0, 1, 0
  for first, last, mean, min, max, last_value in
    text:gmatch "\ngradients,dense_1.weight,norm,(%d+),(%d+),([^,]+),([^,]+),([^,]+),([^\n]+)" do
    check.equal(tonumber(first), next_first)
    next_first = tonumber(last) + 1
    covered_steps = covered_steps + next_first - first
    mean, min, max = tonumber(mean), tonumber(min), tonumber(max)
    check.yes(min <= mean and mean <= max and tonumber(last_value) <= max)
    lines = lines + 1
  end
  check.equal(covered_steps, 300)
  check.yes(lines > 5)
end

function tests.test_the_experiment_shows_that_gradients_vanish()
  local path = io.popen("pwd"):read() .. "/experiments/vanishing_gradient.lua"
  local function falls(...)
    local out, _, status = check.runner { "--runs", check.temp .. "/r", path, "rows=64", ... }
    check.equal(status, 0)
    return out:match "the gradient (%a+)", tonumber(out:match "by a factor of (%S+)")
  end
  local what, factor = falls()
  check.equal(what, "falls")
  check.yes(factor > 3 and factor < 6)
  check.equal(falls("activation=relu", "init=he_normal"), "stays")
end

-- -- what is refused -------------------------------------------------------------------------

function tests.test_wrong_probes()
  check.fails(function() fit(chain(1, 2), { probes = { "gradient" } }) end, '"gradient"',
    '"gradients"')
  check.fails(function() fit(chain(1, 2), { probes = { "gradients", probe.gradients() } }) end,
    '"probes"', "twice")
  check.fails(function() fit(chain(1, 2), { probes = 3 }) end, '"probes"')
  check.fails(function() fit(chain(1, 2), { probes = "adam" }) end, '"probes"', "probe")
  check.fails(function()
    fit(chain(1, 2), { metrics = { train.metric(function() return 0 end, { name = "probes" }) } })
  end, "another column")
end

function tests.test_no_probes()
  for _, none in ipairs { "none", {} } do
    check.equal(fit(chain(1, 2), { probes = none }).probes, nil)
  end
  check.equal(#fit(chain(1, 2), { probes = probe.gradients() }).probes.gradients, 4)
end

check.run(tests)
