-- help_pages.lua: help(thing), help "name", apropos "word", out of the records of the library.
--
-- What is printed about a thing is in its record and nowhere here. An entry is such a
-- record as a table; internal.records() gives them all (see reflect.h), and what is written
-- in Lua has put its own, { path, usage, doc }, into internal.documented under its value.

local internal = ...
local bold = internal.colour and function(text) return "\27[1m" .. text .. "\27[0m" end
  or function(text) return text end

-- -- entries ---------------------------------------------------------------------------

-- Kinds that describe the options of a function are printed with it: only it is an entry.
local function make_entries()
  local list, functions = {}, {}
  local records = internal.records()
  for _, r in ipairs(records) do
    if r.family == "function" then functions[r.path:gsub(":", ".")] = true end
  end
  for _, r in ipairs(records) do
    if r.family == "function" or not functions[r.path] then list[#list + 1] = r end
  end
  for _, r in pairs(internal.documented) do list[#list + 1] = r end
  table.sort(list, function(a, b)
    return a.path:lower() < b.path:lower() or (a.path:lower() == b.path:lower() and a.path < b.path)
  end)
  return list
end

local cached
local function entries()
  cached = cached or make_entries()
  return cached
end

local function has(list, word)
  for _, value in ipairs(list) do
    if value == word then return true end
  end
  return false
end

-- The name alone, the path with "." or ":", or an alias.
local function is_called(entry, name)
  local path = entry.path:gsub(":", ".")
  local module, last = name:gsub(":", "."):match "^(.*)%.([^.]*)$"
  if not module then return entry.name == name or has(entry.alias, name) end
  local same = path:match "^(.*)%." == module or (module == "t" and path:find "^tensor%.")
  return same and (entry.name == last or has(entry.alias, last))
end

local function first_sentence(text)
  text = text or ""
  return text:match "^(.-)[.;]%s" or text:match "^(.-)%.?$"
end

-- -- layout ----------------------------------------------------------------------------

local function width_of(text) return utf8.len(text) or #text end

-- Words of the text in lines that begin with the indentation, as wide as the terminal.
local function wrap(text, indent)
  local width = math.max(math.min(internal.columns(), 100), 40)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and width_of(line) + 1 + width_of(word) > width then
      lines[#lines + 1] = line
      line = nil
    end
    line = line and line .. " " .. word or indent .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- Each equation in a line of its own: they are separated by ";".
local function equation_lines(equations)
  local lines = {}
  for equation in (equations .. ";"):gmatch "%s*(.-)%s*;" do
    lines[#lines + 1] = wrap(equation, "    "):gsub("\n", "\n    ")
  end
  return table.concat(lines, "\n")
end

-- Rows { left, right } as two columns; the right one is wrapped.
local function two_columns(rows)
  local width = 0
  for _, row in ipairs(rows) do width = math.max(width, width_of(row[1])) end
  width = math.min(width, 26)
  local out = {}
  for _, row in ipairs(rows) do
    local left = "  " .. row[1] .. (" "):rep(width - width_of(row[1])) .. "  "
    local right = wrap(row[2], (" "):rep(width + 4))
    if width_of(row[1]) <= width then right = left .. right:gsub("^ +", "")
    else right = left .. "\n" .. right end
    out[#out + 1] = right
  end
  return table.concat(out, "\n")
end

-- -- one entry -------------------------------------------------------------------------

-- "nn.Dense(units, { activation = "linear", ... })"
local function usage(entry)
  if entry.usage then return entry.usage end
  local positional, named = {}, 0
  for _, option in ipairs(entry.options) do
    if option.position then positional[option.position] = option.name else named = named + 1 end
  end
  if #positional == 0 then return entry.path .. (named > 0 and " { options }" or "()") end
  if named > 0 then positional[#positional + 1] = "{ options }" end
  return entry.path .. "(" .. table.concat(positional, ", ") .. ")"
end

-- Where the text says what it is, "none" would contradict it.
local function default_of(option)
  if option.value == "none" and (option.doc or ""):find "default:" then return end
  if not option.value then return option.position and "required" or nil end
  local text = #option.values > 0 and option.value ~= "none" and '"' .. option.value .. '"'
    or option.value
  return "default " .. text
end

local function option_row(option)
  local parts = { option.allowed }
  parts[#parts + 1] = default_of(option)
  if #option.alias > 0 then parts[#parts + 1] = "also " .. table.concat(option.alias, ", ") end
  return { option.name, (option.doc or "") .. " (" .. table.concat(parts, "; ") .. ")" }
end

local function entry_text(entry)
  local out = { bold(usage(entry)) }
  out[#out + 1] = wrap(entry.doc or "", "  ")
  if entry.equation then out[#out + 1] = equation_lines(entry.equation) end
  if entry.source then out[#out + 1] = wrap("Source: " .. entry.source, "  ") end
  if #entry.alias > 0 then
    out[#out + 1] = wrap("Also called: " .. table.concat(entry.alias, ", "), "  ")
  end
  local rows = {}
  for i, option in ipairs(entry.options) do rows[i] = option_row(option) end
  if #rows > 0 then
    out[#out + 1] = bold "Options"
    out[#out + 1] = two_columns(rows)
  end
  if entry.example then
    out[#out + 1] = bold "Example"
    out[#out + 1] = "  " .. entry.example:gsub("\n", "\n  ")
  end
  return table.concat(out, "\n")
end

-- -- lists -----------------------------------------------------------------------------

local function list_text(title, list)
  local rows = {}
  for i, entry in ipairs(list) do rows[i] = { entry.path, first_sentence(entry.doc) } end
  return bold(title) .. "\n" .. two_columns(rows)
end

local function entries_where(wanted)
  local list = {}
  for _, entry in ipairs(entries()) do
    if wanted(entry) then list[#list + 1] = entry end
  end
  return list
end

local function in_module(name)
  return entries_where(function(entry) return entry.path:match "^(.-)[.:]" == name end)
end

local function plural(family) return family .. (family:find "[sx]$" and "es" or "s") end

-- Entries of one module by family: a module may hold two, as nn layers and activations.
local function module_text(name, list)
  local families, order = {}, {}
  for _, entry in ipairs(list) do
    local family = entry.family == "op" and "operation" or entry.family
    if not families[family] then
      families[family] = {}
      order[#order + 1] = family
    end
    table.insert(families[family], entry)
  end
  table.sort(order)
  local out = {}
  for i, family in ipairs(order) do
    out[i] = list_text(name .. ": " .. plural(family), families[family])
  end
  return table.concat(out, "\n\n")
end

-- Names of the parts of the library, each with what is in it.
local function overview()
  local rows = {
    { "help(nn.Dense)", "what a thing is: options, defaults, equation; also help \"relu\"" },
    { "help(nn)", "what a module holds; help(x) for a tensor, net or data set x" },
    { "apropos \"norm\"", "everything that mentions a word" },
  }
  local modules, seen = {}, {}
  for _, entry in ipairs(entries()) do
    local module = entry.path:match "^(.-)[.:]"
    if module and not seen[module] and internal.names[module] ~= nil then
      seen[module] = { module, {} }
      modules[#modules + 1] = seen[module]
    end
    if seen[module] then table.insert(seen[module][2], entry.name) end
  end
  for _, row in ipairs(modules) do
    local names = table.concat(row[2], " ")
    if #names > 140 then names = names:sub(1, 140):gsub("%s%S*$", "") .. " ..." end
    row[2] = names
  end
  return bold "runner trains deep networks as Lua scripts say" .. "\n" .. two_columns(rows) ..
    "\n\n" .. bold "Modules" .. "\n" .. two_columns(modules) ..
    "\n\nAt the prompt: Tab completes, Ctrl-C stops what runs, _ is the last value, a ; at the" ..
    "\nend keeps it from being shown, exit or Ctrl-D ends."
end

-- -- help and apropos ------------------------------------------------------------------

local function option_text(name)
  local rows = {}
  for _, entry in ipairs(entries()) do
    for _, option in ipairs(entry.options) do
      if option.name == name or has(option.alias, name) then
        rows[#rows + 1] = { entry.path, option_row(option)[2] }
      end
    end
  end
  if #rows > 0 then return bold("Option \"" .. name .. "\" of") .. "\n" .. two_columns(rows) end
end

-- Of all names, and those of the list `others`, if there is one.
local function nearest(name, others)
  local names = {}
  for _, other in ipairs(others or {}) do names[other] = true end
  for _, entry in ipairs(entries()) do
    names[entry.name] = true
    names[entry.path] = true
    for _, alias in ipairs(entry.alias) do names[alias] = true end
  end
  for module in pairs(internal.names) do names[module] = true end
  return internal.nearest(name, names)
end

-- nil: nothing is called so.
local function known_text(name)
  local found, members = {}, internal.names[name] ~= nil and in_module(name) or {}
  for i, entry in ipairs(entries_where(function(entry) return is_called(entry, name) end)) do
    found[i] = entry_text(entry)
  end
  if #members > 0 then found[#found + 1] = module_text(name, members) end
  if #found > 0 then return table.concat(found, "\n\n") end
  return option_text(name)
end

local function name_text(name)
  local text = known_text(name)
  if text then return text end
  local near = nearest(name)
  return ('help: nothing is called "%s"%s; apropos "%s" looks into the texts')
    :format(name, near and ('; did you mean "%s"?'):format(near) or "", name)
end

-- What can be done with a value of the library that has no record of its own: its methods, each
-- by the record of that very function, for a net has another `add` than a tensor.
local function methods_text(value)
  local _, methods = internal.members(value)
  local rows, seen = {}, {}
  for _, name in ipairs(methods) do
    local entry = internal.describe(value[name])
    if entry and not seen[entry.path] then
      seen[entry.path] = true
      rows[#rows + 1] = entry
    end
  end
  table.sort(rows, function(a, b) return a.path < b.path end)
  if #rows > 0 then return list_text("Methods", rows) end
end

local function value_text(value)
  for name, module in pairs(internal.names) do
    if rawequal(module, value) and type(module) == "table" then return name_text(name) end
  end
  local entry = internal.documented[value] or internal.describe(value)
  if entry then
    local methods = type(value) == "userdata" and methods_text(value)
    return entry_text(entry) .. (methods and "\n\n" .. methods or "")
  end
  if type(value) == "userdata" then return methods_text(value) or "help: " .. tostring(value) end
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return info.what == "C" and "help: a function of Lua's own library; see the Lua manual"
      or ("help: a function written in Lua, at %s:%d"):format(info.short_src, info.linedefined)
  end
  return ("help: a %s; help(thing) and help \"name\" describe what the library has")
    :format(type(value))
end

local function help(...)
  local value = ...
  if select("#", ...) == 0 then print(overview())
  elseif type(value) == "string" then print(name_text(value))
  else print(value_text(value)) end
end

-- How well an entry fits the word: 1 in its name, 2 in its texts; nil: not at all.
local function mentions(entry, word)
  local function found(text) return text and text:lower():find(word, 1, true) end
  if found(entry.path) or found(table.concat(entry.alias, " ")) then return 1 end
  if found(entry.doc) or found(entry.equation) or found(entry.source) then return 2 end
  for _, option in ipairs(entry.options) do
    if found(option.name) or found(option.doc) or found(table.concat(option.alias, " ")) then
      return 2
    end
  end
end

local function apropos(word)
  if type(word) ~= "string" then
    error(("apropos: got a %s, allowed: a string, as in apropos \"norm\""):format(type(word)), 2)
  end
  local named, mentioned = {}, {}
  for _, entry in ipairs(entries()) do
    local rank = mentions(entry, word:lower())
    if rank == 1 then named[#named + 1] = entry
    elseif rank == 2 then mentioned[#mentioned + 1] = entry end
  end
  if #named > 0 then print(list_text(('Named "%s"'):format(word), named)) end
  if #mentioned > 0 then print(list_text(('Mentioning "%s"'):format(word), mentioned)) end
  if #named + #mentioned == 0 then
    local near = nearest(word)
    print(('apropos: nothing mentions "%s"%s')
      :format(word, near and ('; did you mean "%s"?'):format(near) or ""))
  end
end

-- `runner help WORD`, where that is none of the commands: a mistake where it is nothing else.
local function tell_name(word, commands)
  local text = known_text(word)
  local near = not text and nearest(word, commands)
  if not text then
    internal.usage_error(("help: neither a command nor anything of the library is called %q%s")
      :format(word, near and ("; did you mean %q?"):format(near)
        or "; runner --help lists the commands"))
  end
  print(text)
end

internal.pages = { help = help, overview = overview, apropos = apropos, tell_name = tell_name }

return {}
