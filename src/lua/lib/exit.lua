-- exit.lua: `exit` and `quit` at the prompt, which end it with and without a call.

local internal = ...

local exit = setmetatable({}, {
  __call = internal.stop,
  __tostring = function() return "exit: ends the program" end,
})

return {}, { exit = exit }
