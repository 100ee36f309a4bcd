-- Axes, shapes, ranges and pads as arguments of ops.
local check = dofile "tests/check.lua"
local tests = {}

local t = tensor { { 1, 2, 3 }, { 4, 5, 6 } }

function tests.test_axes_in_any_order_are_a_set()
  check.equal(t:sum { 2, 1 }:item(), 21.0)
  check.equal(t:sum({ -1, 1 }):item(), 21.0)
  check.equal(t:sum(2):totable(), { 6.0, 15.0 })
  check.equal(t:sum({ 1 }, true).shape, { 1, 3 })
  check.equal(t:mean { axes = { 2 }, keepdims = true }:totable(), { { 2.0 }, { 5.0 } })
end

function tests.test_an_axis_is_given_once()
  for _, axes in ipairs { { 1, 1 }, { 1, -2 }, { 2, 1, 2 } } do
    check.fails(function() t:sum(axes) end, '"axes": got ', "allowed: each axis once")
  end
  check.fails(function() t:sum { axes = {} } end, '"axes": got 0 values, allowed: an axis or more')
  check.fails(function() t:sum { axes = { 1, 2, 1, 2, 1, 2, 1 } } end,
    "got 7 values, allowed: at most 6")
  check.fails(function() t:sum(3) end, "got 3, allowed: an axis from 1 to 2")
  check.fails(function() t:sum(1, { axes = 2 }) end, '"axes" is given twice')
end

function tests.test_orders_of_axes()
  check.equal(t:transpose():totable(), { { 1.0, 4.0 }, { 2.0, 5.0 }, { 3.0, 6.0 } })
  check.equal(t:transpose(2, 1):totable(), t:transpose { 2, 1 }:totable())
  check.equal(t:transpose { axes = { 1, 2 } }:totable(), t:totable())
  check.equal(tensor(5):transpose():item(), 5.0)
  check.fails(function() t:transpose(1) end, "every axis once")
  check.fails(function() t:transpose(1, 1) end, "each axis from 1 to 2 once")
end

function tests.test_shapes()
  check.equal(t:reshape(3, 2).shape, { 3, 2 })
  check.equal(t:reshape { 1, 2, 1, 3, 1, 1 }.shape, { 1, 2, 1, 3, 1, 1 })
  check.equal(tensor { { 7 } }:reshape({ shape = {} }).shape, {})
  check.fails(function() t:reshape(1, 1, 1, 1, 1, 1, 6) end, "got 7 values, allowed: at most 6")
  check.fails(function() t:reshape() end, '"shape" is missing')
end

function tests.test_ranges_and_pads_are_of_axes()
  check.equal(t:slice(nil, 2):totable(), { { 2.0 }, { 5.0 } })
  check.equal(t:slice { nil, { 3, 1, -2 } }:totable(), { { 3.0, 1.0 }, { 6.0, 4.0 } })
  check.equal(t:slice { ranges = { 2 } }:totable(), { { 4.0, 5.0, 6.0 } })
  check.equal(t:pad({ 0, 1 }).shape, { 3, 3 })
  check.equal(t:pad(nil, { 1, 1 }).shape, { 2, 5 })
  check.equal(t:pad { pads = { { 1, 0 }, 2 } }.shape, { 3, 7 })
  check.equal(t:pad().shape, { 2, 3 })
  check.fails(function() t:slice(1, 1, 1) end, "got more ranges than the tensor has axes (2)")
  check.fails(function() t:pad(1, 1, 1) end, "got more pads than the tensor has axes (2)")
  check.fails(function() t:pad(-1) end, "-1 before")
end

check.run(tests)
