-- Recurrent layers: against PyTorch's values (reference/recurrent.py, float64) and equations,
-- their states, masks, directions and dropouts.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

local wanted = tensor.load "tests/nn/reference/recurrent.safetensors"
local exact = reference.exact
local N, T, F, H = 3, 4, 5, 3
local KINDS = { "SimpleRNN", "LSTM", "GRU" }
local STATES = { SimpleRNN = 1, LSTM = 2, GRU = 1 }

local function rows(t) return t:totable() end

local function numbers(phase, shape) return reference.numbers(phase, 1, shape) end

-- A variable: where an option has the same name, that is what the layer's field gives.
local function var(layer, name)
  for _, v in ipairs(layer:parameters()) do
    if v.name:match "[^.]*$" == name then return v end
  end
end

-- -- PyTorch ------------------------------------------------------------------------------

local function is_near(got, name)
  check.yes(wanted[name] ~= nil, name)
  local off, allowed = check.error_of(got, wanted[name]), exact and 1e-10 or 1e-5
  local ok = off <= allowed
  check.yes(ok, ("%s: off by %.3g, allowed: %.3g"):format(name, off, allowed))
end

local function state_of(t, direction)
  return t:slice({ direction, direction }):reshape { N, H }
end

-- PyTorch's parameters of one direction, of which the first is number `first` in its list.
local function parameters_of(first, gates, bias)
  local p = { ih = numbers(5 + first, { gates * H, F }), hh = numbers(6 + first, { gates * H, H }) }
  if bias then
    p.bih, p.bhh = numbers(7 + first, { gates * H }), numbers(8 + first, { gates * H })
  end
  return p
end

-- Ours from these, and gradients of ours as PyTorch's, by the name that those have.
local function assign(layer, p, is_gru)
  layer.weight_ih:assign(p.ih:transpose())
  layer.weight_hh:assign(p.hh:transpose())
  if not p.bih then return end
  if not is_gru then return var(layer, "bias"):assign(p.bih + p.bhh) end
  local both = (p.bih + p.bhh):slice({ 1, 2 * H })
  var(layer, "bias"):assign(tensor.concat({ both, p.bih:slice({ 2 * H + 1, 3 * H }) }, 1))
  layer.bias_hn:assign(p.bhh:slice({ 2 * H + 1, 3 * H }))
end

local function compare_gradients(g, name, suffix, is_gru)
  is_near(g[1]:transpose(), name .. ".g_weight_ih_l0" .. suffix)
  is_near(g[2]:transpose(), name .. ".g_weight_hh_l0" .. suffix)
  if not g[3] then return end
  is_near(g[3], name .. ".g_bias_ih_l0" .. suffix)
  local hidden = is_gru and tensor.concat({ g[3]:slice({ 1, 2 * H }), g[4] }, 1) or g[3]
  is_near(hidden, name .. ".g_bias_hh_l0" .. suffix)
end

local function variables_of(layer, bias, is_gru)
  local list = { layer.weight_ih, layer.weight_hh }
  if bias then list[3] = var(layer, "bias") end
  if bias and is_gru then list[4] = layer.bias_hn end
  return list
end

local function against_torch(name, kind, options, both)
  local is_gru, bias = kind == "GRU", options.bias ~= false
  local gates = ({ SimpleRNN = 1, LSTM = 4, GRU = 3 })[kind]
  options.return_sequences, options.return_state = true, true
  local one = nn[kind](H, options)
  local net = both and nn.Bidirectional(one) or one
  local layers = both and { one, net.backward } or { one }
  local x, first, asked = tensor.variable(numbers(1, { N, T, F })), {}, {}
  for d = 1, #layers do
    for i = 1, STATES[kind] do
      first[#first + 1] = tensor.variable(state_of(numbers(1 + i, { #layers, N, H }), d))
    end
  end
  net(x, table.unpack(first))
  for d, layer in ipairs(layers) do
    assign(layer, parameters_of((d - 1) * (bias and 4 or 2), gates, bias), is_gru)
  end
  local out = { net(x, table.unpack(first)) }
  is_near(out[1], name .. ".y")
  local total = (out[1] * numbers(11, out[1].shape)):sum()
  for d = 1, #layers do
    for i = 1, STATES[kind] do
      local last = out[1 + (d - 1) * STATES[kind] + i]
      local weights = state_of(numbers(12 + i, { #layers, N, H }), d)
      check.near(last, state_of(wanted[name .. ".last_" .. i], d), exact and 1e-12 or 1e-5)
      total = total + (last * weights):sum()
    end
  end
  asked[1] = x
  for _, s in ipairs(first) do asked[#asked + 1] = s end
  local places = {}
  for d, layer in ipairs(layers) do
    places[d] = #asked
    for _, v in ipairs(variables_of(layer, bias, is_gru)) do asked[#asked + 1] = v end
  end
  local g = grad(total, asked)
  is_near(g[1], name .. ".gx")
  for i = 1, #first do
    local d, k = (i - 1) // STATES[kind] + 1, (i - 1) % STATES[kind] + 1
    check.near(g[1 + i], state_of(wanted[name .. ".gfirst_" .. k], d), exact and 1e-11 or 2e-5)
  end
  for d in ipairs(layers) do
    local own = table.move(g, places[d] + 1, places[d] + 4, 1, {})
    if not bias then own = { own[1], own[2] } end
    if not is_gru then own[4] = nil end
    compare_gradients(own, name, d == 2 and "_reverse" or "", is_gru)
  end
end

function tests.test_pytorch()
  against_torch("rnn_tanh", "SimpleRNN", {})
  against_torch("rnn_relu", "SimpleRNN", { nonlinearity = "relu" })
  against_torch("lstm", "LSTM", {})
  against_torch("lstm_no_bias", "LSTM", { bias = false })
  against_torch("lstm_both", "LSTM", {}, true)
  against_torch("gru", "GRU", {})
  against_torch("gru_no_bias", "GRU", { bias = false })
  against_torch("gru_both", "GRU", {}, true)
end

-- -- equations ----------------------------------------------------------------------------

local function parts(t, n)
  local out = {}
  for k = 1, n do out[k] = t:slice({}, { (k - 1) * H + 1, k * H }) end
  return table.unpack(out)
end

local function normalized(x, gain)
  local m = x:mean({ 2 }, { keepdims = true })
  local v = ((x - m) * (x - m)):mean({ 2 }, { keepdims = true })
  return (x - m) / (v + 1e-5):sqrt() * gain
end

local function steps_of(x)
  local list = {}
  for t = 1, x.shape[2] do list[t] = x:slice({}, { t, t }):reshape { x.shape[1], x.shape[3] } end
  return list
end

local function randomized(layer, x)
  layer(x)
  for i, v in ipairs(layer:parameters()) do v:assign(numbers(20 + i, v.shape)) end
  return layer
end

-- Keras's form, which resets before the product.
function tests.test_gru_that_resets_before_the_product()
  local x = numbers(1, { N, T, F })
  local layer = randomized(nn.GRU(H, { reset_after = false }), x)
  local w_r, w_z, w_n = parts(layer.weight_hh:eval(), 3)
  local h = tensor.zeros(N, H)
  for _, x_t in ipairs(steps_of(x)) do
    local a_r, a_z, a_n = parts(x_t:matmul(layer.weight_ih) + var(layer, "bias"), 3)
    local r, z = (a_r + h:matmul(w_r)):sigmoid(), (a_z + h:matmul(w_z)):sigmoid()
    local n = (a_n + (r * h):matmul(w_n)):tanh()
    h = z * h + (1 - z) * n
  end
  check.near(layer(x), h, 64 * check.eps)
end

function tests.test_peepholes()
  local x = numbers(1, { N, T, F })
  local layer = randomized(nn.LSTM(H, { peepholes = true }), x)
  local p_i, p_f, p_o = parts(layer.peephole:reshape { 1, 3 * H }, 3)
  local h, c = tensor.zeros(N, H), tensor.zeros(N, H)
  for _, x_t in ipairs(steps_of(x)) do
    local i, f, g, o = parts(x_t:matmul(layer.weight_ih) + h:matmul(layer.weight_hh)
      + var(layer, "bias"), 4)
    c = (f + p_f * c):sigmoid() * c + (i + p_i * c):sigmoid() * g:tanh()
    h = (o + p_o * c):sigmoid() * c:tanh()
  end
  check.near(layer(x), h, 64 * check.eps)
end

function tests.test_layer_norm_inside_the_cell()
  local x = numbers(1, { N, T, F })
  local lstm = randomized(nn.LSTM(H, { layer_norm = true }), x)
  local h, c = tensor.zeros(N, H), tensor.zeros(N, H)
  for _, x_t in ipairs(steps_of(x)) do
    local i, f, g, o = parts(normalized(x_t:matmul(lstm.weight_ih), lstm.norm_ih)
      + normalized(h:matmul(lstm.weight_hh), lstm.norm_hh) + var(lstm, "bias"), 4)
    c = f:sigmoid() * c + i:sigmoid() * g:tanh()
    h = o:sigmoid() * (normalized(c, lstm.norm_weight) + lstm.norm_bias):tanh()
  end
  check.near(lstm(x), h, 256 * check.eps)
  local gru = randomized(nn.GRU(H, { layer_norm = true }), x)
  h = tensor.zeros(N, H)
  for _, x_t in ipairs(steps_of(x)) do
    local a = normalized(x_t:matmul(gru.weight_ih), gru.norm_ih) + var(gru, "bias")
    local a_r, a_z, a_n = parts(a, 3)
    local q_r, q_z, q_n = parts(normalized(h:matmul(gru.weight_hh), gru.norm_hh), 3)
    local r, z = (a_r + q_r):sigmoid(), (a_z + q_z):sigmoid()
    h = z * h + (1 - z) * (a_n + r * (q_n + gru.bias_hn)):tanh()
  end
  check.near(gru(x), h, 256 * check.eps)
end

-- -- states -------------------------------------------------------------------------------

function tests.test_stateful_layers_go_on_where_they_ended()
  local x = tensor.randn(2, 6, 3)
  for _, kind in ipairs(KINDS) do
    local layer = nn[kind](4, { stateful = true, return_sequences = true })
    local whole = nn[kind](4, { return_sequences = true })
    layer(x:slice({}, { 1, 2 }))
    whole(x)
    for i, v in ipairs(layer:parameters()) do whole:parameters()[i]:assign(v) end
    layer:reset_states()
    local y = tensor.concat({ layer(x:slice({}, { 1, 2 })), layer(x:slice({}, { 3, 6 })) }, 2)
    check.equal(rows(y), rows(whole(x)))
    check.equal(rows(layer.hidden), rows(whole(x):slice({}, { 6, 6 }):reshape { 2, 4 }))
    layer:reset_states()
    check.equal(rows(layer(x)), rows(whole(x)))
    check.fails(function() layer(tensor.ones(3, 2, 3)) end, "state of 2 rows, got 3", "drop_last")
    layer.stateful = false
    check.equal(rows(layer(x)), rows(whole(x)))
    check.equal(layer(tensor.ones(3, 2, 3)).shape, { 3, 2, 4 })
  end
end

-- Truncated: what flows back ends at the kept state, and a step changes weights and state.
function tests.test_training_a_stateful_layer()
  local net = nn.Sequential { nn.GRU(3, { stateful = true }), nn.Dense(1) }
  local x, y = tensor.randn(2, 4, 2), tensor.randn(2, 1)
  net(x)
  net:reset_states()
  for _, static in ipairs { false, true } do
    local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
      optim.SGD { lr = 0.01 }, { static = static })
    local first = step(x, y)
    local kept = rows(net[1].hidden)
    local second = step(x, y)
    check.yes(first ~= second and first == first)
    check.yes(rows(net[1].hidden)[1][1] ~= kept[1][1])
  end
end

-- Nothing is kept after net:build and net:reset_states: the next call may have any rows.
function tests.test_a_stateful_layer_begins_anew_with_any_rows()
  local two, three, one = tensor.randn(2, 4, 3), tensor.randn(3, 4, 3), tensor.randn(1, 4, 3)
  for _, kind in ipairs(KINDS) do
    local function net_of(stateful)
      return nn.Sequential { nn[kind](2, { stateful = stateful, bias_init = "ones" }) }
    end
    local net, plain = net_of(true):build(4, 3), net_of(false):build(4, 3)
    for i, v in ipairs(net:parameters()) do plain:parameters()[i]:assign(v) end
    check.equal(rows(net(two)), rows(plain(two)), "what a build computes is no state")
    check.fails(function() net(three) end, "state of 2 rows, got 3", "net:reset_states()")
    net:reset_states()
    check.equal(rows(net(three)), rows(plain(three)))
    local other, path = net_of(true):build(4, 3), os.tmpname()
    net:save(path)
    other:load(path)
    check.equal(rows(other(three)), rows(net(three)), "a file brings its rows")
    net:reset_states()
    net:save(path)
    other:load(path)
    os.remove(path)
    check.equal(rows(other:clone()(one)), rows(plain(one)))
    check.equal(rows(other(one)), rows(plain(one)))
    net:reset_states()
    check.equal(rows(net:predict(two)), rows(plain(two)))
  end
end

-- A step that is replayed is the traced one, though states of other sizes come and go.
function tests.test_steps_of_a_stateful_layer_that_begins_anew()
  local function losses(kind, static)
    tensor.seed(9)
    local net = nn.Sequential { nn[kind](2, { stateful = true }), nn.Dense(1) }
    local x, y, out = {}, {}, {}
    for i = 1, 3 do x[i], y[i] = tensor.randn(i, 3, 2):eval(), tensor.randn(i, 1):eval() end
    local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
      optim.SGD { lr = 0.05 }, { static = static })
    for _, i in ipairs { 1, 2, 1, 1, 3, 2 } do
      net:reset_states()
      for _ = 1, 3 do out[#out + 1] = step(x[i], y[i]) end
    end
    return out
  end
  for _, kind in ipairs(KINDS) do
    local traced = losses(kind, false)
    check.yes(traced[1] ~= traced[2])
    check.equal(losses(kind, true), traced)
  end
end

-- -- masks --------------------------------------------------------------------------------

-- Padding left and right, and alone; masked steps may hold NaN.
function tests.test_masks()
  local x, gap = tensor.randn(2, 3, 2), tensor.full(0 / 0, 2, 2, 2)
  local on, off = tensor.ones(2, 3), tensor.zeros(2, 2)
  for _, kind in ipairs(KINDS) do
    for _, backwards in ipairs { false, true } do
      local layer = nn[kind](3, { return_state = true, go_backwards = backwards })
      local function all(...)
        local list = { layer(...) }
        for i, t in ipairs(list) do list[i] = rows(t) end
        return list
      end
      local want = all(x)
      check.equal(all(tensor.concat({ x, gap }, 2), { mask = tensor.concat({ on, off }, 2) }), want)
      check.equal(all(tensor.concat({ gap, x }, 2), { mask = tensor.concat({ off, on }, 2) }), want)
      check.equal(all(x:slice({ 2, 2 }))[1][1], want[1][2])
    end
  end
end

-- A batch of lengths is its sequences one by one, and gradients of what is masked are 0.
function tests.test_a_batch_of_lengths()
  local lengths, x = { 4, 1, 3 }, tensor.randn(3, 4, 2)
  local mask = {}
  for n, length in ipairs(lengths) do
    mask[n] = {}
    for t = 1, 4 do mask[n][t] = t <= length and 1 or 0 end
  end
  for _, kind in ipairs(KINDS) do
    local layer = nn.Bidirectional(nn[kind](3))
    local v = tensor.variable(x)
    local y = layer(v, { mask = tensor(mask) })
    local gx = rows(grad(y:sum(), { v })[1])
    for n, length in ipairs(lengths) do
      local alone = x:slice({ n, n }, { 1, length })
      check.equal(rows(y)[n], rows(layer(alone))[1])
      for t = length + 1, 4 do check.equal(gx[n][t], { 0, 0 }) end
    end
  end
end

-- A row of which no step counts keeps the state that it began with.
function tests.test_a_row_without_steps()
  for _, kind in ipairs(KINDS) do
    local net = nn.Bidirectional(nn[kind](3, { return_state = true }))
    local y = net(tensor.full(0 / 0, 2, 3, 2), { mask = tensor.zeros(2, 3) })
    check.equal(rows(y), { { 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0 } })
    local kept = nn.Bidirectional(nn[kind](3, { stateful = true }))
    local x = tensor.randn(2, 3, 2)
    local first = rows(kept(x))
    check.yes(rows(kept(x))[1][1] ~= first[1][1])
    kept:reset_states()
    check.equal(rows(kept(x)), first)
  end
end

-- -- directions ---------------------------------------------------------------------------

function tests.test_backwards()
  local x = tensor.randn(2, 4, 3)
  local turned = x:slice({}, { 4, 1, -1 })
  for _, kind in ipairs(KINDS) do
    local back = nn[kind](3, { return_sequences = true, go_backwards = true })
    local ahead = nn[kind](3, { return_sequences = true })
    back(x)
    ahead(x)
    for i, v in ipairs(back:parameters()) do ahead:parameters()[i]:assign(v) end
    check.equal(rows(back(x)), rows(ahead(turned)))
    local both = nn.Bidirectional(nn[kind](3, { return_sequences = true }))
    both(x)
    for i, v in ipairs(both.layer:parameters()) do ahead:parameters()[i]:assign(v) end
    local one = ahead(x)
    for i, v in ipairs(both.backward:parameters()) do ahead:parameters()[i]:assign(v) end
    local other = ahead(turned):slice({}, { 4, 1, -1 })
    check.equal(rows(both(x)), rows(tensor.concat({ one, other }, 3)))
    for mode, join in pairs { sum = one + other, mul = one * other, ave = (one + other) / 2 } do
      local merged = nn.Bidirectional(nn[kind](3, { return_sequences = true }),
        { merge_mode = mode })
      merged(x)
      merged:load(both:state())
      check.near(merged(x), join)
    end
    local apart = nn.Bidirectional(nn[kind](3, { return_sequences = true }),
      { merge_mode = "none" })
    apart(x)
    apart:load(both:state())
    local a, b = apart(x)
    check.equal({ rows(a), rows(b) }, { rows(one), rows(other) })
  end
  local named = nn.Bidirectional(nn.LSTM(2, { name = "reader" }))
  named(x)
  check.yes(named:state()["reader.weight_ih"] ~= nil)
  local copy = named:clone()
  check.equal(rows(copy(x)), rows(named(x)))
  check.fails(function() nn.Bidirectional(nn.Dense(2)) end,
    '"layer": got nn.Dense, allowed: nn.LSTM')
  check.fails(function() nn.Sequential { nn.LSTM(3), nn.GRU(2) }(tensor.ones(2, 3, 4)) end,
    "gru_1: expects [N, T, features], got 2x3", "return_sequences = true")
  check.fails(function() nn.Bidirectional(nn.LSTM(2), { backward = nn.LSTM(2) }) end,
    "go_backwards is true")
  check.fails(function()
    nn.Bidirectional(nn.LSTM(2), { backward = nn.LSTM(2, { go_backwards = true,
      return_sequences = true }) })
  end, "return_sequences")
  local function pair(mode)
    return nn.Bidirectional(nn.GRU(1), { backward = nn.GRU(3, { go_backwards = true }),
      merge_mode = mode })
  end
  check.equal(pair("concat")(x).shape, { 2, 4 })
  for _, mode in ipairs { "sum", "mul", "ave" } do
    check.fails(function() pair(mode) end, "1 and 3 units", '"concat"')
  end
end

-- Fields of its layers may be set later; a layer that is in one has its own order outside.
function tests.test_layers_in_a_bidirectional_one()
  local x = tensor.randn(2, 4, 3)
  for _, kind in ipairs(KINDS) do
    local both = nn.Bidirectional(nn[kind](2))
    both(x)
    both.layer.go_backwards = true
    check.fails(function() both(x) end, "go_backwards is false")
    both.layer.go_backwards = false
    both.layer.return_sequences = true
    check.fails(function() both(x) end, "return_sequences")
    both.backward.return_sequences = true
    check.equal(both(x).shape, { 2, 4, 4 })
    local back = nn[kind](2, { return_sequences = true, go_backwards = true })
    local want = rows(back(x))
    local pair = nn.Bidirectional(nn[kind](2, { return_sequences = true }), { backward = back })
    local joined = rows(pair(x):slice({}, { 4, 1, -1 }, { 3, 4 }))
    check.equal(joined, want)
    check.equal(rows(back(x)), want)
  end
end

-- -- dropout ------------------------------------------------------------------------------

-- One draw for all steps: without products with h, equal inputs give equal results.
function tests.test_dropout_is_the_same_at_all_steps()
  local x = tensor.ones(3, 5, 8)
  for _, kind in ipairs(KINDS) do
    local layer = nn[kind](6, { dropout = 0.5, recurrent_init = "zeros", return_sequences = true })
    local a = nn.Sequential { layer }
    a(x)
    if kind == "SimpleRNN" then
      local y = rows(a(x, { training = true }))
      for t = 2, 5 do check.equal(y[1][t], y[1][1]) end
      check.yes(y[1][1][1] ~= y[2][1][1] or y[1][1][2] ~= y[2][1][2])
    end
    check.equal(rows(a(x)), rows(a(x)))
    local other = nn[kind](6, { recurrent_dropout = 0.5, return_sequences = true })
    other(x)
    local drawn, plain = rows(other(x, { training = true })), rows(other(x))
    check.equal(drawn[1][1], plain[1][1], "h is 0 before the first step")
    check.yes(drawn[1][5][1] ~= plain[1][5][1])
  end
end

-- -- IRNN, options, errors ------------------------------------------------------------------

function tests.test_irnn_begins_by_adding_up()
  local layer = nn.SimpleRNN(2, { activation = "relu", recurrent_init = "identity",
    init = "identity" })
  check.near(layer(tensor { { { 1, 2 }, { 3, 4 }, { 5, 6 } } }), { { 9, 12 } })
  local bias = nn.LSTM(2, { bias_init = "ones", forget_bias = 3 })
  bias(tensor.ones(1, 1, 1))
  check.equal(rows(var(bias, "bias")), { 1, 1, 3, 3, 1, 1, 1, 1 })
  check.equal(#nn.GRU(2, { reset_after = false }):build { 3, 1 }:parameters(), 3)
end

function tests.test_what_is_refused()
  check.fails(function() nn.GRU(3, { num_layers = 2 }) end, "num_layers", "nn.Sequential")
  check.fails(function() nn.GRU(3, { bidirectional = true }) end, "nn.Bidirectional")
  check.fails(function() nn.LSTM(3, { unit_forget_bias = true }) end, "forget_bias")
  check.fails(function() nn.SimpleRNN(3, { activation = "sigmoid" }) end, "tanh", "relu")
  check.fails(function() nn.GRU(3, { dropout = 1 }) end, "dropout")
  check.fails(function() nn.GRU(3)(tensor.ones(2, 3)) end, "[N, T, features]")
  local gru = nn.GRU(3)
  gru(tensor.ones(2, 3, 4))
  check.fails(function() gru(tensor.ones(2, 3, 5)) end, "[N, T, 4]")
  check.fails(function() gru(tensor.ones(2, 3, 4), tensor.ones(2, 4)) end, "h of 2x3")
  check.fails(function() nn.LSTM(3)(tensor.ones(2, 3, 4), tensor.ones(2, 3)) end,
    "takes 3 tensors")
  check.fails(function() nn.Bidirectional(nn.LSTM(3))(tensor.ones(2, 3, 4), tensor.ones(2, 3)) end,
    "takes")
end

function tests.test_penalties_and_bounds()
  local net = nn.Sequential { nn.GRU(3, { recurrent_regularizer = "l2", recurrent_constraint =
    "max_norm" }), nn.Dense(1) }
  local x, y = tensor.randn(4, 3, 2), tensor.randn(4, 1)
  net(x)
  net[1].weight_hh:assign(tensor.full(2, 3, 9))
  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,
    optim.SGD { lr = 0.001 })
  local plain = loss.mse(net(x), y):item()
  check.yes(step(x, y) > plain + 0.1)
  for _, row in ipairs(rows((net[1].weight_hh * net[1].weight_hh):sum({ 1 }))) do
    check.yes(row <= 4.0001)
  end
end

-- -- random options -------------------------------------------------------------------------

-- What both tests draw: a layer, the shape of its input, its kind.
local drawing = [[
local function pick(list) return list[math.random(#list)] end

local function random_case()
  local kind, size = pick { "SimpleRNN", "LSTM", "GRU" }, { 1, 2, 3, 7, 17 }
  local options = { return_sequences = pick { true, false }, go_backwards = pick { true, false },
    bias = pick { true, false }, layer_norm = pick { false, false, true },
    dropout = pick { 0, 0.3 }, recurrent_dropout = pick { 0, 0.4 } }
  if kind == "SimpleRNN" then options.activation = pick { "tanh", "relu" } end
  if kind == "LSTM" then options.peepholes = pick { true, false } end
  if kind == "GRU" then options.reset_after = pick { true, false } end
  options.return_state = pick { true, false }
  local shape = { pick { 1, 2, 17 }, pick { 1, 2, 5 }, pick(size) }
  local H, both = pick(size), pick { true, false }
  local layer, states = nn[kind](H, options), {}
  local join = pick { "concat", "sum", "none" }
  if both then layer = nn.Bidirectional(layer, { merge_mode = join }) end
  local n = pick { true, false } and (kind == "LSTM" and 2 or 1) * (both and 2 or 1) or 0
  for i = 1, n do states[i] = tensor.variable(tensor.randn(shape[1], H) * 0.5) end
  return layer, shape, states, kind
end

-- All results as one row, with the draws of a seed.
local function results_of(layer, x, states, mask, seed)
  tensor.seed(seed)
  local given = { x, table.unpack(states) }
  given[#given + 1] = { mask = mask, training = true }
  local y = { layer(table.unpack(given)) }
  for i, t in ipairs(y) do y[i] = t:reshape(-1) end
  return tensor.concat(y, 1)
end
]]
local random_case, results_of = load(drawing .. "return random_case, results_of")()

-- By one element of each tensor.
local function compare_with_difference(v, got, value_of, label)
  local flat, old, h = rows(v:reshape { -1 }), v:detach():eval(), 1e-6
  local at = math.random(#flat)
  local function moved(by)
    local copy = table.move(flat, 1, #flat, 1, {})
    copy[at] = copy[at] + by
    v:assign(tensor(copy):reshape(v.shape))
    return value_of():item()
  end
  local g = rows(got:reshape { -1 })[at]
  check.yes(g == g and math.abs(g) < math.huge, label)
  if not exact then return end
  local want = (moved(h) - moved(-h)) / (2 * h)
  v:assign(old)
  check.yes(math.abs(g - want) <= 2e-6 * math.max(1, math.abs(want)),
    ("%s: %g, difference %g"):format(label, g, want))
end

function tests.test_random_layers_agree_with_differences()
  math.randomseed(7)
  for round = 1, 40 do
    tensor.seed(round)
    local layer, shape, states, kind = random_case()
    local x = tensor.variable(numbers(round, shape))
    local mask = numbers(round + 1, { shape[1], shape[2] }):gt(-0.3):eval()
    local function value_of()
      local y = results_of(layer, x, states, mask, 5)
      return (y * numbers(round + 2, y.shape)):sum()
    end
    value_of()
    for i, v in ipairs(layer:parameters()) do -- none is 0, where relu has its kink
      v:assign(numbers(round + i, v.shape) * 0.7 + 0.003)
    end
    local list = layer:parameters()
    list[#list + 1] = x
    table.move(states, 1, #states, #list + 1, list)
    for k, g in ipairs(grad(value_of(), list)) do
      compare_with_difference(list[k], g, value_of,
        ("%s, round %d, tensor %d"):format(kind, round, k))
    end
  end
end

-- In training with draws, results and gradients: planned or op by op, by one thread or four.
function tests.test_random_layers_give_equal_bytes()
  check.equal_bytes(drawing .. [[
    math.randomseed(11)
    for round = 1, 16 do
      tensor.seed(round)
      local layer, shape, states = random_case()
      local x = tensor.variable(tensor.randn(table.unpack(shape)))
      local mask = tensor.rand(shape[1], shape[2]):lt(0.7):eval()
      layer(x)
      for _, v in ipairs(layer:parameters()) do
        v:assign((tensor.randn(table.unpack(v.shape)) * 0.7):eval())
      end
      local y, list = results_of(layer, x, states, mask, round), layer:parameters()
      list[#list + 1] = x
      table.move(states, 1, #states, #list + 1, list)
      local all = grad(y:square():sum(), list)
      all[#all + 1] = y
      for i, t in ipairs(all) do
        local sum = 0
        for k, v in ipairs(t:reshape(-1):totable()) do sum = sum + v * math.sin(k) end
        print(round, i, ("%a"):format(sum))
      end
    end]])
end

check.run(tests)
