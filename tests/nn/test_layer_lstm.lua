-- The long short-term memory: state in and out, masks, padding.

local check = dofile "tests/check.lua"
local tests = {}

local function rows(t) return t:totable() end

-- Two halves of a sequence, the state handed on, are the whole.
function tests.test_state_in_and_out()
  local layer = nn.LSTM(3, { return_sequences = true, return_state = true })
  local x = tensor.randn(2, 5, 4)
  local y, h, c = layer(x)
  check.equal({ y.shape, h.shape, c.shape }, { { 2, 5, 3 }, { 2, 3 }, { 2, 3 } })
  local _, h1, c1 = layer(x:slice({}, { 1, 2 }))
  local y2, h2, c2 = layer(x:slice({}, { 3, 5 }), h1, c1)
  check.equal({ rows(h2), rows(c2) }, { rows(h), rows(c) })
  check.equal(rows(y2), rows(y:slice({}, { 3, 5 })))
  local short = nn.LSTM(3)
  short(x)
  short:load(layer:state())
  check.equal(rows(short(x)), rows(h))
  check.fails(function() layer(x, h) end, "lstm_1: takes 3 tensors, got 2")
  check.fails(function() layer(x, h, y) end, "h and c of 2x3")
  check.fails(function() nn.LSTM(3)(tensor.ones(2, 3)) end, "[N, T, features]")
end

-- Steps that are masked may hold anything; padding left and right gives the same to the bit, and
-- so does a sequence alone.
function tests.test_masks()
  local nan = 0 / 0
  local layer = nn.LSTM(3, { return_state = true })
  local x = tensor.randn(2, 3, 2)
  local gap = tensor.full(nan, 2, 2, 2)
  local on, off = tensor.ones(2, 3), tensor.zeros(2, 2)
  local y, h, c = layer(x)
  local want = { rows(y), rows(h), rows(c) }
  local function padded(parts, mask)
    local a, b, d = layer(tensor.concat(parts, 2), { mask = tensor.concat(mask, 2) })
    return { rows(a), rows(b), rows(d) }
  end
  check.equal(padded({ x, gap }, { on, off }), want)
  check.equal(padded({ gap, x }, { off, on }), want)
  check.near(layer(x:slice({ 1, 1 })), y:slice({ 1, 1 }), 1e-6)
  local all = nn.LSTM(3, { return_sequences = true })
  local held = all(tensor.concat({ x, gap }, 2), { mask = tensor.concat({ on, off }, 2) })
  check.equal(rows(held[1][5]), rows(held[1][3]))
  check.fails(function()
    nn.Sequential { nn.LSTM(2, { return_sequences = true }), nn.Flatten() }(x, { mask = on })
  end, "flatten_1: knows no mask")
  check.equal(nn.Sequential { nn.LSTM(2, { return_sequences = true }), nn.LSTM(2),
    nn.Dense(1) }(x, { mask = on }).shape, { 2, 1 })
end

-- What is masked takes no part in the gradient, even if it is not a number.
function tests.test_gradients_of_masked_steps()
  local net = nn.Sequential { nn.LSTM(3), nn.Dense(1) }
  local x = tensor.randn(2, 3, 2)
  net(x)
  local function gradients(input, mask)
    return grad(net(input, { mask = mask }):sum(), net:parameters())
  end
  local gap = tensor.full(0 / 0, 2, 2, 2)
  local want = gradients(x, tensor.ones(2, 3))
  local got = gradients(tensor.concat({ gap, x }, 2),
    tensor.concat({ tensor.zeros(2, 2), tensor.ones(2, 3) }, 2))
  for i, g in ipairs(want) do check.near(got[i], g, 1e-5) end
end

function tests.test_it_learns_which_step_came_first()
  local x = tensor.zeros(16, 6, 1):totable()
  local y = {}
  for i = 1, 16 do
    y[i] = { i % 2 }
    x[i][1][1] = i % 2 == 1 and 1 or -1
    for t = 2, 6 do x[i][t][1] = (i * t) % 3 / 10 end
  end
  local net = nn.Sequential { nn.LSTM(6), nn.Dense(1) }
  local history = train.fit(net, data.set(tensor(x), tensor(y)), { loss = "mse", epochs = 80,
    batch_size = 8, optimizer = optim.Adam { lr = 0.03 }, verbose = false, record = false })
  check.yes(history.loss[80] < 0.02)
  local layer = nn.LSTM(2)
  layer(tensor.ones(1, 1, 1))
  check.equal(rows(layer:state()["lstm_1.bias"]), { 0, 0, 1, 1, 0, 0, 0, 0 })
end

check.run(tests)
