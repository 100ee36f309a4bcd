-- explain.lua: train.explain; what it does is in explain_step.lua.

local internal = ...

local function explain(...) return internal.step.explain(...) end

internal.documented[explain] = setmetatable({
  path = "train.explain", name = "explain", family = "function", alias = {},
  usage = "train.explain(net, x, y, { optimizer = optim.SGD { lr = 0.5 } })",
  doc = "Takes one training step of a small net and returns everything that was computed in " ..
    "it. Printed, it shows the forward pass, the loss, each derivative by the chain rule, and " ..
    "the update, to 8 digits. It is a table: loss; parts, in order, each with name, op, " ..
    "layer, value and gradient; updates, each with name, before, gradient and after.",
}, { __index = function(_, field) return internal.step[field] end })   -- its options

internal.names.train.explain = explain

return {}
