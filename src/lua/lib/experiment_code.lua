-- experiment_code.lua: what code a trial runs, as text that comments, blanks and unrelated
-- parts of the script do not change.
--
-- From the trial function on, everything that it reaches is listed in pieces:
--   a function        its tokens, then its upvalues and the globals of scripts that its text
--                     names, each a piece of its own; one in C, and a coroutine, has no text;
--                     where tokens do not show all (constants of the compiler, no file) the
--                     hash of its compiled form without line numbers
--   a plain value     its literal
--   a table           its fields, keys sorted, those that have no order by their own
--                     listings; of a history of train.fit all but the times; a long list of
--                     plain values as a hash
--   a required module, or a file run by dofile, that a function's text names: the tokens of
--                     its file, and what is loaded of it; all that are loaded where the name
--                     is no literal
--   userdata of ours  its kind or the hash of its numbers, then all that it is made of, in the
--                     order of its record: options, functions, layers, weights, rows (LISTING
--                     in core.h); of other userdata their type alone
--   the library's own its name; what scripts put into its tables belongs to every trial
-- A thing that is reached twice is listed once. Not followed are files that a trial opens by
-- itself, the environment, and modules that it alone loads by a name it makes. A piece is
-- { name = "trial.helper", text = "..." }; names are paths from where we began. What must hold:
-- no address and no time gets into a piece.
--
-- A cell's listing is that of the trial function, of what else the bits of its results depend
-- on, and of its own levels: what each means in this cell. A level that is its own name is
-- part of the identity but for its type, which is all that is listed of it.

local internal = ...

local code = {}
internal.code = code

-- -- tokens -------------------------------------------------------------------------------

local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, stop = text:find("]" .. level .. "]", at, true)
  return stop or #text
end

local function quoted_end(text, at)
  local quote = text:sub(at, at)
  local i = at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" then i = i + 1 elseif c == quote then return i end
    i = i + 1
  end
  return #text
end

-- End of the comment that begins here, or nil.
local function comment_end(text, at)
  if text:sub(at, at + 1) ~= "--" then return nil end
  return long_bracket(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
end

local symbols = { "^%.%.%.", "^%.%.", "^==", "^~=", "^<=", "^>=", "^//", "^::", "^<<", "^>>" }

local function token_end(text, at)
  local c = text:sub(at, at)
  if c:find "[%a_]" then return select(2, text:find("^[%w_]+", at)) end
  if c:find "%d" or text:find("^%.%d", at) then
    local hex = text:find("^0[xX]", at)
    local stop = at - 1
    repeat
      local next_stop = select(2, text:find(hex and "^[pP][+-]" or "^[eE][+-]", stop + 1))
        or select(2, text:find("^[%w%.]", stop + 1))
      stop = next_stop or stop
    until not next_stop
    return stop
  end
  if c == '"' or c == "'" then return quoted_end(text, at) end
  local long = c == "[" and long_bracket(text, at)
  if long then return long end
  for _, symbol in ipairs(symbols) do
    local _, stop = text:find(symbol, at)
    if stop then return stop end
  end
  return at
end

-- List of { text, line }; comments and blanks are gone.
function code.tokens(text)
  local tokens, at, line = {}, 1, 1
  if text:sub(1, 1) == "#" then at = text:find("\n", 1, true) or #text + 1 end
  while at <= #text do
    local stop = select(2, text:find("^%s+", at)) or comment_end(text, at)
    if not stop then
      stop = token_end(text, at)
      tokens[#tokens + 1] = { text = text:sub(at, stop), line = line }
    end
    line = line + select(2, text:sub(at, stop):gsub("\n", ""))
    at = stop + 1
  end
  return tokens
end

local function joined(tokens, first, last)
  local words = {}
  for i = first or 1, last or #tokens do words[#words + 1] = tokens[i].text end
  return table.concat(words, " ")
end

-- -- functions in a file ------------------------------------------------------------------

local opens = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }
local closes = { ["end"] = true, ["until"] = true }

-- Spans of all functions: { first, last } among the tokens, by "line:last line"; `text` once
-- it was wanted.
local function functions_of(tokens)
  local spans, open = {}, {}
  for i, token in ipairs(tokens) do
    if opens[token.text] then
      open[#open + 1] = i
    elseif closes[token.text] and #open > 0 then
      local first = table.remove(open)
      if tokens[first].text == "function" then
        local key = tokens[first].line .. ":" .. token.line
        spans[key] = spans[key] or {}
        table.insert(spans[key], { first = first, last = i })
      end
    end
  end
  return spans
end

local files = {}   -- path -> { tokens, spans }, or false

local function file_of(path)
  if files[path] == nil then
    local f = io.open(path, "rb")
    local text = f and f:read "a"
    if f then f:close() end
    local tokens = text and code.tokens(text)
    files[path] = tokens and { text = text, tokens = tokens, spans = functions_of(tokens),
                               constants = text:find "<%s*const%s*>" ~= nil }
  end
  return files[path]
end
code.file_of = file_of

local function common_prefix(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    if a:byte(i) ~= b:byte(i) then return i - 1 end
  end
  return n
end

-- -- compiled functions ------------------------------------------------------------------

local HEAD = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1   -- bytes: signature to number of upvalues
local FLOAT, INTEGER, STRING = 0x13, 0x03, 0x04

-- A stripped dump (Lua 5.4, ldump.c) without the line numbers of its functions, which
-- comments move; and the strings among its constants.
local function compiled(f)
  local dump = string.dump(f, true)
  local parts, strings, from, at = {}, {}, 1, HEAD + 1
  local function size()
    local n, byte = 0, 0
    repeat
      byte, at = dump:byte(at), at + 1
      n = n << 7 | byte & 0x7F
    until byte >= 0x80
    return n
  end
  local function skip(bytes) at = at + bytes end
  local function text()
    local n = size()
    if n > 0 then strings[dump:sub(at, at + n - 2)] = true end
    skip(math.max(0, n - 1))
  end
  local function constant()
    local kind = dump:byte(at)
    skip(1)
    if kind == FLOAT or kind == INTEGER then skip(8) elseif kind & 0xF == STRING then text() end
  end
  local function proto()
    text()
    parts[#parts + 1] = dump:sub(from, at - 1)
    size() size()                         -- the lines
    from = at
    skip(3)                               -- parameters, varargs, stack
    skip(4 * size())                      -- instructions
    for _ = 1, size() do constant() end
    skip(3 * size())                      -- upvalues
    for _ = 1, size() do proto() end
    for _ = 1, 4 do size() end            -- debug information: stripped
  end
  proto()
  parts[#parts + 1] = dump:sub(from)
  return table.concat(parts), strings
end

-- How much of the function's code the text gives when it is compiled with the same upvalues.
local function likeness(f, text)
  local names = {}
  for i = 1, 255 do
    local name = debug.getupvalue(f, i)
    if not name then break end
    if name ~= "" then names[#names + 1] = name end
  end
  local head = #names > 0 and "local " .. table.concat(names, ",") .. " " or ""
  text = text:gsub("^function%s+([%w_%s%.:]*)%( (.)", function(name, after)
    local self = name:find(":", 1, true) and (after == ")" and "self " or "self , ") or ""
    return "function ( " .. self .. after
  end)
  local chunk = load(head .. "return " .. text, "=likeness", "t")
  local ok, candidate = pcall(chunk or error)
  if not ok or type(candidate) ~= "function" then return 0 end
  return common_prefix(compiled(f), compiled(candidate))
end

-- Several functions on one line: the one whose code is most like f's, or all such.
local function pick(f, candidates)
  local best, best_likeness
  for _, text in ipairs(candidates) do
    local own = likeness(f, text)
    if best and own == best_likeness then best = best .. " or " .. text
    elseif not best or own > best_likeness then best, best_likeness = text, own end
  end
  return best
end

-- The tokens of a Lua function, and whether its code may have constants that the tokens
-- only name; nil without its file.
local function function_text(f)
  local info = debug.getinfo(f, "S")
  local path = info.source:match "^@(.*)"
  local file = path and file_of(path)
  local spans = file and file.spans[info.linedefined .. ":" .. info.lastlinedefined]
  if not spans then return nil end
  local candidates = {}
  for i, span in ipairs(spans) do
    span.text = span.text or joined(file.tokens, span.first, span.last)
    candidates[i] = span.text
  end
  return #candidates == 1 and candidates[1] or pick(f, candidates), file.constants
end

-- -- what is reached ----------------------------------------------------------------------

local Reach = {}
Reach.__index = Reach

-- How values of the types are listed that more than one place can hold: f(reach, name, value).
local refers = {}

function Reach:put(name, text) self[#self + 1] = { name = name, text = text } end

local function literal(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if math.type(value) == "integer" then return ("integer %d"):format(value) end
  if type(value) == "number" then return ("float %.17g"):format(value) end
  return tostring(value)
end

function Reach:once(name, value)
  if value == nil or self.seen[name] then return end
  self.seen[name] = true
  self:value(name, value)
end

-- The tokens of a file, once.
function Reach:file(name, path)
  local file = not self.seen[name] and path and file_of(path)
  self.seen[name] = true
  if not file then return end
  local text = joined(file.tokens)
  self.files[path] = true
  self:put(name, text)
  self:named(text)
end

function Reach:module(name)
  local value = package.loaded[name]
  if value and internal.library.name_of(value) then return end
  self:file("module " .. name, package.searchpath(name, package.path))
  self:once("loaded " .. name, value)
  self:once("preload " .. name, package.preload[name])
end

function Reach:loaded_modules()
  for _, name in ipairs(internal.space.sorted_keys(package.loaded)) do
    if type(name) == "string" then self:module(name) end
  end
end

-- Calls f with each literal that the text gives to a function of that name; how often it is
-- named otherwise.
local function literals_of(text, called, f)
  local others = 0
  for after in text:gmatch("%f[%w_]" .. called .. "%f[^%w_]() ?%(?") do
    local given = text:match("^ ?%(? ?(%b\"\")", after) or text:match("^ ?%(? ?(%b'')", after)
    local long = text:match("^ ?%(? ?%[=*%[(.-)%]=*%]", after)
    if given or long then f(long or given:sub(2, -2)) else others = others + 1 end
  end
  return others
end

-- Modules and files that a text names.
function Reach:named(text)
  local others = literals_of(text, "require", function(name) self:module(name) end)
  if others > 0 then self:loaded_modules() end
  for _, called in ipairs { "dofile", "loadfile" } do
    literals_of(text, called, function(path) self:file("file " .. path, path) end)
  end
end

-- The same of the strings of a function that has no text.
function Reach:named_among(strings)
  if not strings.require then return end
  for _, name in ipairs(internal.space.sorted_keys(strings)) do self:module(name) end
end

-- What the script made global, where it is among the words.
function Reach:globals(env, words)
  for _, word in ipairs(internal.space.sorted_keys(words)) do
    local value = rawget(env, word)
    if value == nil then value = rawget(_G, word) end
    if internal.library.is_added(_G, word, value) then self:once("global " .. word, value) end
  end
end

-- Upvalues in the order of their names; those of functions in C have none but their place.
-- Functions may share one: it is listed where it is met first.
function Reach:upvalues(name, f, words)
  local list = {}
  for i = 1, 255 do
    local upvalue, value = debug.getupvalue(f, i)
    if not upvalue then break end
    if upvalue == "_ENV" and type(value) == "table" then
      self:globals(value, words)
    else
      upvalue = upvalue:find "^[%a_]" and upvalue or tostring(i)
      list[#list + 1] = { name = upvalue, value = value, id = debug.upvalueid(f, i) }
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  for _, upvalue in ipairs(list) do
    local own = name .. "." .. upvalue.name
    if self.seen[upvalue.id] then
      self:put(own, "as " .. self.seen[upvalue.id])
    else
      self.seen[upvalue.id] = own
      self:value(own, upvalue.value)
    end
  end
end

local function words_of(text)
  local words = {}
  for word in text:gmatch "[%a_][%w_]*" do words[word] = true end
  return words
end

refers["function"] = function(self, name, f)
  local info = debug.getinfo(f, "S")
  local path = info.source:match "^@(.*)"
  if path then self.files[path] = true end
  if info.what == "C" then
    self:put(name, (internal.describe(f) or {}).path or "function in C")
    return self:upvalues(name, f, {})
  end
  local text, constants = function_text(f)
  local bytes, strings
  if text then self:put(name, text) end
  if not text or constants then
    bytes, strings = compiled(f)
    self:put(name .. " compiled", internal.hash(bytes))
  end
  if text then self:named(text) else self:named_among(strings) end
  self:upvalues(name, f, text and words_of(text) or strings)
end

local function by_type_and_text(a, b)
  if type(a) ~= type(b) then return type(a) < type(b) end
  if type(a) == "number" then return a < b end
  return tostring(a) < tostring(b)
end

-- Fields that are described by what is in them alone, not by their keys, in the order of their
-- listings.
function Reach:unordered(name, t, keys)
  local fields = {}
  for i, key in ipairs(keys) do
    local seen = setmetatable({}, { __index = self.seen })
    local field = setmetatable({ seen = seen, files = self.files }, Reach)
    field:value(name .. ".key", key)
    field:value(name .. ".value", rawget(t, key))
    fields[i] = { pieces = field, text = code.listing(field) }
  end
  table.sort(fields, function(a, b) return a.text < b.text end)
  for i, field in ipairs(fields) do
    for _, piece in ipairs(field.pieces) do
      self:put(("%s (%d)"):format(piece.name, i), piece.text)
    end
  end
end

local LIST_SHOWN = 64   -- items of a list that are pieces of their own

-- The literals of a long list of plain values; nil of any other table.
local function long_list(t)
  local literals = {}
  local n = rawlen(t)
  for i = 1, n > LIST_SHOWN and n or 0 do
    local value = rawget(t, i)
    if value == nil or refers[type(value)] then return nil end
    literals[i] = literal(value)
  end
  return #literals > 0 and literals or nil
end

-- No two keys have one name, and none has that of the metatable.
local function field_name(name, key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return name .. "." .. key end
  return ("%s[%s]"):format(name, literal(key))
end

function refers.table(self, name, t)
  local list, times = long_list(t), internal.is_history(t) and { time_s = true } or {}
  local keys, others = {}, {}
  for key in next, t do
    local item = list and math.type(key) == "integer" and key >= 1 and key <= #list
    local kept = refers[type(key)] and others or keys
    if not times[key] and not item then kept[#kept + 1] = key end
  end
  table.sort(keys, by_type_and_text)
  self:put(name, list and ("list of %d, %s"):format(#list, internal.hash(table.concat(list, ",")))
    or "table")
  for _, key in ipairs(keys) do self:value(field_name(name, key), rawget(t, key)) end
  self:unordered(name, t, others)
  local meta = debug.getmetatable(t)
  if meta and not internal.arguments[t] then self:value(name .. ".(metatable)", meta) end
end

-- Two handles of one thing have the same key.
function refers.userdata(self, name, value)
  local meta = debug.getmetatable(value) or {}
  local listing = rawget(meta, "__listing")
  if not listing then
    self:put(name, "userdata " .. tostring(rawget(meta, "__name")))
    return
  end
  local key, text, parts = listing(value)
  if self.seen[key] then
    self:put(name, "as " .. self.seen[key])
    return
  end
  self.seen[key] = name
  self:put(name, text)
  for i = 1, #parts, 2 do self:value(name .. "." .. parts[i], parts[i + 1]) end
end

function refers.thread(self, name, thread)
  self:put(name, "thread")
  for i, f in ipairs(internal.thread_functions(thread)) do self:value(name .. "." .. i, f) end
end

local NAME_BYTES = 300   -- longer ones, of things in things in things, are described by their hash

function Reach:value(name, value)
  local library = internal.library.name_of(value)
  local list = refers[type(value)]
  if #name > NAME_BYTES then name = "in " .. internal.hash(name):sub(1, 16) end
  if value == require then self:loaded_modules() end
  if library then self:put(name, library)
  elseif not list then self:put(name, literal(value))
  elseif self.seen[value] then self:put(name, "as " .. self.seen[value])
  else
    self.seen[value] = name
    list(self, name, value)
  end
end

-- Pieces of everything that the value reaches; their `files` are those of scripts and
-- modules that had a part in it.
function code.reach(name, value)
  local reach = setmetatable({ seen = {}, files = {} }, Reach)
  reach:value(name, value)
  return reach
end

-- One text of pieces, to be hashed and to be kept.
function code.listing(reach)
  local lines, escaped = {}, { ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }
  for i, piece in ipairs(reach) do
    lines[i] = piece.name:gsub("[\\\n\t]", escaped) .. "\t"
      .. piece.text:gsub("[\\\n\t]", escaped) .. "\n"
  end
  return table.concat(lines)
end

-- -- of a study ---------------------------------------------------------------------------

local function add_files(files, reach)
  for path in pairs(reach.files) do files[path] = true end
end

-- What a cell has levels of: the factors, and the parameters that are tuned. `texts` are the
-- listings of its levels by name; there are none where a level follows from the cell's others.
local function axes_of(spec)
  local axes = { files = {} }
  for i, factor in ipairs(spec.space.factors) do
    axes[i] = { name = factor.name, texts = not factor.depends and {} or nil }
  end
  for _, name in ipairs(spec.tune_order or {}) do axes[#axes + 1] = { name = name, texts = {} } end
  return axes
end

local function level_listing(axis, level, files)
  local known = axis.texts and axis.texts[level.name]
  if known then return known end
  local text = axis.name .. "\t" .. (math.type(level.value) or type(level.value)) .. "\n"
  if level.named then
    local reach = code.reach(axis.name .. "=" .. level.name, level.value)
    add_files(files, reach)
    text = code.listing(reach)
  end
  if axis.texts then axis.texts[level.name] = text end
  return text
end

-- What all cells have: the trial function, what scripts put into the library, and what else
-- the bits of results depend on.
local function base_of(spec)
  local reach = code.reach("trial", spec.trial)
  for _, added in ipairs(internal.library.added()) do
    reach:once("library " .. added.name, added.value)
  end
  return { text = code.listing(reach) .. internal.surroundings(), files = reach.files }
end

-- The fingerprint of each cell, and the listings by fingerprint. What a level means is
-- part of the cells that have it and of no others, so that a new level changes nothing. All is
-- looked at before the first trial, those of tuning included: trials in this Lua state may
-- change what they reach.
function code.of_cells(spec, cells)
  spec.base, spec.axes = spec.base or base_of(spec), spec.axes or axes_of(spec)
  local base_text, axes = spec.base.text, spec.axes
  local known, by_cell, listings = {}, {}, { files = {} }
  add_files(listings.files, spec.base)
  for i, cell in ipairs(cells) do
    local _, levels = internal.space.resolve(spec.space, cell)
    local parts = {}
    for _, axis in ipairs(axes) do
      local level = levels[axis.name]
      parts[#parts + 1] = level and level_listing(axis, level, axes.files)
    end
    local own = table.concat(parts)
    if not known[own] then
      known[own] = internal.hash(base_text .. own)
      listings[known[own]] = base_text .. own
    end
    by_cell[i] = known[own]
  end
  add_files(listings.files, axes)
  return by_cell, listings
end

-- Paths of the script and of the modules that its trials run, sorted.
function code.files(listings)
  local paths = {}
  if internal.script then listings.files[internal.script] = true end
  for path in pairs(listings.files) do paths[#paths + 1] = path end
  listings.files = nil
  table.sort(paths)
  return paths
end

-- The text, or the part of it where it begins to differ from the other.
local function excerpt(text, other)
  if not text then return "(none)" end
  if #text <= 60 then return text end
  local from = math.max(1, common_prefix(text, other or "") - 20)
  return (from > 1 and "... " or "") .. text:sub(from, from + 55)
    .. (from + 55 < #text and " ..." or "")
end

-- What differs between two listings, in words, at most `most` lines.
function code.difference(old, new, most)
  local was, is, names = {}, {}, {}
  for name, text in old:gmatch "([^\t\n]*)\t([^\n]*)\n" do
    was[name] = text
    names[#names + 1] = name
  end
  for name, text in new:gmatch "([^\t\n]*)\t([^\n]*)\n" do
    is[name] = text
    if not was[name] then names[#names + 1] = name end
  end
  local lines = {}
  for _, name in ipairs(names) do
    if was[name] ~= is[name] and #lines < most then
      local before, after = excerpt(was[name], is[name]), excerpt(is[name], was[name])
      lines[#lines + 1] = ("  %s: %s  ->  %s"):format(name, before, after)
    end
  end
  return table.concat(lines, "\n")
end

return {}
