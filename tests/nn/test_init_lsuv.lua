-- LSUV: variances of 1 behind every layer, and what it refuses.
local check = dofile "tests/check.lua"
local tests = {}

-- Depth 20, narrow and wide, with any activation: variances 1 within the tolerance.
function tests.test_lsuv()
  local x = tensor.randn(200, 30) * 5 + 1
  local net = nn.Sequential {}
  for i = 1, 20 do
    net:add(nn.Dense(i % 2 == 0 and 25 or 40, { activation = i % 3 == 0 and "relu" or "tanh" }))
  end
  net:add(nn.Dense(8, { activation = "glu" })):add(nn.WeightNorm(nn.Dense(6)))
  check.equal(init.lsuv(net, x, { tolerance = 0.01 }), net)
  local h = x
  for i = 1, #net do
    local layer = net[i]
    local weight = i == #net and layer[1].weight or layer.weight
    if i < #net then
      check.near(h:matmul(weight):var():item(), 1, 0.011)
    else
      check.near(layer(h):var():item(), 1, 0.011)
    end
    h = layer(h):eval()
  end
  local flat = nn.Sequential { nn.Dense(10, { bias = false }) }
  init.lsuv(flat, x)
  local w = flat[1].weight
  local square = w:transpose():matmul(w)
  local scale = square:max():item()
  check.near(square / scale, tensor.eye(10), 1e-4)
  flat:freeze "dense_1"
  local trained = flat[1].weight:totable()
  check.equal(init.lsuv(flat, x)[1].weight:totable(), trained, "frozen weights stay")
  flat:unfreeze "dense_1"
  check.fails(function() init.lsuv(flat, tensor.zeros(3, 30)) end, "dense_1", "variance 0")
  for _, v in ipairs { 0 / 0, 1 / 0 } do
    check.fails(function() init.lsuv(flat, tensor.ones(3, 30) * v) end, "dense_1", "variance nan")
  end
  check.fails(function() init.lsuv(flat, { 1 }) end, "argument 2 is a table")
  check.fails(function() init.lsuv(flat, x, { trails = 3 }) end, 'did you mean "trials"')
  check.fails(function() init.lsuv(flat, tensor.ones(3, 4)) end, "expects [N, 30]")
end

check.run(tests)
