-- Schedules made of schedules.

local check = dofile "tests/check.lua"
local tests = {}

local function rates(schedule, n)
  local w, seen = tensor.variable { 0 }, {}
  local step = train.step(function() return w:sum() end, { w },
    optim.SGD { lr = 1, schedule = schedule })
  for t = 1, n do
    w:assign(tensor { 0 })
    step()
    seen[t] = -w:item()
  end
  return seen
end

function tests.test_one_schedule_after_the_other()
  local rise, fall = optim.warmup { steps = 4, per = "step" },
    optim.exponential { gamma = 0.5, per = "step" }
  check.equal(rates(optim.sequential({ rise, fall }, { milestones = { 4 } }), 7),
    { 0.25, 0.5, 0.75, 1, 1, 0.5, 0.25 })
  local own = { function(t, lr) return lr * (t + 1) end, per = "step" }
  check.equal(rates(optim.sequential { schedules = { fall, own, rise }, milestones = { 2, 3 } }, 4),
    { 1, 0.5, 1, 0.25 })
  check.equal(rates(optim.chained { schedules = { rise, fall } }, 5),
    { 0.25, 0.25, 0.1875, 0.125, 0.0625 })
end

function tests.test_schedules_that_do_not_fit_together()
  local rise, fall = optim.warmup { steps = 4, per = "step" }, optim.exponential(0.5)
  local function refused(options, text)
    check.fails(function() optim.sequential(options) end, text)
  end
  refused({ schedules = { rise, fall }, milestones = { 2 } }, 'allowed: per = "step" in all')
  refused({ schedules = { rise, rise } }, "got 0, allowed: 1")
  refused({ schedules = { rise, rise, rise }, milestones = { 3, 2 } }, "ascending whole numbers")
  refused({ schedules = { rise, rise }, milestones = { 2.5 } }, "ascending whole numbers")
  refused({ milestones = { 2 } }, '"schedules" is missing')
  refused({ schedules = { rise, "warm" }, milestones = { 2 } }, "unknown schedule")
end

check.run(tests)
