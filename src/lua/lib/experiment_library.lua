-- experiment_library.lua: what is the library's, and what scripts put into its tables: by
-- require, say. Its tables are noted when this file runs, before any script does.

local internal = ...

local library = {}
internal.library = library

-- Of tables, before a script could add to them.
local fields_at_start, metatable_at_start = {}, {}

local function note_tables(root)
  local queue = {}
  local function add(value)
    if type(value) ~= "table" or fields_at_start[value] then return end
    fields_at_start[value] = {}
    queue[#queue + 1] = value
  end
  add(root)
  for _, t in ipairs(queue) do
    local fields = fields_at_start[t]
    for key, value in next, t do
      if type(key) == "string" then
        fields[key] = value
        if type(value) == "table" then add(value) end
      end
    end
    metatable_at_start[t] = debug.getmetatable(t)
    add(metatable_at_start[t])
  end
end

if not internal.job then note_tables(package.loaded) end   -- a worker has no use for it

local function texts_of_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- Functions and tables of the library by their names, the shortest that they have.
local function names_of_library(modules)
  local names, queue = { [modules] = "" }, { modules }
  local function add(value, name)
    if names[value] or type(value) ~= "table" and type(value) ~= "function" then return end
    names[value] = name
    queue[#queue + 1] = value
  end
  for _, value in ipairs(queue) do
    local prefix = names[value] == "" and "" or names[value] .. "."
    local fields = fields_at_start[value] or {}
    for _, key in ipairs(texts_of_keys(fields)) do add(fields[key], prefix .. key) end
    add(metatable_at_start[value], prefix .. "metatable")
  end
  names[modules] = "package.loaded"
  return names
end

local names   -- made when one is asked for
local function name_in_library(value)
  names = names or names_of_library(package.loaded)
  return names[value]
end

-- Did a script put it there?
function library.is_added(t, key, value)
  return not rawequal((fields_at_start[t] or {})[key], value)
end

-- What scripts put into tables of the library, sorted: { name, value }. Globals are listed where
-- they are named, modules where they are required.
function library.added()
  local list, aside = {}, { [_G] = true, [package] = true, [package.loaded] = true,
                            [package.preload] = true }
  for t in pairs(fields_at_start) do
    for _, key in ipairs(aside[t] and {} or texts_of_keys(t)) do
      local value = rawget(t, key)
      if library.is_added(t, key, value) then
        list[#list + 1] = { name = name_in_library(t) .. "." .. key, value = value }
      end
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- The name of what is the library's; nil for anything else.
function library.name_of(value)
  local name = name_in_library(value)
  if name then return name end
  if type(value) ~= "function" then return nil end
  local documented = internal.documented[value]
  if documented then return documented.path end
  local source = debug.getinfo(value, "S").source
  return source:sub(1, #internal.library_chunk) == internal.library_chunk and "library" or nil
end

return {}
