-- experiment_code.lua: what code a trial runs, as text that comments, blanks and unrelated
-- parts of the script do not change.
--
-- From the trial function on, everything that it reaches is listed in pieces:
--   a function        its tokens, then its upvalues, each a piece of its own
--   a plain value     its literal
--   a table           its fields, keys sorted
--   a required module named in a function's text: the tokens of its file
--   a data set, net   what it says of itself
-- The library's own names, and `args` (which is part of a trial's identity), are left out. A
-- piece is { name = "trial.helper", text = "..." }; names are paths from where we began.

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

-- Spans of all functions: { first, last } among the tokens, by "line:last line".
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
    files[path] = tokens and { text = text, tokens = tokens, spans = functions_of(tokens) }
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

-- How much of the function's code the text gives when it is compiled at the same line with
-- the same upvalues.
local function likeness(f, text, line)
  local names = {}
  for i = 1, 255 do
    local name = debug.getupvalue(f, i)
    if not name then break end
    if name ~= "" then names[#names + 1] = name end
  end
  local head = #names > 0 and "local " .. table.concat(names, ",") .. " " or ""
  text = text:gsub("^function%s+[%w_%s%.:]*%(", "function (")
  local chunk = load(head .. ("\n"):rep(line - 1) .. "return " .. text, "=likeness", "t")
  local ok, candidate = pcall(chunk or error)
  if not ok or type(candidate) ~= "function" then return 0 end
  return common_prefix(string.dump(f, true), string.dump(candidate, true))
end

-- Several functions on one line: the one whose code is most like f's.
local function pick(f, candidates, line)
  local best, best_likeness
  for _, text in ipairs(candidates) do
    local own = likeness(f, text, line)
    if not best or own > best_likeness then best, best_likeness = text, own end
  end
  return best
end

-- The tokens of a Lua function; without its file, its compiled form.
local function function_text(f)
  local info = debug.getinfo(f, "S")
  local path = info.source:match "^@(.*)"
  local file = path and file_of(path)
  local spans = file and file.spans[info.linedefined .. ":" .. info.lastlinedefined]
  if not spans then return "compiled " .. internal.hash(string.dump(f, true)) end
  local candidates = {}
  for i, span in ipairs(spans) do candidates[i] = joined(file.tokens, span.first, span.last) end
  return #candidates == 1 and candidates[1] or pick(f, candidates, info.linedefined)
end

-- -- what is reached ----------------------------------------------------------------------

local Reach = {}
Reach.__index = Reach

function Reach:put(name, text) self[#self + 1] = { name = name, text = text } end

local function literal(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return ("%s %.17g"):format(math.type(value), value) end
  return tostring(value)
end

-- Files of modules that a text requires by a literal name.
function Reach:modules(text)
  for quoted in text:gmatch "%f[%w_]require%f[^%w_] %(? ?(%b\"\")" do self:module(quoted) end
  for quoted in text:gmatch "%f[%w_]require%f[^%w_] %(? ?(%b'')" do self:module(quoted) end
end

function Reach:module(quoted)
  local name = quoted:sub(2, -2)
  local path = not self.seen["module " .. name] and package.searchpath(name, package.path)
  self.seen["module " .. name] = true
  local file = path and file_of(path)
  if not file then return end
  local text = joined(file.tokens)
  self.files[path] = true
  self:put("module " .. name, text)
  self:modules(text)
end

function Reach:func(name, f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" or internal.is_library(f) then return end
  local text = function_text(f)
  local path = info.source:match "^@(.*)"
  if path then self.files[path] = true end
  self:put(name, text)
  self:modules(text)
  local upvalues, names = {}, {}
  for i = 1, 255 do
    local upvalue, value = debug.getupvalue(f, i)
    if not upvalue then break end
    if upvalue ~= "_ENV" then
      names[#names + 1] = upvalue
      upvalues[upvalue] = { value }
    end
  end
  table.sort(names)
  for _, upvalue in ipairs(names) do
    self:value(name .. "." .. upvalue, upvalues[upvalue][1])
  end
end

local function by_type_and_text(a, b)
  if type(a) ~= type(b) then return type(a) < type(b) end
  if type(a) == "number" then return a < b end
  return tostring(a) < tostring(b)
end

function Reach:fields(name, t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" or type(key) == "number" or type(key) == "boolean" then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, by_type_and_text)
  self:put(name, "table")
  for _, key in ipairs(keys) do self:value(name .. "." .. tostring(key), rawget(t, key)) end
  local meta = debug.getmetatable(t)
  if meta then self:value(name .. ".metatable", meta) end
end

function Reach:value(name, value)
  local kind = type(value)
  if kind ~= "function" and kind ~= "table" and kind ~= "userdata" then
    self:put(name, literal(value))
    return
  end
  if self.seen[value] then
    self:put(name, "as " .. self.seen[value])
    return
  end
  if internal.is_library(value) then return end
  self.seen[value] = name
  if kind == "function" then self:func(name, value)
  elseif kind == "table" then self:fields(name, value)
  else self:put(name, (internal.object_text(value):gsub("0x%x+", ""))) end
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
  local lines = {}
  for i, piece in ipairs(reach) do
    lines[i] = piece.name .. "\t" .. piece.text:gsub("\n", "\\n") .. "\n"
  end
  return table.concat(lines)
end

-- -- of a study ---------------------------------------------------------------------------

-- What a cell has levels of: the factors, and the parameters that are tuned.
local function axes_of(spec)
  local axes = {}
  for i, factor in ipairs(spec.space.factors) do
    axes[i] = { name = factor.name, levels = factor.seen or {} }
  end
  for _, name in ipairs(spec.tune_order or {}) do
    axes[#axes + 1] = { name = name, levels = spec.tune[name] }
  end
  return axes
end

-- The fingerprint of each cell, and the listings by fingerprint. What a level stands for is
-- part of the cells that have it and of no others, so that a new level changes nothing; one
-- that is its own name is part of the identity already.
function code.of_cells(spec, cells)
  local base = code.reach("trial", spec.trial)
  local base_text = code.listing(base) .. internal.kernels() .. "\n"
  local axes, levels, by_cell, listings = axes_of(spec), {}, {}, { files = {} }
  for path in pairs(base.files) do listings.files[path] = true end
  for _, axis in ipairs(axes) do
    for _, level in ipairs(axis.levels) do
      if level.named then
        local name = axis.name .. "=" .. level.name
        local reach = code.reach(name, level.value)
        for path in pairs(reach.files) do listings.files[path] = true end
        levels[name] = code.listing(reach)
      end
    end
  end
  local known = {}
  for i, cell in ipairs(cells) do
    local parts = {}
    for _, axis in ipairs(axes) do
      local level = cell[axis.name]
      parts[#parts + 1] = level and levels[axis.name .. "=" .. level]
    end
    local text = base_text .. table.concat(parts)
    known[text] = known[text] or internal.hash(text)
    by_cell[i] = known[text]
    listings[by_cell[i]] = text
  end
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
