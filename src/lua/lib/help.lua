-- help.lua: help(thing), help "name", apropos "word"; what they do is in help_pages.lua.

local internal = ...

local help = setmetatable({}, {
  __call = function(_, ...) return internal.pages.help(...) end,
  __tostring = function() return internal.pages.overview() end,
  __name = "help",
})
local function apropos(...) return internal.pages.apropos(...) end
local function tell_name(...) return internal.pages.tell_name(...) end

local function document(value, name, usage, doc)
  internal.documented[value] = { path = name, name = name, usage = usage, doc = doc,
    family = "function", alias = {}, options = {} }
end

-- Of what is no function: help "forward".
local function topic(name, usage, doc) document({}, name, usage, doc) end

topic("forward", "{ forward = function(self, x, ...) return y, ... end, ... }",
  "A Lua table with a function `forward` is a layer wherever one is taken: in nn.Sequential, " ..
  "in train.fit, in train.step. It takes and gives one tensor or several. It trains the " ..
  "variables (tensor.variable) and layers in its fields, or in lists there, as " ..
  "{ w = v, layers = { nn.Dense(3), nn.Dense(2) } }, and the variables that its function " ..
  "`parameters(self)` gives, if it has one. They are looked at once, when the table becomes a " ..
  "layer.")

document(help, "help", "help(thing)", "Describes a thing, or what a name means, as help \"relu\".")
document(apropos, "apropos", "apropos \"word\"", "Lists everything that mentions the word.")

return { help = help, apropos = apropos }, { tell_name = tell_name }
