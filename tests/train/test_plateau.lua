-- The rate falls on a plateau.

local check = dofile "tests/check.lua"
local small = dofile "tests/train/small_fit.lua"
local tests = {}
local net_of, fit = small.net_of, small.fit

function tests.test_the_rate_falls_on_a_plateau()
  local o = optim.SGD { lr = 1e-9 }
  local h = fit(net_of(), { optimizer = o, epochs = 9, callbacks = {
    train.reduce_on_plateau { monitor = "loss", factor = 0.5, patience = 2, cooldown = 1,
      min_lr = 2e-10 } } })
  local wanted = { 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25 }
  for i = 1, 9 do check.near(h.lr[i] / 1e-9, wanted[i], 1e-9, "epoch " .. i) end
  local g = fit(net_of(), { optimizer = o, epochs = 2 })
  check.near(g.lr[1] / 1e-9, 1, 1e-9, "it is put back")
  local falling = optim.SGD { lr = 1e-9, schedule = optim.exponential { gamma = 0.5 } }
  local f = fit(net_of(), { optimizer = falling, epochs = 4, callbacks = {
    train.reduce_on_plateau { monitor = "loss", factor = 0.1, patience = 1 } } })
  check.near(f.lr[4] / 1e-9, 0.125 * 0.01, 1e-9, "on top of the schedule")
  check.fails(function() train.reduce_on_plateau { factor = 1 } end, "factor")
  check.fails(function()
    fit(net_of(), { callbacks = { train.reduce_on_plateau { monitor = "val_lass" } } })
  end, 'got "val_lass"')
end

check.run(tests)
