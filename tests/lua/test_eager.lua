-- "As if eager", where it is hard: long loops and many temporaries in bounded memory, history
-- that was cut, steps that assign, fail, change their shapes or settings, and the planned
-- executor against the naive one, byte for byte.

local check = dofile "tests/check.lua"
local tests = {}

local x, y = tensor { { 1, 2 }, { 3, 4 } }, tensor { { 1 }, { 0 } }

local function small_net()
  local net = nn.Sequential { nn.Dense(3, { activation = "tanh" }), nn.Dense(1) }
  net:build { 2 }
  return net
end

local function bytes_of(values)
  local flat, out = tensor(values):reshape(-1):totable(), {}
  for i, v in ipairs(flat) do out[i] = ("%a"):format(v) end
  return table.concat(out, " ")
end

local function snapshot(net)
  local all = {}
  for name, t in pairs(net:state()) do all[name] = bytes_of(t) end
  return all
end

local function words_of(path, options, words)
  local all = { "--runs", check.temp .. "/runs" }
  table.move(options, 1, #options, #all + 1, all)
  all[#all + 1] = path
  return table.move(words or {}, 1, #(words or {}), #all + 1, all)
end

-- Runs code in a program of its own; gives what it printed. It must end well.
local function child(code, environment, ...)
  local path = check.file("child.lua", code)
  local out, err, status = check.runner(words_of(path, { ... }), environment)
  if status ~= 0 then error(("status %s: %s"):format(status, err), 2) end
  return out
end

local peak_code = [[
  local function peak_mb()
    for line in io.lines "/proc/self/status" do
      local kb = line:match "^VmHWM:%s*(%d+)"
      if kb then return kb / 1024 end
    end
  end
]]

-- The most memory that the code took, in MB; it must print `want`.
local function stays_below(limit_mb, code, want)
  if not check.measures_memory then return end
  local out = child(peak_code .. code .. "\nprint(peak_mb())")
  local said, peak = out:match "^(.-)\n?([%d.]+)\n$"
  check.equal(said, want or "")
  if not (tonumber(peak) <= limit_mb) then
    error(("%s MB, allowed: %d"):format(peak, limit_mb), 2)
  end
end

-- -- bounded memory --------------------------------------------------------------------

function tests.test_a_sum_with_a_variable_a_million_times()
  stays_below(60, [[
    local w, v = tensor.variable(tensor { 1, 2 }), tensor { 0, 0 }
    for _ = 1, 1e6 do v = v + w end
    print(table.concat(v:totable(), " "))]], "1000000.0 2000000.0")
end

function tests.test_a_sum_without_variables()
  stays_below(60, [[
    local s = tensor(0)
    for _ = 1, 2e5 do s = s + 1 end
    print(s:item())]], "200000.0")
end

-- Two states that feed each other: no single node's past is all of it.
function tests.test_two_states_that_feed_each_other()
  stays_below(60, [[
    local w, a, b = tensor.variable(tensor(1)), tensor(3), tensor(5)
    for _ = 1, 1e5 do a, b = b * w, a * w end
    print(a:item(), b:item())]], "3.0\t5.0")
end

-- A node that is used twice doubles the ways to what lies below it.
function tests.test_a_past_with_many_ways_through_it()
  stays_below(60, [[
    local w, v = tensor.variable(tensor(0.5)), tensor(1)
    for _ = 1, 1e5 do v = v * w + v * w end
    print(v:item())]], "1.0")
end

local big = "local function big(i) return tensor.full(i, 512, 512) end\n"

function tests.test_a_hundred_thousand_evaluated_temporaries()
  stays_below(256, big .. [[for i = 1, 1e5 do local t = big(i):eval() end]])
end

function tests.test_temporaries_that_nobody_looks_at()
  stays_below(60, big .. [[
    local x = big(1):eval()
    for i = 1, 1e5 do local t = x * i + 1 end]])
end

function tests.test_evaluated_temporaries_of_expressions()
  stays_below(100, big .. [[
    local x = big(1):eval()
    for i = 1, 2000 do
      local parts = {}
      for k = 1, 3 do parts[k] = x * k end
      parts[3]:eval()
    end]])
end

-- What waits for an evaluation is large, though its chain is short.
function tests.test_a_pending_sum_of_large_tensors()
  stays_below(256, big .. [[
    local s, v = big(0), tensor.variable(big(0))
    for i = 1, 800 do
      local t = big(i):eval()
      s = s + t
      v:assign(v + t)
    end
    print(s[1][1]:item(), v[512][512]:item())]], "320400.0\t320400.0")
end

function tests.test_values_that_only_a_history_holds()
  stays_below(100, big .. [[
    local w, v = tensor.variable(big(1)), big(0)
    for _ = 1, 1000 do v = (v + w):eval() end
    print(v[1][1]:item())
    for i = 1, 500 do
      local g = grad((w * w * i):sum(), { w })[1]:eval()
    end]], "1000.0")
end

function tests.test_training_with_many_temporaries()
  stays_below(150, [[
    local net = nn.Sequential { nn.Dense(64) }
    local step = train.step(function(x)
      local out = net(x)
      return (out * out):mean(), out
    end, net, optim.SGD { lr = 0.001 })
    for i = 1, 1000 do
      local loss, out = step(tensor.randn(512, 256))
      local twice = (out * 2):eval()
    end]])
end

-- -- history ---------------------------------------------------------------------------

function tests.test_gradients_below_the_limit_are_whole()
  local w = tensor.variable(tensor { 1, 2 })
  local v = tensor { 0, 0 }
  for _ = 1, 4000 do v = v + w end
  check.near(grad(v:sum(), { w })[1], { 4000, 4000 })
end

function tests.test_a_gradient_across_the_cut_names_its_line()
  local w = tensor.variable(tensor { 1, 2 })
  local v = tensor { 0, 0 }
  for _ = 1, 20000 do
    v = v + w
  end
  local line = debug.getinfo(1, "l").currentline - 2
  check.fails(function() grad(v:sum(), { w }) end, "cut at", "test_eager.lua:" .. line .. ":",
    "train.step", "grad(f)")
  check.near(v, { 20000, 40000 })
end

-- What was made after the cut does not depend on what came before.
function tests.test_gradients_that_do_not_cross_the_cut()
  local w = tensor.variable(tensor { 1, 2 })
  local v = tensor { 0, 0 }
  for _ = 1, 20000 do v = v + w end
  local u = tensor.variable(tensor { 3, 4 })
  check.near(grad((v * u):sum(), { u })[1], v)
  check.near(grad((w * w):sum(), { w })[1], { 2, 4 })
end

function tests.test_a_recurrent_net_of_twenty_thousand_nodes()
  local w = tensor.variable(tensor { { 0.5, 0.1 }, { -0.1, 0.4 } })
  local function run(weights, n_ops)
    local h = tensor { { 0.1, 0.2 } }
    for _ = 1, 1000 do
      h = h:matmul(weights)
      for _ = 1, n_ops do h = h:tanh() + h end
      h = h * 0.4 ^ n_ops
    end
    return h:sum()
  end
  local h = run(w, 9)
  check.fails(function() grad(h, { w }) end, "cut at", "train.step")
  local whole = grad(function(weights) return run(weights, 9) end)(w)
  local step = train.step(function() return run(w, 9) end, { w }, optim.SGD { lr = 1 })
  local before = w:totable()
  local l = step()
  check.equal(l, h:item())
  check.near(tensor(before) - w, whole)
end

function tests.test_a_forgotten_history_is_an_error_and_never_a_wrong_gradient()
  local a = tensor { 1, 2 }
  local twice = (a * 2):eval()
  check.fails(function() grad((twice + a):sum(), { a }) end, "forgot its inputs",
    "tensor.variable")
  check.near(grad((twice * twice):sum(), { twice })[1], { 4, 8 })
  local other = tensor { 5, 6 }
  check.near(grad((twice * other):sum(), { other })[1], { 2, 4 })
end

-- -- what a step assigns ---------------------------------------------------------------

function tests.test_a_pending_value_of_old_weights_inside_a_step()
  local w = tensor.variable(tensor { 1, 2 })
  local pending = (w * 10):sum()
  train.step(function() return (w * w):sum() end, { w }, optim.SGD { lr = 0.1 })()
  local step = train.step(function() return (w * w):sum() * 0 + pending end, { w },
    optim.SGD { lr = 0 })
  check.equal(step(), 30.0)
  check.equal(step(), 30.0)
end

function tests.test_assigning_what_is_trained()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function() w:assign(w * 2) return (w * w):sum() end, { w },
    optim.SGD { lr = 0.25 })
  for i = 0, 2 do
    check.equal(step(), 20.0)          -- (2w)^2, then 2w - 0.25 * 4w = w
    check.equal(w:totable(), { 1.0, 2.0 })
  end
end

function tests.test_assigning_given_values_to_what_is_trained()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function(given) w:assign(given) return (w * w):sum() end, { w },
    optim.SGD { lr = 0.25 })
  for i = 1, 3 do
    check.equal(step(tensor { i, 4 }), i * i + 16.0)
    check.equal(w:totable(), { i / 2, 2.0 })
  end
end

function tests.test_assigning_after_the_loss()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function()
    local l = (w * w):sum()
    w:assign(w * 2)
    return l
  end, { w }, optim.SGD { lr = 0.5 })
  check.equal(step(), 5.0)
  check.equal(w:totable(), { 1.0, 2.0 })      -- 2w - 0.5 * 2w
  check.equal(step(), 5.0)
end

function tests.test_assigning_another_variable_in_program_order()
  local w, count = tensor.variable(tensor { 1, 2 }), tensor.variable(tensor { 0 })
  local step = train.step(function()
    count:assign(count + 1)
    local l = (w * count):sum()
    count:assign(count * 10)
    return l, count
  end, { w }, optim.SGD { lr = 0 })
  local l, c = step()
  check.equal({ l, c:totable(), count:totable() }, { 3.0, { 10.0 }, { 10.0 } })
  l, c = step()
  check.equal({ l, c:totable(), count:totable() }, { 33.0, { 110.0 }, { 110.0 } })
end

function tests.test_assigning_between_steps_with_pending_expressions()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function() return (w * w):sum() end, { w }, optim.SGD { lr = 0.25 })
  step()
  local pending = w * 10
  w:assign(w + pending)                       -- 0.5 + 5, 1 + 10
  local later = w * 10
  check.equal(step(), 5.5 ^ 2 + 11.0 ^ 2)
  check.equal(pending:totable(), { 5.0, 10.0 })
  check.equal(later:totable(), { 55.0, 110.0 })
  check.equal(w:totable(), { 2.75, 5.5 })
end

function tests.test_returned_variables_are_snapshots()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function() return (w * w):sum(), w, w:reshape(2, 1), w[1] end, { w },
    optim.SGD { lr = 0.25 })
  local kept = {}
  for i = 1, 3 do kept[i] = table.pack(step()) end
  for i = 1, 3 do
    check.equal(kept[i][2]:totable(), { 2 ^ (1 - i), 2 ^ (2 - i) })
    check.equal(kept[i][3]:totable(), { { 2 ^ (1 - i) }, { 2 ^ (2 - i) } })
    check.equal(kept[i][4], 2 ^ (1 - i))
  end
end

function tests.test_results_that_are_arguments_or_repeat()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function(a)
    local l = (w * a):sum()
    return l, a, l, a:reshape(2, 1)
  end, { w }, optim.SGD { lr = 0 })
  local kept = {}
  for i = 1, 3 do kept[i] = table.pack(step(tensor { i, 0 })) end
  for i = 1, 3 do
    check.equal({ kept[i][1], kept[i][2]:totable(), kept[i][3], kept[i][4]:totable() },
      { i + 0.0, { i + 0.0, 0.0 }, i + 0.0, { { i + 0.0 }, { 0.0 } } })
  end
end

-- -- the end of a step -----------------------------------------------------------------

function tests.test_tensors_of_a_step_expire()
  local w, kept = tensor.variable(tensor { 1, 2 }), nil
  local step = train.step(function()
    kept = w * 2
    return (w * w):sum(), kept
  end, { w }, optim.SGD { lr = 0.25 })
  local _, returned = step()
  check.equal(returned:totable(), { 2.0, 4.0 })
  for _, use in ipairs {
    function() return kept:item() end, function() return kept + 1 end,
    function() return tostring(kept) end, function() return grad(kept:sum(), { w }) end,
  } do
    check.fails(use, "return it")
  end
  step()
  check.equal(returned:totable(), { 2.0, 4.0 })
  check.near(grad(function(t) return (t * returned):sum() end)(tensor { 1, 1 }), { 2, 4 })
  check.near(grad((returned * w):sum(), { w })[1], { 2, 4 })
end

function tests.test_tensors_of_a_failed_step_expire()
  local w, kept = tensor.variable(tensor { 1, 2 }), nil
  local step = train.step(function() kept = w * 2 error "on purpose" end, { w }, "sgd")
  check.fails(step, "on purpose")
  check.fails(function() return kept:totable() end, "return it")
end

-- -- looking inside a step -------------------------------------------------------------

function tests.test_looking_at_values_inside_a_step()
  local net, reference = small_net(), small_net()
  reference:load(net:state())
  local seen, text
  local step = train.step(function(a, b)
    local out = net(a)
    text = tostring(out)
    local l = loss.mse(out, b)
    seen = l:item()
    return l
  end, net, optim.SGD { lr = 0.1 })
  local plain = train.step(function(a, b) return loss.mse(reference(a), b) end, reference,
    optim.SGD { lr = 0.1 })
  for _ = 1, 3 do
    local l = step(x, y)
    check.equal(seen, l)
    check.equal(plain(x, y), l)
    check.yes(#text > 0)
  end
  check.equal(snapshot(net), snapshot(reference))
end

function tests.test_control_flow_on_values_inside_a_step()
  local w = tensor.variable(tensor { 4 })
  local step = train.step(function()
    local l = (w * w):sum()
    if l:item() > 5 then return l end
    return l * 0
  end, { w }, optim.SGD { lr = 0.25 })
  check.equal({ step(), step(), step(), step() }, { 16.0, 0.0, 0.0, 0.0 })
  check.equal(w:totable(), { 2.0 })
end

function tests.test_gradients_inside_a_step()
  local v = tensor.variable(tensor { 1, 2 })
  local step = train.step(function()
    local g = grad((v * v * v):sum(), { v })[1]       -- 3 v^2
    return (g * g):sum(), g
  end, { v }, optim.SGD { lr = 2 ^ -8 })
  local l, g = step()
  check.equal(l, 153.0)
  check.near(g, { 3, 12 })
  check.near(v, { 1 - 36 / 256, 2 - 36 * 8 / 256 })    -- d/dv 9 v^4 = 36 v^3
  local w = tensor.variable(tensor { 1, 2 })
  local inner = train.step(function(z)
    return (w * grad(function(q) return (q * q * w):sum() end)(z)):sum()
  end, { w }, optim.SGD { lr = 0.125 })
  check.equal(inner(tensor { 3, 4 }), 38.0)            -- 2 z w^2
  check.near(w, { 1 - 12 / 8, 2 - 32 / 8 })
end

function tests.test_steps_inside_gradients()
  local w = tensor.variable(tensor { 1, 2 })
  local step = train.step(function(z) return (w * z):sum() end, { w }, optim.SGD { lr = 1 })
  local g = grad(function(z)
    check.equal(step(z), 11.0)
    return (z * w):sum()
  end)(tensor { 3, 4 })
  check.near(g, { -2, -2 })
  check.fails(train.step(function(z) step(z) return (w * z):sum() end, { w }, "sgd"),
    "")
end

-- -- closures, shapes, settings --------------------------------------------------------

-- Steps of a fresh net under a schedule of changes; the same on a net without history.
function tests.test_settings_that_change_between_steps()
  local w = tensor.variable(tensor { 1, -2 })
  local optimizer = optim.SGD { lr = 0.125 }
  local step = train.step(function(g) return (w * g):sum() end, { w }, optimizer)
  local g = tensor { 4, -2 }
  step(g)
  check.equal(w:totable(), { 0.5, -1.75 })
  optimizer.lr = 0.25
  step(g)
  check.equal(w:totable(), { -0.5, -1.25 })
  optimizer.momentum = 0.5
  step(g)
  check.equal(w:totable(), { -1.5, -0.75 })   -- the velocity begins at zero
  step(g)
  check.equal(w:totable(), { -3.0, 0.0 })     -- 0.5 g + g
  optimizer.momentum = 0
  optimizer.clipvalue = 1
  step(g)
  check.equal(w:totable(), { -3.25, 0.25 })
  optimizer.clipvalue = 1e9
  optimizer.clipnorm = 2.5
  step(tensor { 3, 4 })
  check.near(w, { -3.25 - 0.25 * 1.5, 0.25 - 0.25 * 2 })
end

function tests.test_freezing_between_steps()
  local net = small_net()
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.SGD { lr = 0.1 })
  local function changed()
    local before = snapshot(net)
    step(x, y)
    local out, after = {}, snapshot(net)
    for name, v in pairs(before) do
      if after[name] ~= v then out[#out + 1] = name end
    end
    table.sort(out)
    return table.concat(out, " ")
  end
  local all = "dense_1.bias dense_1.weight dense_2.bias dense_2.weight"
  check.equal(changed(), all)
  net:freeze "dense_1"
  check.equal(changed(), "dense_2.bias dense_2.weight")
  net:unfreeze "dense_1"
  check.equal(changed(), all)
end

function tests.test_shapes_that_change_and_come_back()
  local net = small_net()
  local optimizer = optim.Adam { lr = 0.01 }
  local step = train.step(function(a) return (net(a) * net(a)):mean(), net(a) end, net, optimizer)
  for _ = 1, 3 do
    for _, n in ipairs { 4, 4, 3, 4, 1 } do
      local l, out = step(tensor.ones(n, 2))
      check.yes(l == l)
      check.equal(out.shape, { n, 1 })
    end
  end
end

function tests.test_more_shapes_than_plans_are_kept()
  local w = tensor.variable(tensor { 1 })
  local step = train.step(function(a) return (a * w):sum() end, { w }, optim.SGD { lr = 1 })
  local want = 1
  for _ = 1, 2 do
    for n = 1, 70 do
      check.equal(step(tensor.ones(n)), n * want + 0.0)
      want = want - n
    end
  end
  check.equal(w:totable(), { want + 0.0 })
end

function tests.test_a_closed_over_tensor_that_changes()
  local w, scale = tensor.variable(tensor { 1, 1 }), tensor { 1, 2 }
  local step = train.step(function() return (w * scale):sum() end, { w }, optim.SGD { lr = 0 })
  check.equal(step(), 3.0)
  scale = tensor { 10, 20 }
  check.equal(step(), 30.0)
  scale = tensor(7)
  check.equal(step(), 14.0)
end

-- Numbers are inputs of a plan; shapes are not.
function tests.test_numbers_make_no_new_plans_and_shapes_say_so()
  local code = [[
    local w, factor, options = tensor.variable(tensor { 1 }), 1, { offset = 0 }
    local optimizer = optim.Adam { lr = 1 }
    local step = train.step(function(a) return (a * w * factor + options.offset):sum() end,
      { w }, optimizer)
    for i = 1, 40 do
      factor, options.offset, optimizer.lr = i, i * i, 1 / i
      step(tensor.ones(%s))
    end
  ]]
  local function said(size)
    local path = check.file("numbers.lua", code:format(size))
    local _, err, status = check.runner(words_of(path, {}))
    check.equal(status, 0)
    return err
  end
  check.equal(said "3", "")
  check.yes(said "i":find("planned anew", 1, true) ~= nil)
end

-- -- sharing ---------------------------------------------------------------------------

function tests.test_two_nets_share_a_layer()
  local shared = nn.Dense(1, { bias = false, init = "ones" })
  local a, b = nn.Sequential { shared }, nn.Sequential { shared, nn.Dense(1, { init = "ones" }) }
  local step = train.step(function(t) return (a(t) + b(t)):sum() end, { a, b },
    optim.SGD { lr = 0.5 })
  check.equal(step(tensor { { 1, 2 } }), 6.0)
  -- d/dw = t + t; d/dv = 3, d/dbias = 1
  local state = b:state()
  local values = {}
  for name, t in pairs(state) do
    values[name:match "[^.]*$" .. "/" .. table.concat(t.shape, "x")] = t:totable()
  end
  check.equal(values["weight/2x1"] or values["weight/1x2"], { { 0.0 }, { -1.0 } })
  check.equal(values["weight/1x1"], { { -0.5 } })
  check.equal(a(tensor { { 1, 0 } }):item(), 0.0)
end

function tests.test_a_net_used_twice_and_listed_twice()
  local net = nn.Sequential { nn.Dense(1, { bias = false, init = "ones" }) }
  local step = train.step(function(t) return (net(t) + net(t * 10)):sum() end, { net, net },
    optim.SGD { lr = 0.25 })
  check.equal(step(tensor { { 1, 2 } }), 33.0)
  check.equal(net(tensor { { 1, 0 }, { 0, 1 } }):totable(), { { 1 - 11 / 4 }, { 1 - 22 / 4 } })
end

function tests.test_batch_norm_frozen_beside_a_layer_that_is_trained()
  local net = nn.Sequential { nn.BatchNorm { momentum = 0.5 }, nn.Dense(1) }
  net:build { 2 }
  local step = train.step(function(a) return net(a):sum() end, net, optim.SGD { lr = 0.1 })
  step(x)
  local function norm() return bytes_of(net:state()["batch_norm_1.running_mean"]) end
  local before = norm()
  step(x)
  check.yes(norm() ~= before)
  net:freeze "batch_norm_1"
  before = norm()
  step(x)
  check.equal(norm(), before)
  net:unfreeze "batch_norm_1"
  step(x)
  check.yes(norm() ~= before)
end

function tests.test_a_dropout_repeats_its_draw_in_the_gradient_only()
  local net = nn.Sequential { nn.Dropout(0.5) }
  local w = tensor.variable(tensor.ones(1, 64))
  local step = train.step(function()
    local out = net(w)
    return out:sum(), out
  end, { w }, optim.SGD { lr = 1 })
  local masks = {}
  for i = 1, 3 do
    w:assign(tensor.ones(1, 64))
    local _, out = step()
    masks[i] = bytes_of(out)
    check.equal(bytes_of(w), bytes_of(1 - out))     -- d sum / dw is the mask
  end
  check.yes(masks[1] ~= masks[2] and masks[2] ~= masks[3])
end

-- -- failures --------------------------------------------------------------------------

local training = [[
  local args = args { fail = "no" }
  local mode
  local net = nn.Sequential { nn.Dense(5), nn.BatchNorm(), nn.Dropout(0.4), nn.Dense(1) }
  local function make(f) return train.step(f, net, optim.Adam { lr = 0.05 }) end
  local step = make(function(a, b)
    local l = loss.mse(net(a), b)
    if mode == "error" then error "on purpose" end
    if mode == "infinite" then l = l / 0 end
    if mode == "label" then l = l + loss.sparse_categorical_crossentropy(net(a), a:sum(2)) end
    return l
  end)
  local x, y = tensor { { 1, 2 }, { 3, 4 }, { 5, -6 } }, tensor { { 1 }, { 0 }, { 2 } }
  for i = 1, 6 do
    if i >= 3 and args.fail ~= "no" then
      mode = args.fail
      local ok = pcall(step, x, y)
      if ok then error "it did not fail" end
      mode = nil
    end
    print(("%a"):format(step(x, y)))
  end
  net:save "weights.safetensors"
]]

local function trained(words, environment)
  local path = check.file("training.lua", training)
  local out, err, status = check.runner(words_of(path, {}, words), environment)
  if status ~= 0 then error(("status %s: %s"):format(status, err), 2) end
  return out .. check.read(check.temp .. "/weights.safetensors")
end

function tests.test_failed_steps_leave_no_trace_to_the_byte()
  local want = trained { "fail=no" }
  for _, how in ipairs { "error", "infinite", "label" } do
    check.yes(trained { "fail=" .. how } == want)
    check.yes(trained({ "fail=" .. how }, "RUNNER_EXECUTOR=naive") == want)
  end
end

-- Data that fail: of a step whose function runs, and of one that is replayed without it.
local failing_data = [[
  local args = args { fail = false, static = false }
  local net = nn.Sequential { nn.Dense(5), nn.BatchNorm(), nn.Dropout(0.4), nn.Dense(3) }
  net:build { 2 }
  local step = train.step(function(a, b)
    return loss.sparse_categorical_crossentropy(net(a), b)
  end, net, optim.Adam { lr = 0.05 }, { static = args.static })
  local x, y = tensor { { 1, 2 }, { 3, 4 }, { 5, -6 } }, tensor({ 1, 2, 3 }, { dtype = "int32" })
  local bad = tensor({ 1, 99, 3 }, { dtype = "int32" })
  for i = 1, 6 do
    if args.fail and i >= 3 then
      local ok, why = pcall(step, x / 0, y)
      if ok or not why:find("not finite", 1, true) then error(why) end
      ok, why = pcall(step, x, bad)
      if ok or not why:find("99", 1, true) then error(why) end
    end
    print(("%a"):format(step(x, y)))
  end
  net:save "weights.safetensors"
]]

function tests.test_failing_data_leave_no_trace_traced_or_replayed()
  local path = check.file("failing.lua", failing_data)
  local function run(environment, ...)
    local out, err, status = check.runner(words_of(path, {}, { ... }), environment)
    if status ~= 0 then error(err) end
    return out .. check.read(check.temp .. "/weights.safetensors")
  end
  local want = run(nil, "fail=false")
  check.yes(run("RUNNER_EXECUTOR=naive", "fail=true") == want)
  check.yes(run(nil, "fail=true") == want)
  check.yes(run(nil, "static=true") == want)
  check.yes(run(nil, "static=true", "fail=true") == want)
end

-- The script sends itself a signal inside a step, saves, and says what it was.
local interrupted = [[
  local args = args { stop = false }
  local net = nn.Sequential { nn.Dense(5), nn.BatchNorm(), nn.Dropout(0.4), nn.Dense(1) }
  local pid = io.open("/proc/self/stat"):read "n"
  local stop = false
  local step = train.step(function(a, b)
    if stop then io.popen("kill -INT " .. pid):close() end
    return loss.mse(net(a), b)
  end, net, optim.Adam { lr = 0.05 })
  local x, y = tensor { { 1, 2 }, { 3, 4 }, { 5, -6 } }, tensor { { 1 }, { 0 }, { 2 } }
  for i = 1, 3 do print(("%a"):format(step(x, y))) end
  stop = args.stop
  if stop then print((select(2, pcall(step, x, y))):match "interrupted") end
  net:save "weights.safetensors"
]]

function tests.test_an_interrupted_step_changes_nothing()
  local path = check.file("interrupted.lua", interrupted)
  local function run(words, want_status)
    local out, _, status = check.runner(words_of(path, {}, words))
    check.equal(status, want_status)
    return out, check.read(check.temp .. "/weights.safetensors")
  end
  local out, weights = run({ "stop=false" }, 0)
  local stopped_out, stopped_weights = run({ "stop=true" }, 3)
  check.equal(stopped_out, out .. "interrupted\n")
  check.yes(stopped_weights == weights)
end

function tests.test_a_non_finite_step_names_layer_op_and_index()
  local net = nn.Sequential { nn.Dense(2, { init = "ones" }), nn.Dense(1) }
  net:build { 2 }
  local step = train.step(function(a) return net(a:log()):sum() end, net, optim.SGD { lr = 0.1 })
  step(tensor { { 1, 2 }, { 3, 4 } })
  local before = snapshot(net)
  check.fails(function() step(tensor { { 1, 2 }, { 0, 4 } }) end, "not finite", "log",
    "[2, 1]", "test_eager.lua:")
  check.equal(snapshot(net), before)
  local deep = nn.Sequential { nn.Dense(2), nn.Dense(1) }
  deep:build { 2 }
  local huge = train.step(function(a) return deep(a):sum() end, deep, optim.SGD { lr = 0.1 })
  local state = deep:state()
  state["dense_2.weight"] = tensor.full(math.huge, 2, 1)
  deep:load(state)
  check.fails(function() huge(x) end, "not finite", "dense_2.weight")
end

-- -- planned and naive, traced and static, any number of threads -----------------------

local programs = {
  mlp = [[
    local net = nn.Sequential { nn.Dense(33, { activation = "relu" }), nn.BatchNorm(),
      nn.Dropout(0.3), nn.Dense(17, { activation = "tanh" }), nn.LayerNorm(), nn.Dense(3) }
    local optimizer = optim.Adam { lr = 0.01, global_clipnorm = 1 }
  ]],
  momentum = [[
    local net = nn.Sequential { nn.Dense(40, { activation = "sigmoid" }), nn.BatchNorm(),
      nn.Dense(9, { activation = "gelu" }), nn.Dense(3) }
    local optimizer = optim.SGD { lr = 0.05, momentum = 0.9, nesterov = true,
      weight_decay = 1e-3 }
  ]],
  own = [[
    local swish = function(v) return v * v:sigmoid() end
    local net = nn.Sequential { nn.Dense(65, { activation = swish }), nn.Dense(3) }
    local optimizer = optim.AdamW { lr = 0.01, clipnorm = 0.5 }
  ]],
}

local loop = [[
  local set = data.spirals { n = 150, classes = 3 }
  local step = train.step(function(a, b)
    return loss.sparse_categorical_crossentropy(net(a), b)
  end, net, optimizer)
  for epoch = 1, 3 do
    for a, b in set:batches(32) do print(("%a"):format(step(a, b))) end
    optimizer.lr = optimizer.lr * 0.9
  end
  local h = train.fit(net, set, { loss = "sparse_categorical_crossentropy", epochs = 3,
    batch_size = 32, optimizer = optimizer, verbose = false, validation = 0.2 })
  for i = 1, 3 do print(("%a %a"):format(h.loss[i], h.val_loss[i])) end
  net:save "weights.safetensors"
]]

for name, program in pairs(programs) do
  tests["test_equal_bytes_" .. name] = function()
    local function bytes(executor, threads)
      local out = child(program .. loop, "RUNNER_EXECUTOR=" .. executor, "--threads", threads)
      return out:gsub("record:[^\n]*\n", "") .. check.read(check.temp .. "/weights.safetensors")
    end
    local want = bytes("naive", "1")
    check.yes(#want > 2000)
    for _, threads in ipairs { "1", "2", "7" } do
      check.yes(bytes("planned", threads) == want)
    end
    check.yes(bytes("naive", "7") == want)
  end
end

check.run(tests)
