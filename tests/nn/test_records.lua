-- What follows from records alone: normalizations by their short names, gains of activations.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_normalizations_by_their_short_names()
  local made = { batch = nn.BatchNorm, layer = nn.LayerNorm, none = nn.Identity }
  local text = check.fails(function() nn.norm "bach" end, 'did you mean "batch"?')
  for name, constructor in pairs(made) do
    check.equal(tostring(nn.norm(name)), tostring(constructor()), name)
    check.yes(text:find('"' .. name .. '"', 1, true) ~= nil, name)
  end
  check.equal(nn.norm("batch", { momentum = 0.2 }).momentum, 0.2, "an option of the layer")
end

function tests.test_gains_of_activations()
  local wanted = (2 / 1.04) ^ 0.5
  check.near(init.gain("leaky_relu", 0.2), wanted, 1e-15)
  check.near(init.gain(nn.leaky_relu(0.2)), wanted, 1e-15)
  check.near(init.gain("leaky_relu", { negative_slope = 0.2 }), wanted, 1e-15)
  check.near(init.gain "tanh", 5 / 3, 1e-15)
  check.fails(function() init.gain "gelu" end, 'none known for "gelu", allowed: linear, relu')
  check.fails(function() init.gain "rellu" end, 'did you mean "relu"?')
  check.fails(function() init.gain() end, "init.gain: got: a no value")
  check.fails(function() init.gain("relu", 2) end, "allowed: a table of options")
end

check.run(tests)
