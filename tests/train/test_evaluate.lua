-- Inference by plans gives the bytes of the naive executor, with any number of threads, and
-- whatever happens between two looks.

local check = dofile "tests/check.lua"
local tests = {}

-- The script's output by the naive executor; it must be the same by plans.
local function same_by_plans(code)
  local path = check.file("inference.lua", code)
  local function run(executor, threads)
    local out, err, status = check.runner({ "--threads", threads, path },
      "RUNNER_PAR_THRESHOLD=1 RUNNER_EXECUTOR=" .. executor)
    if status ~= 0 then error(err) end
    return out
  end
  local want = run("naive", "1")
  check.yes(#want > 1000)
  for _, threads in ipairs { "1", "2", "7" } do check.yes(run("planned", threads) == want) end
end

local helpers = [[
  local function show(t)
    if type(t) == "number" then return print(("%a"):format(t)) end
    if type(t) == "table" then
      local names = {}
      for name in pairs(t) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do print(name, ("%a"):format(t[name])) end
      return
    end
    local words = {}
    for _, v in ipairs(t:reshape(-1):totable()) do words[#words + 1] = ("%a"):format(v) end
    print(table.concat(words, " "))
  end
  local Scaled = function(n)
    return { w = tensor.variable(tensor.rand(n)), forward = function(self, x)
      return x * self.w + x:sigmoid()
    end }
  end
  -- Every layer, and functions of the user.
  local nets = {
    built_in = function()
      return nn.Sequential { nn.Flatten(), nn.Dense(9, { activation = "relu" }), nn.BatchNorm(),
        nn.Dropout(0.3), nn.Residual(nn.Sequential { nn.Dense(9), nn.BatchNorm { affine = false },
        nn.activation "tanh" }), nn.Concat({ nn.Dense(4, { bias = false }), nn.Identity() }),
        nn.LayerNorm(), nn.Dense(3, { activation = "softmax" }) }
    end,
    own = function()
      return nn.Sequential { nn.Dense(8), nn.Lambda(function(x) return x:square() + x end),
        Scaled(8), nn.Dense(6, { activation = function(v) return v * v:sigmoid() end }),
        nn.BatchNorm(), nn.Dense(3) }
    end,
  }
  local set = data.spirals { n = 150, classes = 3 }
  local x, y = set:tensors()
]]

function tests.test_equal_bytes_of_predict_evaluate_and_validation()
  same_by_plans(helpers .. [[
    for _, name in ipairs { "built_in", "own" } do
      local net = nets[name]():build { 2 }
      local function look(where)
        print(name, where)
        for _ = 1, 4 do show(net(x)) end
        show(net(x[{ { 1, 1 } }]))
        for _, batch in ipairs { 16, 7, 150, 1 } do
          show(net:predict(x, batch))
          show(net:predict_classes(x, batch))
          show(net:evaluate(set, { loss = "cross_entropy", metrics = { "accuracy", "f1" },
            batch_size = batch }))
        end
      end
      look "built"
      net:load(net:state())
      local before = net:state()
      local step = train.step(function(a, b) return loss.cross_entropy(net(a), b) end, net, "adam")
      for a, b in set:batches(32) do
        show(step(a, b))
        show(net(a))
        show(net:evaluate(set, { batch_size = 16, loss = "cross_entropy", metrics = {} }))
      end
      look "trained"
      local history = train.fit(net, set, { loss = "cross_entropy", epochs = 3, batch_size = 16,
        validation = 0.3, test = set, metrics = { "accuracy" }, verbose = false, callbacks = {
          function(at)
            show(at.net:evaluate(set, { batch_size = 64 }))
            if at.epoch == 2 then at.net:freeze "batch_norm_1*" end
          end } })
      for i = 1, 3 do show(history.val_loss[i]); show(history.val_accuracy[i]) end
      look "fitted"
      net:load(before)
      look "loaded"
      show(net(x, { training = true }))
      look "statistics"
    end
  ]])
end

function tests.test_equal_bytes_of_expressions_that_are_looked_at_again()
  same_by_plans(helpers .. [[
    local v = tensor.variable(tensor.rand(150, 2))
    for i = 1, 6 do
      local a = (x * v + i):tanh()
      local b = ((a:square() + 1):sqrt() / (a:abs() + i)):exp()
      local c = (b * tensor.rand(150, 2) + a):sum(1)
      show(c)
      if i % 2 == 0 then show(a) end
      show((b - a):mean())
      v:assign(v * 0.5 + a:detach())
      show(grad(function(w) return (x * w):tanh():sum() end)(v:detach()))
    end
    local net, twin = nets.built_in():build { 2 }, nets.built_in():build { 2 }
    local both = nn.Sequential { nn.Dense(2), net }
    for i = 1, 4 do
      local out = net(x)
      local held = out * 2
      show(loss.cross_entropy(out, y) + held:sum())
      show(held)
      show(twin(x))
      show(both(x))
      show(loss.cross_entropy(net(x, { training = true }), y))
    end
  ]])
end

function tests.test_a_metric_may_change_the_net_between_batches()
  same_by_plans(helpers .. [[
    local net, n = nets.built_in():build { 2 }, 0
    local state = net:state()
    local meddle = train.metric { add = function(s, output, target)
      n = n + 1
      if n % 3 == 0 and n < 40 then net:load(state) end
      if n % 4 == 0 then
        train.step(function(a, b) return loss.cross_entropy(net(a), b) end, net, "sgd")(x, y)
      end
      if n == 40 then net:add(nn.Dense(3)) end
      show(net(x[{ { 1, 20 } }]))
      return (s or 0) + output:sum():item()
    end, finish = function(s) return s end, name = "meddle" }
    for _ = 1, 3 do
      show(net:evaluate(set, { loss = "cross_entropy", metrics = { meddle }, batch_size = 10 }))
    end
  ]])
end

-- What the data alone show names the line, also where a plan finds it.
function tests.test_faults_of_the_data_name_their_line()
  local net = nn.Sequential { nn.Dense(4), nn.BatchNorm(), nn.activation "tanh", nn.Dense(3) }
  net:build { 2 }
  local function error_at(labels)
    local out = net(tensor.ones(3, 2))
    return loss.sparse_categorical_crossentropy(out, labels):item()
  end
  local line = debug.getinfo(error_at, "S").linedefined + 2
  for _ = 1, 4 do error_at(tensor { 1, 2, 3 }:cast "int32") end
  local first = check.fails(function() error_at(tensor { 1, 2, 4 }:cast "int32") end,
    "test_evaluate.lua:" .. line, "4")
  check.equal(check.fails(function() error_at(tensor { 1, 2, 4 }:cast "int32") end), first)
  error_at(tensor { 1, 2, 3 }:cast "int32")
end

function tests.test_nets_go_though_their_plans_stay()
  local x = tensor.rand(5, 4):eval()
  local seen = setmetatable({}, { __mode = "k" })
  for _ = 1, 6 do
    local net = nn.Sequential { nn.Dense(4), nn.BatchNorm(), nn.activation "tanh", nn.Dense(3) }
    net:build { 4 }
    for _ = 1, 3 do net(x):eval() end
    seen[net] = true
  end
  collectgarbage()
  collectgarbage()
  check.equal(next(seen), nil)
end

check.run(tests)
