-- experiment.lua: `experiment { ... }`; what it does is in experiment_main.lua.

local internal = ...
assert(internal.library)   -- notes what there is before a script can add to it

local function experiment(...) return internal.main.experiment(...) end

internal.documented[experiment] = setmetatable({
  path = "experiment", name = "experiment", family = "function", alias = {},
  usage = "experiment { trial = function(c, run) ... end, ... }",
  doc = "Runs the trial for every combination of the factors' levels with every seed, in " ..
    "parallel; what is done is not run again. Ends in a verdict and tables.",
}, { __index = function(_, field) return internal.main[field] end })   -- its options

return { experiment = experiment }
