-- What a script should not do, and may do all the same: it gets an error, and the program
-- stays whole. Most of these were found by the fuzzer (tests/fuzz/test_calls.c).

local check = dofile "tests/check.lua"
local tests = {}

-- Metamethods trust their first argument: no script gets them by name.
function tests.test_metatables_are_out_of_reach()
  local net = nn.Sequential { nn.Dense(1) }
  for _, object in ipairs { tensor { 1 }, net, data.xor { n = 4 }, optim.SGD { lr = 1 } } do
    check.equal(type(getmetatable(object)), "string")
    check.fails(function() setmetatable(object, {}) end)
  end
end

function tests.test_the_iterator_of_a_state_is_called_with_something_else()
  local net = nn.Sequential { nn.Dense(1) }
  net:build { 2 }
  local next_entry = pairs(net:state())
  check.fails(function() next_entry(5) end, "table expected")
end

function tests.test_a_table_that_raises_where_a_layer_is_expected()
  local raises = setmetatable({}, { __index = function() error "hostile" end })
  check.fails(function() nn.Sequential { nn.Dense(1), raises } end, "layers")
  check.fails(function() nn.Sequential { nn.Dense(1) }:add(raises) end, "add")
end

check.run(tests)
