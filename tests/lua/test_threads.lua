-- The weights after 50 steps of the Fashion-MNIST network are the same bytes for any number
-- of threads, also when every job that can be shared is.

local check = dofile "tests/check.lua"
local tests = {}

local script = [[
  local args = args { out = "weights.safetensors" }
  local net = nn.Sequential {
    nn.Flatten(),
    nn.Dense(300, { init = "he_normal", bias = false }), nn.BatchNorm(), nn.Activation("relu"),
    nn.Dense(100, { init = "he_normal", bias = false }), nn.BatchNorm(), nn.Activation("relu"),
    nn.Dropout(0.2), nn.Dense(10),
  }
  local optimizer = optim.SGD { lr = 0.05, momentum = 0.9, global_clipnorm = 5 }
  local step = train.step(function(x, y)
    return loss.sparse_categorical_crossentropy(net(x), y)
  end, net, optimizer)
  for i = 1, 50 do
    print(("%a"):format(step(tensor.rand(32, 1, 28, 28), tensor.randint(1, 10, 32))))
  end
  net:save(args.out)
]]

local function run(threads, threshold)
  local path = check.file("steps.lua", script)
  local out, err, status = check.runner({ "--threads", tostring(threads), path },
    "RUNNER_PAR_THRESHOLD=" .. threshold)
  if status ~= 0 then error(err) end
  return out, check.read(check.temp .. "/weights.safetensors")
end

function tests.test_weights_after_50_steps()
  local losses, weights = run(1, 100000)
  for _, threads in ipairs { 1, 2, 7 } do
    for _, threshold in ipairs { 1, 100000 } do
      local l, w = run(threads, threshold)
      check.equal({ threads, threshold, l == losses, w == weights },
        { threads, threshold, true, true })
    end
  end
end

check.run(tests)
