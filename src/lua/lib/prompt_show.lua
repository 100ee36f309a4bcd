-- prompt_show.lua: values for people, as the prompt echoes them and `print` prints them.
--
-- What has a text of its own (__tostring, __name) gives that. Other tables are shown with
-- their keys sorted, in one line where it fits, cut where they are long or deep; a table inside
-- itself is shown once. Tensors at the top print themselves (whole, or as a summary when
-- large); inside a table one line says what they are. tostring(t) remains Lua's own.

local internal = ...

local MAX_DEPTH = 4        -- tables inside tables
local MAX_ITEMS = 24       -- elements of one table
local LONG_LIST = 10       -- a longer list of numbers shows its ends alone
local MAX_TEXT = 200       -- bytes of a string inside a table

-- -- one value -------------------------------------------------------------------------

local escapes = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(text)
  local valid = utf8.len(text)
  text = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\%d"):format(c:byte()) end)
  return valid and text or text:gsub("[\128-\255]", function(c)
    return ("\\x%02X"):format(c:byte())
  end)
end

local function quoted(text)
  if #text <= MAX_TEXT then return '"' .. escape(text) .. '"' end
  local cut = MAX_TEXT
  while cut > 1 and text:byte(cut + 1) & 0xC0 == 0x80 do cut = cut - 1 end
  return ('"%s..." (%d bytes)'):format(escape(text:sub(1, cut)), #text)
end

local function number(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "nan" end   -- C would show the sign that some have
  local text = ("%.6g"):format(value)
  return text:find "^%-?%d+$" and text .. ".0" or text
end

local function function_text(value)
  local entry = internal.documented[value] or internal.describe(value)
  if entry then return "function " .. (entry.usage or entry.path) end
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return tostring(value) end
  return ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

-- "tensor 3x4 real"; the value of a scalar is not asked for.
local function tensor_line(value)
  local shape = value.shape
  if not shape then return "tensor without a value" end
  return ("tensor %s %s"):format(#shape > 0 and table.concat(shape, "x") or "scalar", value.dtype)
end

local function first_line(value)
  local text = tostring(value)
  local line = text:match "^[^\n]*"
  return line == text and text or line .. (line:find "{$" and " ... }" or " ...")
end

-- Has the table a text of its own?
local function tells_itself(t)
  local meta = debug.getmetatable(t)
  return meta and (rawget(meta, "__tostring") ~= nil or type(rawget(meta, "__name")) == "string")
end

local function leaf(value)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return number(value) end
  if kind == "function" then return function_text(value) end
  if kind ~= "userdata" then return tostring(value) end
  local meta = debug.getmetatable(value)
  if meta and meta.__name == "runner.tensor" then return tensor_line(value) end
  return first_line(value)
end

-- -- tables ----------------------------------------------------------------------------

local keywords = {}
for _, word in ipairs(internal.keywords) do keywords[word] = true end

local function key_text(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" and not keywords[key] then return key end
  return "[" .. leaf(key) .. "]"
end

local ranks = { number = 1, string = 2, boolean = 3 }
local function key_order(a, b)
  local x, y = ranks[type(a)] or 4, ranks[type(b)] or 4
  if x ~= y then return x < y end
  if x <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

-- Puts the key into its place among the first MAX_ITEMS.
local function keep_first(keys, key)
  local at = #keys + 1
  if at > MAX_ITEMS then
    if not key_order(key, keys[MAX_ITEMS]) then return end
    at = MAX_ITEMS
  end
  while at > 1 and key_order(key, keys[at - 1]) do
    keys[at] = keys[at - 1]
    at = at - 1
  end
  keys[at] = key
end

-- The keys beside the list 1 .. n: in the order that pairs() promises, or sorted; the first
-- MAX_ITEMS, and how many there are.
local function other_keys(t, n)
  local keys, total, meta = {}, 0, debug.getmetatable(t)
  if meta and meta.__pairs then
    for key in pairs(t) do
      total = total + 1
      if total <= MAX_ITEMS then keys[total] = key end
    end
    return keys, total
  end
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then
      total = total + 1
      keep_first(keys, key)
    end
  end
  return keys, total
end

local function all_numbers(t, n)
  for i = 1, n do
    if type(rawget(t, i)) ~= "number" then return false end
  end
  return n > 0
end

-- A long list of numbers: its ends, and how long it is.
local function number_list(t, n)
  local parts = {}
  for i = 1, n do
    if n <= LONG_LIST or i <= 3 or i > n - 3 then parts[#parts + 1] = number(t[i])
    elseif i == 4 then parts[#parts + 1] = "..." end
  end
  return "{ " .. table.concat(parts, ", ") .. (n > LONG_LIST and (" } (%d)"):format(n) or " }")
end

local show_table

local function show_value(value, indent, depth, inside)
  if type(value) ~= "table" then return leaf(value) end
  if tells_itself(value) then return first_line(value) end
  if inside[value] then return "{ itself }" end
  if next(value) == nil then return "{}" end
  if depth > MAX_DEPTH then return "{ ... }" end
  return show_table(value, indent, depth, inside)
end

-- The texts of all elements that are shown.
local function elements(t, indent, depth, inside, keys, total)
  local n, parts, left_out = rawlen(t), {}, total - #keys
  local function add(text, value)
    if #parts == MAX_ITEMS then left_out = left_out + 1
    else parts[#parts + 1] = text .. show_value(value, indent .. "  ", depth + 1, inside) end
  end
  for i = 1, n do add("", rawget(t, i)) end
  for _, key in ipairs(keys) do
    add(#parts < MAX_ITEMS and key_text(key) .. " = " or "", rawget(t, key))
  end
  if left_out > 0 then parts[#parts + 1] = ("... %d more"):format(left_out) end
  return parts
end

function show_table(t, indent, depth, inside)
  local n = rawlen(t)
  local keys, total = other_keys(t, n)
  if total == 0 and all_numbers(t, n) then return number_list(t, n) end
  inside[t] = true
  local parts = elements(t, indent, depth, inside, keys, total)
  inside[t] = nil
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  local width = utf8.len(line) or #line
  if width + #indent <= internal.value_columns() and not line:find "\n" then return line end
  return "{\n" .. indent .. "  " .. table.concat(parts, ",\n" .. indent .. "  ") .. "\n" ..
    indent .. "}"
end

-- What the prompt shows of a value: strings and tensors as they are.
local function show(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return value == value and tostring(value) or "nan" end
  if kind == "userdata" or (kind == "table" and tells_itself(value)) then return tostring(value) end
  return show_value(value, "", 1, {})
end

internal.show = show

return {}
