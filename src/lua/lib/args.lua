-- args.lua: the arguments of a script, `key=value` on the command line.
--
--   local args = args { depth = 10, lr = 0.01, name = { "run", "what to call it" } }
--
-- gives a table of the defaults, changed by the command line. A default's type is the
-- argument's; a list of default and text also documents it. Reading a field that was not
-- declared is an error, and so is a word that is not declared.

local internal = ...

local given = {}        -- key -> text, from the command line
local declared = { seed = { default = 1, doc = "seed of all random numbers" } }
internal.given, internal.declared = given, declared
internal.arguments = setmetatable({}, { __mode = "k" })   -- tables that args{} made

for _, word in ipairs(internal.words) do
  local key, value = word:match("^([%a_][%w_]*)=(.*)$")
  if not key then
    internal.usage_error(("argument %q: allowed: key=value"):format(word))
  end
  if given[key] then
    internal.usage_error(("argument %q is given twice"):format(key))
  end
  given[key] = value
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- What a value of this default's type is called, in sentences and in the help, and how a text
-- becomes one.
local types = {
  integer = { "an integer", "integer", function(text) return math.tointeger(tonumber(text)) end },
  float = { "a number", "number", function(text)
    local n = tonumber(text)
    return n and n == n and math.abs(n) ~= math.huge and n + 0.0 or nil
  end },
  boolean = { "true or false", "boolean", function(text)
    if text == "true" then return true elseif text == "false" then return false end
  end },
  string = { "a string of UTF-8", "string", function(text)
    return utf8.len(text) and not text:find("\0", 1, true) and text or nil
  end },
}

local function type_of(value) return math.type(value) or type(value) end

local function parse(key, text, default)
  local kind = types[type_of(default)]
  local value = kind[3](text)
  if value == nil then
    internal.usage_error(("argument %s=%s: allowed: %s (default %s)")
      :format(key, text, kind[1], default))
  end
  return value
end

local function declare(key, value)
  local default, doc = value, nil
  if type(value) == "table" then default, doc = value[1], value[2] end
  if type(key) ~= "string" or not key:match("^[%a_][%w_]*$") then
    error(("args: got the name %q, allowed: letters, digits and _, as in { depth = 10 }")
      :format(tostring(key)), 3)
  end
  if key == "seed" then
    local seed = type(default) == "number" and math.tointeger(default)
    if not seed or seed < 0 then
      error(("args: seed: got %s, allowed: an integer of at least 0")
        :format(tostring(default)), 3)
    end
    default = seed
  end
  if not types[type_of(default)] then
    error(("args: %s: got a %s, allowed: a number, string or boolean, or { default, text }")
      :format(key, type(default)), 3)
  end
  if type(default) == "string" and not types.string[3](default) then
    error(("args: %s: got %q, allowed: UTF-8 without zero bytes"):format(key, default), 3)
  end
  declared[key] = { default = default, doc = doc or declared[key] and declared[key].doc }
end

local function print_help()
  print(("usage: runner %s [key=value ...]"):format(internal.script or "script.lua"))
  for _, key in ipairs(sorted_keys(declared)) do
    local d = declared[key]
    local line = ("  %-16s %-10s default %-10s %s")
      :format(key, types[type_of(d.default)][2], tostring(d.default), d.doc or "")
    print((line:gsub(" +$", "")))
  end
  internal.stop()
end

-- Called where nothing more is declared (declarations.lua), else at the first of: a fit or
-- step, an experiment, the end of the script.
local function check_arguments()
  if internal.want_help then print_help() end
  for _, key in ipairs(sorted_keys(given)) do
    if not declared[key] then
      local nearest = internal.nearest(key, declared)
      internal.usage_error(("unknown argument %q%s; the script declares: %s")
        :format(key, nearest and ('; did you mean "%s"?'):format(nearest) or "",
          table.concat(sorted_keys(declared), ", ")))
    end
  end
end
internal.check_arguments = check_arguments

local function check_seed(seed)
  if seed < 0 then
    internal.usage_error(("argument seed=%d: allowed: an integer of at least 0"):format(seed))
  end
  return seed
end

-- Where the value of an argument comes from, for the record.
local function origin(key, defaults)
  if given[key] then return "command line" end
  return defaults[key] ~= nil and "script" or "default"
end

local function args(defaults)
  if type(defaults) ~= "table" then
    error(("args: got a %s, allowed: a table of names and defaults"):format(type(defaults)), 2)
  end
  for key, value in pairs(defaults) do declare(key, value) end
  if internal.declares_all(1) then check_arguments() end
  local result = {}
  for _, key in ipairs(sorted_keys(declared)) do
    local default = declared[key].default
    local value = default
    if given[key] then value = parse(key, given[key], default) end
    local from = origin(key, defaults)
    if key == "seed" then internal.set_seed(check_seed(value), from)
    else internal.record_argument(key, value, from) end
    result[key] = value
  end
  internal.arguments[result] = true
  return setmetatable(result, {
    __index = function(_, key)
      local nearest = internal.nearest(tostring(key), declared)
      error(("args has no %q%s"):format(tostring(key),
        nearest and ('; did you mean "%s"?'):format(nearest) or ""), 2)
    end,
  })
end

if given.seed then
  internal.set_seed(check_seed(parse("seed", given.seed, 1)), "command line")
end

internal.documented[args] = {
  path = "args", name = "args", family = "function", alias = {}, options = {},
  usage = "args { depth = 10, lr = { 0.01, \"learning rate\" } }",
  doc = "Declares the arguments of a script: names, defaults and what they mean. key=value on " ..
    "the command line replaces a default. Returns the table of values.",
}

return { args = args }, { check_arguments = check_arguments }
