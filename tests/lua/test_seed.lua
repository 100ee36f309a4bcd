-- tensor.seed(n) begins anew: what follows depends on nothing that was made before.

local check = dofile "tests/check.lua"
local tests = {}

local function weights() return nn.Dense(2):build { 2 }:parameters()[1]:totable() end

-- A small training with all streams: initial weights, split, order, dropout, draws.
local function training()
  tensor.seed(5)
  local net = nn.Sequential { nn.Dense(4, { activation = "relu" }), nn.Dropout(0.5), nn.Dense(2) }
  local h = train.fit(net, data.moons { n = 60 }, { loss = "cross_entropy", epochs = 2,
    batch_size = 16, validation = 0.2, verbose = false, record = false })
  local x, y = data.moons { n = 20 }:batches(7)()
  return { h.loss, h.val_loss, tensor.randn(2):totable(), math.random(), x:totable(),
           y:totable(), net(x, { training = true }):totable() }
end

function tests.test_nets_draws_and_fits_restart()
  tensor.seed(5)
  local first = weights()
  weights()
  tensor.seed(5)
  check.equal(weights(), first)
  check.equal(training(), training())
end

-- An old net takes a number of its own when it next draws: no stream is shared.
function tests.test_a_net_from_before_shares_no_stream()
  tensor.seed(5)
  local old = nn.Sequential { nn.Dropout(0.5) }
  local ones = tensor.ones(64)
  local function drop(net) return net(ones, { training = true }):totable() end
  drop(old)
  local function two(use_old)
    tensor.seed(6)
    local new = nn.Sequential { nn.Dropout(0.5) }
    local out = { drop(new) }
    if use_old then drop(old) end
    out[2] = drop(new)
    return out
  end
  check.equal(two(true), two(false))
  local function alone() tensor.seed(7) return drop(old) end
  check.equal(alone(), alone())
end

-- A step that fails, or a static one, is none of the seed's business.
function tests.test_a_failed_step_puts_the_seed_back()
  local w = tensor.variable(tensor { 1 })
  tensor.seed(5)
  tensor.randn(1):eval()
  local step = train.step(function(fails)
    tensor.seed(9)
    nn.Dense(1):build { 1 }
    if fails then error "stop" end
    return (w * tensor.randn(1)):sum()
  end, { w }, optim.SGD { lr = 0.1 })
  check.fails(function() step(true) end, "stop")
  local next_draw, next_net = tensor.randn(1):item(), weights()
  tensor.seed(5)
  tensor.randn(1):eval()
  check.equal({ tensor.randn(1):item(), weights() }, { next_draw, next_net })
end

-- Nor does it number a net: another one has that number afterwards.
function tests.test_a_failed_step_numbers_no_net()
  local ones, w = tensor.ones(64), tensor.variable(tensor { 1 })
  local function draws(failed)
    tensor.seed(3)
    local a, b = nn.Sequential { nn.Dropout(0.5) }, nn.Sequential { nn.Dropout(0.5) }
    local step = train.step(function() return (a(ones) * w):sum(), error "no" end, { w }, "sgd")
    if failed then check.fails(step, "no") end
    local of_b = b(ones, { training = true }):totable()
    return { of_b, a(ones, { training = true }):totable() }
  end
  check.equal(draws(true), draws(false))
end

function tests.test_a_replayed_step_follows_the_seed()
  local function losses(static)
    local w = tensor.variable(tensor.ones(8))
    local net = nn.Sequential { nn.Dropout(0.5) }
    local step = train.step(function(x) return net(x * w):sum() end, { w },
      optim.SGD { lr = 0.01 }, { static = static })
    local out, x = {}, tensor.ones(8)
    for i = 1, 8 do
      if i == 1 or i == 5 then tensor.seed(i < 5 and 3 or 4) end
      out[i] = step(x)
    end
    return out
  end
  check.equal(losses(true), losses(false))
end

-- Records and checkpoints are named by the number of the fit in the run, which goes on.
function tests.test_records_of_fits_are_numbered_on()
  local path = check.file("two_fits.lua", [[
    for _ = 1, 2 do
      tensor.seed(5)
      train.fit(nn.Dense(2), data.moons { n = 20 }, { loss = "cross_entropy", epochs = 1,
        verbose = false })
    end
  ]])
  local _, err, status = check.runner { "--runs=two_fits", path }
  check.equal(status, 0, err)
  local found = io.popen("cd " .. check.temp .. "/two_fits/two_fits/* && ls metrics*")
  local files = found:read "a"
  found:close()
  check.equal(files, "metrics-2.csv\nmetrics.csv\n")
end

-- Trials do not depend on what a trial before did with the seed.
function tests.test_trials_that_set_the_seed()
  local code = [[
    local before = nn.Dense(1):build { 1 }
    local function measure()
      return nn.Dense(1):build { 1 }:parameters()[1]:item() + tensor.randn(1):item()
    end
    local done = experiment {
      name = "seeds", factors = { how = { %s } }, seeds = 1, metric = "m", goal = "max",
      trial = function(c)
        if c.how == "sets" then tensor.seed(3) end
        local m = measure()
        return { m = m }
      end,
    }
    for _, t in ipairs(done.trials) do
      if t.cell.how == "plain" then print(("%%a"):format(t.values.m)) end
    end
  ]]
  local function plain(levels)
    local out, err, status = check.runner({ "-e", code:format(levels) })
    check.equal(status, 0, err)
    return out:match "%-?0x%S+"
  end
  local alone = plain '"plain"'
  check.yes(alone ~= nil)
  check.equal(plain '"sets", "plain"', alone)
end

check.run(tests)
