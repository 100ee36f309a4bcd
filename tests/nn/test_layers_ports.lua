-- Several tensors through a net, and masks of steps: nothing is dropped without a word.

local check = dofile "tests/check.lua"
local tests = {}

local a, b = tensor { { 1, 2 }, { 3, 4 } }, tensor { { 10, 20 }, { 30, 40 } }
local function swap(u, v) return v, u end

function tests.test_a_net_gives_what_its_last_layer_gives()
  local net = nn.Sequential { swap, { forward = function(_, u, v) return u, v * 2, u + v end } }
  local p, q, r, none = net(a, b)
  check.equal({ p:totable(), q:totable(), r:totable(), none },
    { b:totable(), (a * 2):totable(), (a + b):totable(), nil })
  check.equal(select("#", nn.Lambda(swap)(a, b, { training = true })), 2)
end

function tests.test_one_more_is_an_error_that_says_both_numbers()
  check.fails(function() nn.Sequential { swap, nn.Dense(2) }(a, b) end,
    "dense_1: takes 1 tensor, got 2")
  local net = nn.Sequential { nn.Dense(2), function(v) return v, v end }
  check.fails(function() net:predict(a) end, "sequential_1: gives 2 tensors, allowed: one")
  check.fails(function()
    train.fit(net, data.set(a, b), { loss = "mse", verbose = false, record = false })
  end, "sequential_1: gives 2 tensors, allowed: one")
  check.fails(function() nn.Residual(function(v) return v, v end)(a) end,
    "the block gives 2 tensors, the shortcut 1")
end

function tests.test_containers_pass_all_on()
  local both = nn.Concat { swap, function(u, v) return u + v end }
  check.equal(both(a, b).shape, { 2, 6 })
  check.equal(both(a, b):totable(), tensor.concat({ b, a, a + b }, 2):totable())
  local p, q = nn.Residual(swap)(a, b)
  check.equal({ p:totable(), q:totable() }, { (a + b):totable(), (a + b):totable() })
end

-- The gradient reaches every variable of a net of two inputs, in a step that is replayed too.
function tests.test_training_with_two_inputs()
  local left, right = nn.Dense(3), nn.Dense(3)
  local net = nn.Sequential { { left = left, right = right,
    forward = function(_, u, v) return left(u), right(v) end },
    function(u, v) return u * v end, nn.Dense(1) }
  check.equal(#net:build({ 2 }, { 2 }):parameters(), 6)
  check.equal(left.weight.shape, { 2, 3 })
  local step = train.step(function(u, v) return net(u, v):square():mean() end, net,
    optim.SGD { lr = 0.01 })
  local u, v = a / 10, b / 100
  local first, last = step(u, v), nil
  for _ = 1, 20 do last = step(u, v) end
  check.yes(last < first)
  local before = net:state()
  net:load(before)
  check.equal(net(a, b):totable(), net(a, b):totable())
  check.fails(function() net(a) end, "got nil")
end

function tests.test_any_number_of_variables()
  local many = {}
  for i = 1, 40 do many[i] = tensor.variable { i, i } end
  local layer = { many = many, forward = function(self, v)
    for _, w in ipairs(self.many) do v = v + w end
    return v
  end }
  local net = nn.Sequential { layer }
  check.equal({ #net:parameters(), net(a):totable() }, { 40, (a + 820):totable() })
  net:freeze "custom_1.many_4*"
  local step = train.step(function(v) return net(v):mean() end, net, optim.SGD { lr = 4 })
  step(a)
  check.equal({ many[4]:totable(), many[40]:totable(), many[39]:totable() },
    { { 4, 4 }, { 40, 40 }, { 37, 37 } })
end

-- -- masks of steps

local steps = tensor.ones(2, 3, 4)
local mask = tensor { { 1, 1, 0 }, { 1, 0, 0 } }

function tests.test_masks_pass_where_time_is_kept_and_are_refused_elsewhere()
  local keeps = nn.Sequential { nn.Dense(3, { activation = "relu" }), nn.LayerNorm(),
    nn.Dropout(0.1), nn.Residual(nn.Dense(3)), nn.Concat { nn.Dense(1), nn.Dense(2) } }
  check.equal(keeps(steps, { mask = mask }).shape, { 2, 3, 3 })
  keeps:add(nn.Flatten())
  check.fails(function() keeps(steps, { mask = mask }) end, "flatten_1: knows no mask",
    "of the input", "nn.Unmask()")
  check.equal(keeps(steps).shape, { 2, 9 })
  local dropped = nn.Sequential { nn.Dense(2), nn.Unmask(), nn.Flatten() }
  check.equal(dropped(steps, { mask = mask }).shape, { 2, 6 })
  check.fails(function() nn.Sequential { function(v) return v end }(steps, { mask = mask }) end,
    "lambda_1: knows no mask")
  check.fails(function() nn.Concat({ nn.Dense(1), nn.Dense(1) }, { axis = 2 })(steps,
    { mask = mask }) end, "concat_1: joins along axis 2 what has a mask")
end

function tests.test_masks_must_fit_their_input()
  local net = nn.Dense(2)
  for _, wrong in ipairs { tensor.ones(2, 4), tensor.ones(2), tensor.ones(2, 3, 1) } do
    check.fails(function() net(steps, { mask = wrong }) end, 'option "mask"', "[N, T]")
  end
  check.fails(function() net(steps, { mask = 1 }) end, 'option "mask": got a number')
  check.fails(function() net(tensor.ones(2, 3), { mask = mask }) end, "dense_1")
end

check.run(tests)
