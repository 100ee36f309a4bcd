-- What a step commits is finite, or the step is refused and changes nothing: at the ends of
-- what a real can hold, for each optimizer, traced and replayed.

local check = dofile "tests/check.lua"
local tests = {}

local LARGEST = check.eps < 1e-10 and 1.7e308 or 3.4e38

local function is_finite(v)
  for _, x in ipairs(v:totable()) do
    if x ~= x or math.abs(x) == math.huge then return false end
  end
  return true
end

local function step_along(v, optimizer, static)
  return train.step(function(a) return (v * a):sum() end, { v }, optimizer,
    { static = static })
end

-- Either all is finite afterwards, or nothing has changed.
local function check_step(step, v, a)
  local before = v:totable()
  local ok, message = pcall(step, a)
  check.yes(is_finite(v), "a value that is not finite was committed")
  if ok then return true end
  check.yes(tostring(message):find("not finite", 1, true) ~= nil, message)
  check.equal(v:totable(), before)
  return false
end

-- The velocity, not its share that Nesterov looks ahead along, moves the weight.
function tests.test_a_velocity_that_a_later_rate_makes_too_large()
  for _, static in ipairs { false, true } do
    local v = tensor.variable(tensor { 0, 0 })
    local o = optim.SGD { lr = 0, momentum = 1e-5 }
    local step = step_along(v, o, static)
    for _ = 1, 3 do step(tensor { LARGEST / 1100, 0 }:eval()) end
    o.lr = 1e9
    check.equal(check_step(step, v, tensor { 0, 0 }:eval()), false)
  end
end

local options = {
  { "SGD" }, { "SGD", momentum = 1 }, { "SGD", momentum = 1e-5 },
  { "SGD", momentum = 0.9, nesterov = true, weight_decay = 1e9 },
  { "SGD", clipnorm = 1 }, { "SGD", clipvalue = 1 },
  { "SGD", clipnorm = 1, global_clipnorm = 1e-9 },
  { "Adam" }, { "Adam", eps = 0 }, { "Adam", eps = 1e-37 }, { "Adam", beta1 = 0, beta2 = 0 },
  { "Adam", beta1 = 1 - 1e-12, beta2 = 1 - 1e-15 }, { "Adam", weight_decay = 1e9 },
  { "AdamW", weight_decay = 1e9 }, { "RMSprop" }, { "RMSprop", eps = 0 },
  { "RMSprop", centered = true, momentum = 1, eps = 1e-30 },
  { "RMSprop", momentum = 0.9, weight_decay = 1e9, clipvalue = 1 }, { "Lion" },
  { "Lion", weight_decay = 1e9, clipnorm = 1 }, { "Lion", beta1 = 0, beta2 = 1 - 1e-12 },
}

function tests.test_every_optimizer_at_the_ends()
  local refused, done = 0, 0
  for _, option in ipairs(options) do
    for _, w in ipairs { 0, 1, LARGEST / 3, -LARGEST } do
      for _, size in ipairs { 0, 1, 1e18, LARGEST / 2 } do
        for _, lr in ipairs { 0, 1e-3, 1e9 } do
          local given = { lr = lr }
          for k, value in pairs(option) do if k ~= 1 then given[k] = value end end
          local v = tensor.variable(tensor { w, w / 2 })
          local step = step_along(v, optim[option[1]](given), true)
          local a = tensor { size, -size }:eval()
          for _ = 1, 3 do
            if check_step(step, v, a) then done = done + 1 else refused = refused + 1 end
          end
        end
      end
    end
  end
  check.yes(done > 100 and refused > 100)
end

-- The error names what in the update was first not finite.
function tests.test_a_norm_that_cannot_be_clipped_is_named()
  local function first(a, option)
    option.lr = 0.1
    local v = tensor.variable(tensor { 0, 0 })
    return function() step_along(v, optim.SGD(option))(tensor(a):eval()) end
  end
  check.fails(first({ LARGEST, LARGEST }, { global_clipnorm = 1 }), "first in", ": norm inf")
  check.fails(first({ LARGEST / 10, 1 }, { clipnorm = 1e-9 }), ": clip_factor nan")
end

check.run(tests)
