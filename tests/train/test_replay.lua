-- Steps that are replayed give the same bytes as steps whose function runs again.

local check = dofile "tests/check.lua"
local tests = {}

local script = [[
  local args = args { traced = false, optimizer = "sgd", built = false, clip = 0.0 }
  local set = data.moons { n = 100 }
  local net = nn.Sequential {
    nn.Dense(8, { activation = "relu" }), nn.BatchNorm(), nn.Dropout(0.2),
    nn.Residual(nn.Dense(8, { activation = "tanh" })), nn.LayerNorm(), nn.Dense(2),
  }
  if args.built then net:build { 2 } end
  local options = { lr = 0.1 }
  if args.optimizer == "sgd" then options.momentum = 0.9 end
  if args.clip > 0 then options.global_clipnorm = args.clip end
  local made = { sgd = optim.SGD, adam = optim.Adam, adamw = optim.AdamW }
  local ce = loss.sparse_categorical_crossentropy
  local epochs = {}
  -- A loss in Lua runs at every step, the built-in one is replayed.
  local history = train.fit(net, set, {
    loss = args.traced and function(y, t) return ce(y, t) end or ce {},
    optimizer = made[args.optimizer](options), epochs = 4, verbose = false,
    validation = 0.2, metrics = { "accuracy" }, batch_size = 16,
    callbacks = { function(info)
      if info.epoch == 2 then info.net:freeze "dense_1" end
    end },
  })
  for _, column in ipairs { "loss", "accuracy", "val_loss" } do
    for _, v in ipairs(history[column]) do print(column, ("%a"):format(v)) end
  end
  for name, t in pairs(net:state()) do
    for _, v in ipairs(t:reshape(-1):totable()) do print(name, ("%a"):format(v)) end
  end
]]

function tests.test_fit_replayed_is_fit_traced()
  local run = check.script_output(script)
  for _, optimizer in ipairs { "sgd", "adam", "adamw" } do
    for _, more in ipairs { "built=false", "built=true", "clip=0.1" } do
      local words = { "optimizer=" .. optimizer, more }
      local replayed = run(words)
      words[3] = "traced=true"
      check.yes(run(words) == replayed)
    end
  end
end

local steps = [[
  local args = args { static = false }
  local net = nn.Sequential {
    nn.Dense(8, { activation = "tanh" }), nn.BatchNorm(), nn.Dropout(0.3), nn.Dense(3),
  }
  net:build { 5 }
  local optimizer = optim.Adam { lr = 0.05 }
  local step = train.step(function(x, y)
    local out = net(x)
    return loss.sparse_categorical_crossentropy(out, y), out:softmax(), "text"
  end, net, optimizer, { static = args.static })
  local kept
  for i = 1, 12 do
    if i == 8 then optimizer.lr = 0.01 end
    local n = i % 4 == 0 and 4 or 6
    local l, p, text = step(tensor.rand(n, 5), tensor.randint(1, 3, n))
    print(("%a %a"):format(l, p:sum(1):max():item()), p.shape[1], text)
    if i == 5 then kept = p end
  end
  print(kept)
  net:save "weights.safetensors"
]]

function tests.test_static_steps_are_traced_steps()
  local path = check.file("steps.lua", steps)
  local function run(static, threads, executor)
    local out, err, status = check.runner({ "--threads", threads, path, "static=" .. static },
      "RUNNER_PAR_THRESHOLD=1 " .. (executor or ""))
    if status ~= 0 then error(err) end
    return out .. check.read(check.temp .. "/weights.safetensors")
  end
  local naive = run("false", "1", "RUNNER_EXECUTOR=naive")
  for _, threads in ipairs { "1", "2", "7" } do
    check.yes(run("false", threads) == naive)
    check.yes(run("true", threads) == naive)
  end
end

function tests.test_values_are_not_there_inside_a_static_step()
  local w = tensor.variable(tensor { 1 })
  local step = train.step(function() print(w:item()); return w:sum() end, { w }, "sgd",
    { static = true })
  check.fails(step, "static step", "static = true")
  check.fails(function() train.step(step, { w }, "sgd", { statik = true }) end, "statik")
end

check.run(tests)
