-- Any number of results of a step, of metrics, of columns of a history.

local check = dofile "tests/check.lua"
local tests = {}

local MANY = 100

-- The loss, then MANY numbers, each another multiple of the weight; one is a plain number.
local function many_results(w)
  return function(x)
    local out = { (w * x):square():sum() }
    for k = 1, MANY do out[k + 1] = k == 50 and "fifty" or (w * k):sum() end
    return table.unpack(out)
  end
end

function tests.test_a_step_with_many_results()
  for _, static in ipairs { false, true } do
    local w = tensor.variable(tensor { 1, 2 })
    local step = train.step(many_results(w), { w }, optim.SGD { lr = 0.25 }, { static = static })
    local x, sum = tensor { 1, 1 }, 3
    for _ = 1, 4 do
      local out = table.pack(step(x))
      check.equal(out.n, MANY + 1)
      check.equal(out[51], "fifty")
      for k = 1, MANY do
        if k ~= 50 then check.near(out[k + 1], k * sum, 1e-4 * k) end
      end
      sum = sum / 2 -- w - 0.25 * 2 * w
    end
  end
end

local function metrics()
  local out = {}
  for k = 1, MANY do
    out[k] = train.metric(function(y) return (y:sum() * 0 + k):item() end,
      { name = "m" .. k, goal = "min" })
  end
  return out
end

function tests.test_a_fit_with_many_metrics()
  local set = data.set(tensor.linspace(-1, 1, 16):reshape(8, 2),
    tensor.linspace(0, 1, 8):reshape(8, 1))
  local net, seen = nn.Sequential { nn.Dense(1) }, 0
  local h = train.fit(net, set, { loss = "mse", epochs = 2, validation_data = set, test = set,
    metrics = metrics(), verbose = false, record = false,
    callbacks = { function(info) for k = 1, MANY do seen = seen + info["val_m" .. k] end end } })
  for k = 1, MANY do
    check.equal(h["m" .. k], { k, k })
    check.equal(h["val_m" .. k], { k, k })
    check.equal(h["test_m" .. k], k)
  end
  check.equal(seen, 2 * MANY * (MANY + 1) / 2)
  check.equal(net:evaluate(set, { metrics = metrics() }).m77, 77)
end

check.run(tests)
