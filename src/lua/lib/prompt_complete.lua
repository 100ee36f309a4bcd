-- prompt_complete.lua: what Tab offers at the prompt.
--
-- complete(text, env) looks at the statement typed so far, up to the cursor, and gives the
-- number of bytes of the word before the cursor and the sorted list of words it may become:
--   in a string     the names that the option before it takes, the names that help knows, files
--   behind . and :  fields and methods; nothing is called or computed for it
--   behind { and ,  in the options of a call: their names
--   elsewhere       globals, the library's names, keywords

local internal = ...

-- -- where the cursor is -----------------------------------------------------------------

-- Past a long bracket that opens at i; nil when it does not end.
local function after_long(text, i)
  local level = text:match("^%[(=*)%[", i)
  local _, last = text:find("]" .. level .. "]", i, true)
  return last and last + 1
end

-- Past a quoted string that opens at i; nil when it does not end.
local function after_quoted(text, i)
  local quote, at = text:sub(i, i), i + 1
  while at <= #text do
    local c = text:sub(at, at)
    if c == quote then return at + 1 end
    at = at + (c == "\\" and 2 or 1)
  end
end

-- The position of an unfinished string's quote, or nil; the open brackets; or "comment".
local function scan(text)
  local open, i = {}, 1
  while i <= #text do
    local c = text:sub(i, i)
    local past = i + 1
    if text:find("^%-%-%[=*%[", i) then past = after_long(text, i + 2)
    elseif text:find("^%-%-", i) then past = text:find("\n", i, true)
    elseif text:find("^%[=*%[", i) then past = after_long(text, i)
    elseif c == '"' or c == "'" then
      past = after_quoted(text, i)
      if not past then return i, open end
    elseif c:find "[({%[]" then open[#open + 1] = i
    elseif c:find "[)}%]]" then open[#open] = nil end
    if not past then return "comment", open end
    i = past
  end
  return nil, open
end

-- -- what names stand for ----------------------------------------------------------------

local function raw_field(value, key)
  if type(value) == "table" then
    local found = rawget(value, key)
    if found ~= nil then return found end
    local meta = debug.getmetatable(value)
    local index = meta and meta.__index
    return type(index) == "table" and raw_field(index, key) or nil
  end
  if type(value) == "string" then return string[key] end
  if type(value) ~= "userdata" then return nil end
  for _, list in ipairs { internal.members(value) } do
    for _, name in ipairs(list) do
      if name == key then
        local ok, found = pcall(function() return value[key] end)
        return ok and found or nil
      end
    end
  end
end

-- The value of a chain like "net", "train.fit" or "t:sum"; nil where there is none.
local function resolve(chain, env)
  local value
  for name in chain:gmatch "[%a_][%w_]*" do
    if value == nil then
      value = rawget(env, name)
      if value == nil then value = rawget(_G, name) end
      if value == nil then value = internal.names[name] end
    else
      value = raw_field(value, name)
    end
    if value == nil then return nil end
  end
  return value
end

-- The record of the call whose options hold bracket number `depth` of the open ones.
local function call_of(text, open, depth, env)
  local at = open[depth]
  if not at or text:sub(at, at) ~= "{" then return nil end
  local before = text:sub(1, at - 1):gsub("%s+$", "")
  if before:find "[(,]$" then
    at = open[depth - 1]
    if not at or text:sub(at, at) ~= "(" then return nil end
    before = text:sub(1, at - 1):gsub("%s+$", "")
  end
  local value = resolve(before:match "[%a_][%w_.:]*$" or "", env)
  return type(value) == "function" and internal.describe(value) or nil
end

-- -- words -------------------------------------------------------------------------------

local function add_keys(out, t)
  if type(t) ~= "table" then return end
  for key in next, t do
    if type(key) == "string" and key:find "^[%a_][%w_]*$" then out[#out + 1] = key end
  end
end

local function add_table_fields(out, t, methods_only)
  for key, value in next, t do
    if type(key) == "string" and key:find "^[%a_][%w_]*$" and
      (not methods_only or type(value) == "function") then
      out[#out + 1] = key
    end
  end
  local meta = debug.getmetatable(t)
  if meta and type(meta.__index) == "table" then
    add_table_fields(out, meta.__index, methods_only)
  end
end

local function field_words(chain, separator, env)
  local out, value = {}, resolve(chain, env)
  if type(value) == "table" then
    add_table_fields(out, value, separator == ":")
  elseif type(value) == "string" and separator == ":" then
    add_keys(out, string)
  elseif type(value) == "userdata" then
    local fields, methods = internal.members(value)
    out = separator == ":" and methods or fields
  end
  return out
end

local function option_words(entry)
  local out = {}
  for _, option in ipairs(entry.options) do out[#out + 1] = option.name .. " = " end
  return out
end

local function global_words(env)
  local out = {}
  add_keys(out, env)
  add_keys(out, _G)
  add_keys(out, internal.names)
  for _, word in ipairs(internal.keywords) do out[#out + 1] = word end
  return out
end

local function help_words()
  local out = {}
  for _, entry in ipairs(internal.records()) do out[#out + 1] = entry.name end
  add_keys(out, internal.names)
  return out
end

-- Files whose path begins with the text; hidden ones when their dot is typed.
local function file_words(text)
  local directory, start = text:match "^(.*/)([^/]*)$"
  local place = directory or "./"
  if place:find "^~/" then place = (os.getenv "HOME" or "") .. place:sub(2) end
  local out = {}
  for name in (internal.list_directory(place) or ""):gmatch "%Z+" do
    local hidden = name:find "^%." and not (start or text):find "^%."
    if not hidden then out[#out + 1] = (directory or "") .. name end
  end
  return out
end

-- Inside a string that opens at `quote`.
local function string_words(text, quote, open, env)
  local before = text:sub(1, quote - 1):gsub("%s+$", "")
  if before:find "%f[%a]help%s*%(?$" or before:find "%f[%a]apropos%s*%(?$" then
    return help_words()
  end
  local key = before:match "([%a_][%w_]*)%s*=$" or before:match "([%a_][%w_]*)%s*=%s*{[^{}]*$"
  local entry = key and (call_of(text, open, #open, env) or call_of(text, open, #open - 1, env))
  for _, option in ipairs(entry and entry.options or {}) do
    local named = option.name == key
    for _, alias in ipairs(option.alias) do named = named or alias == key end
    if named and #option.values > 0 then return option.values end
  end
  return file_words(text:sub(quote + 1))
end

local function begins(words, start)
  local out, seen = {}, {}
  for _, word in ipairs(words) do
    if word:sub(1, #start) == start and not seen[word] then
      seen[word] = true
      out[#out + 1] = word
    end
  end
  table.sort(out)
  return out
end

-- Names for code at the end of the text.
local function code_words(text, open, env)
  local unknown = text:match "[%)%]][.:]([%a_]?[%w_]*)$"   -- of what is computed
  if unknown then return unknown, {} end
  local chain, separator, start = text:match "([%a_][%w_.:]*)([.:])([%a_]?[%w_]*)$"
  if chain then return start, field_words(chain, separator, env) end
  start = text:match "[%a_][%w_]*$" or ""
  local entry = text:sub(1, #text - #start):find "[{,]%s*$" and call_of(text, open, #open, env)
  if entry then
    local words = begins(option_words(entry), start)
    if #words > 0 or start == "" then return start, words end
  end
  return start, global_words(env)
end

local function complete(text, env)
  local quote, open = scan(text)
  if quote == "comment" then return 0, {} end
  local start, words
  if quote then
    start = text:sub(quote + 1)
    words = string_words(text, quote, open, env)
  else
    start, words = code_words(text, open, env)
  end
  return #start, begins(words, start)
end

internal.complete = complete

return {}
