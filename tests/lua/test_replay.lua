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

check.run(tests)
