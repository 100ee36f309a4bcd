-- experiment_space.lua: the space of an experiment: factors and the cells that they span.
--
-- A factor is
--   { "relu", "tanh", { name = "swish", value = f } }   levels, by value or with a name
--   function(c) return { 0, 0.9 } end                   levels that follow from other factors;
--                                                       nil: not there in this cell
--   { uniform = { 0.1, 0.9 } }, { log_uniform = { 1e-4, 1 } }, { integer = { 1, 9 } },
--   { log_integer = { 8, 512 } }, { choice = { ... } }  drawn, `random` points of all such
-- A cell has one level of each factor. What must hold: a cell is known by its level names
-- alone (a table factor -> name), and resolve() makes the same values of them in any process.

local internal = ...

local space = {}
internal.space = space

local MAX_CELLS = 100000
space.max_cells = MAX_CELLS

-- -- messages -----------------------------------------------------------------------------

function space.fail(format, ...)
  error((internal.where or "") .. "experiment: " .. format:format(...), 0)
end
local fail = space.fail

local function near(name, names)
  local nearest = internal.nearest(tostring(name), names)
  return nearest and ('; did you mean "%s"?'):format(nearest) or ""
end
space.near = near

function space.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end
local sorted_keys = space.sorted_keys

-- -- levels -------------------------------------------------------------------------------

-- The first key, by its text, that is not allowed.
local function first_other(t, allowed)
  local first
  for key in pairs(t) do
    if not allowed(key) and (first == nil or tostring(key) < tostring(first)) then first = key end
  end
  return first
end

-- The first key of a table that is none of a list of n.
function space.no_item(t, n)
  return first_other(t, function(key)
    return math.type(key) == "integer" and key >= 1 and key <= n
  end)
end

-- Up to the first that is nil.
local function count_items(t)
  local n = 0
  while t[n + 1] ~= nil do n = n + 1 end
  return n
end

-- The place of the first item of a list that is nil, though others come after it; else nil,
-- and the first key that a list has not.
function space.list_flaw(t)
  local n = count_items(t)
  local other = space.no_item(t, n)
  if math.type(other) == "integer" and other > n then return n + 1 end
  return nil, other
end

local function is_level_field(key) return key == "name" or key == "value" end

local plain = { string = true, number = true, boolean = true }

local function is_finite(number) return number == number and math.abs(number) ~= math.huge end

local function check_name(factor, name)
  if not internal.is_name(name) then
    fail("factor %q: level name %q: allowed: %s", factor, name, internal.name_allowed)
  end
  return name
end

-- A number that is not finite has no text that JSON knows: in a table it may have a name.
local function level_of(factor, value)
  if type(value) == "number" and not is_finite(value) then
    fail('factor %q: level %s: allowed: finite numbers, or { name = "...", value = ... }',
      factor, internal.number_text(value))
  end
  if plain[type(value)] then
    local name = type(value) == "number" and internal.number_text(value) or tostring(value)
    return { name = check_name(factor, name), value = value }
  end
  if type(value) ~= "table" then
    fail('factor %q: a %s as a level needs a name: { name = "...", value = ... }', factor,
      type(value))
  end
  local other = first_other(value, is_level_field)
  if other ~= nil then
    fail("factor %q: a level has an unknown field %q; allowed: name, value", factor,
      tostring(other))
  end
  if type(value.name) ~= "string" or value.value == nil then
    fail('factor %q: a level in a table needs both: { name = "...", value = ... }', factor)
  end
  return { name = check_name(factor, value.name), value = value.value, named = true }
end

-- Ways to draw levels, and the same as a set.
local range_kinds = { "uniform", "log_uniform", "integer", "log_integer", "choice" }
local range_names = {}
for _, kind in ipairs(range_kinds) do range_names[kind] = true end

-- A list of levels, each name once.
local function levels_of(factor, list)
  local levels = {}
  for i, value in ipairs(list) do
    local level = level_of(factor, value)
    if levels[level.name] then
      fail("factor %q: level %q is there twice", factor, level.name)
    end
    levels[i] = level
    levels[level.name] = level
  end
  local hole, other = space.list_flaw(list)
  if hole then
    fail("factor %q: level %d is nil; allowed: a list of levels without gaps", factor, hole)
  end
  if other ~= nil then
    fail("factor %q: unknown field %q; allowed: a list of levels, or one of %s%s", factor,
      tostring(other), table.concat(range_kinds, ", "), near(other, range_names))
  end
  if #levels == 0 then fail("factor %q has no levels", factor) end
  return levels
end
space.levels_of = levels_of

local function level_names(levels)
  local names = {}
  for i, level in ipairs(levels) do names[i] = level.name end
  return names
end
space.level_names = level_names

-- -- drawn levels -------------------------------------------------------------------------

-- Each gives the value for a draw u in [0, 1). Reals are rounded to six digits, so that the
-- name in tables and on disk is the whole value.
local function rounded(x) return tonumber(("%.6g"):format(x)) + 0.0 end

local function exponential(u, lo, hi)
  return math.exp(math.log(lo) + u * (math.log(hi) - math.log(lo)))
end

local draws = {}

function draws.uniform(u, lo, hi) return rounded(lo + u * (hi - lo)) end

function draws.log_uniform(u, lo, hi) return rounded(exponential(u, lo, hi)) end

function draws.integer(u, lo, hi) return lo + math.floor(u * (hi - lo + 1)) end

function draws.log_integer(u, lo, hi)
  return math.min(hi, math.floor(exponential(u, lo, hi) + 0.5))
end

-- Widths up to these are numbers, and integers that a draw of 53 bits reaches.
local WIDTH_MAX, WHOLE_WIDTH_MAX = 1e300, 2^53

local function whole_number(value) return type(value) == "number" and math.tointeger(value) end

-- "{ 2, 1 }", of what may be anything.
local function range_text(range)
  local parts = {}
  for i = 1, math.min(#range, 3) do
    local item = range[i]
    parts[i] = type(item) == "number" and internal.number_text(item)
      or type(item) == "string" and ("%q"):format(item) or "a " .. type(item)
  end
  return "{ " .. table.concat(parts, ", ") .. (#range > 3 and ", ..." or "") .. " }"
end

-- Its ends, and whether these draws are integers.
local function ends_of(factor, kind, range)
  local lo, hi = range[1], range[2]
  local whole = kind:find "integer" ~= nil
  if whole then lo, hi = whole_number(lo), whole_number(hi) end
  if type(lo) ~= "number" or type(hi) ~= "number" or #range ~= 2 or not (lo < hi)
    or not (hi + 0.0 - lo < (whole and WHOLE_WIDTH_MAX or WIDTH_MAX)) then
    fail("factor %q: %s: got %s; allowed: two %s, { low, high }, low below high and less than "
      .. "%g apart", factor, kind, range_text(range), whole and "integers" or "numbers",
      whole and WHOLE_WIDTH_MAX or WIDTH_MAX)
  end
  if kind:find "^log" and not (lo > 0) then
    fail("factor %q: %s: got %s, allowed: numbers above 0", factor, kind, lo)
  end
  return lo, hi, whole
end

-- A range as a factor, or nil where the table is none.
local function range_of(name, given)
  for _, kind in ipairs(range_kinds) do
    local range = given[kind]
    if range ~= nil then
      if type(range) ~= "table" or next(given, next(given)) ~= nil then
        fail("factor %q: allowed: { %s = { ... } } with nothing else", name, kind)
      end
      if kind == "choice" then
        return { name = name, drawn = kind, choice = levels_of(name, range) }
      end
      local lo, hi, whole = ends_of(name, kind, range)
      return { name = name, drawn = kind, lo = lo, hi = hi, whole = whole }
    end
  end
end

-- The level of draw number `point` from the factor's own stream.
local function draw_level(factor, seed, point)
  local u = internal.uniform(seed, factor.name, point)
  if factor.choice then return factor.choice[1 + math.floor(u * #factor.choice)] end
  return level_of(factor.name, draws[factor.drawn](u, factor.lo, factor.hi))
end

-- -- factors ------------------------------------------------------------------------------

local function factor_of(name, given)
  if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
    fail("factors: got the name %q; allowed: letters, digits and _", tostring(name))
  end
  if name == "seed" or name == "seeds" then
    fail('factors: "%s" is taken: it is the option seeds', name)
  end
  if type(given) == "function" then return { name = name, depends = given } end
  if type(given) ~= "table" then
    fail("factor %q: got a %s; allowed: a list of levels, a function of the other factors, "
      .. "or a range such as { uniform = { 0, 1 } }", name, type(given))
  end
  return range_of(name, given) or { name = name, levels = levels_of(name, given) }
end

-- The factors in alphabetical order, or in the one that is given (which must have all).
local function ordered(factors, order)
  local names = order or sorted_keys(factors)
  local list = {}
  for i, name in ipairs(names) do
    if factors[name] == nil then
      fail("order: %q is no factor%s", tostring(name), near(name, factors))
    end
    if list[name] then fail("order: %q is there twice", name) end
    list[i] = factor_of(name, factors[name])
    list[name] = list[i]
  end
  for _, name in ipairs(sorted_keys(factors)) do
    if not list[name] then fail("order: factor %q is missing", tostring(name)) end
  end
  return list
end

-- { base = {...}, change = {...} } as factors with a baseline, to be changed one at a time.
function space.from_ablate(ablate)
  local base = ablate.base or ablate[1]
  for _, key in ipairs(sorted_keys(ablate)) do
    if key ~= 1 and key ~= "base" and key ~= "change" then
      fail("ablate: unknown field %q; allowed: base, change%s", tostring(key),
        near(key, { base = 1, change = 1 }))
    end
  end
  if type(base) ~= "table" or type(ablate.change) ~= "table" then
    fail("ablate: needs both: { base = { factor = level }, change = { factor = { levels } } }")
  end
  local factors, baseline = {}, {}
  for _, name in ipairs(sorted_keys(base)) do
    factors[name] = { base[name] }
    baseline[name] = type(base[name]) == "table" and base[name].name or base[name]
  end
  for _, name in ipairs(sorted_keys(ablate.change)) do
    local changes = ablate.change[name]
    if not factors[name] then
      fail("ablate: change: base has no %q%s", tostring(name), near(name, factors))
    end
    if type(changes) ~= "table" or changes.name then changes = { changes } end
    for _, level in ipairs(changes) do table.insert(factors[name], level) end
  end
  return factors, baseline
end

-- Factors of one group run in step: their levels are paired and not crossed.
local function check_zip(factors, zip)
  local groups = type(zip[1]) == "table" and zip or { zip }
  for _, group in ipairs(groups) do
    local first
    for _, name in ipairs(group) do
      local factor = factors[name]
      if not factor then fail("zip: %q is no factor%s", tostring(name), near(name, factors)) end
      if not factor.levels then fail("zip: factor %q has no fixed list of levels", name) end
      if factor.group then fail("zip: factor %q is there twice", name) end
      first = first or factor
      if #factor.levels ~= #first.levels then
        fail("zip: %q has %d levels, %q has %d; allowed: the same number", first.name,
          #first.levels, name, #factor.levels)
      end
      factor.group = group
    end
  end
end

-- -- levels from the command line ---------------------------------------------------------

local function kinds_of(levels)
  local kind
  for _, level in ipairs(levels) do
    local own = math.type(level.value) or type(level.value)
    if kind and kind ~= own then return kind ~= "integer" and kind ~= "float" and "" or own end
    kind = own
  end
  return kind
end

-- Among numbers a new one is a new level; any other word must be a level that is there.
local function given_level(factor, word)
  local level = factor.levels[word]
  if level then return level end
  local kind = kinds_of(factor.levels)
  local number = tonumber(word)
  local listed = table.concat(level_names(factor.levels), ", ")
  if kind ~= "integer" and kind ~= "float" then
    internal.usage_error(("argument %s: %q is no level of it%s; its levels: %s")
      :format(factor.name, word, near(word, factor.levels), listed))
  end
  number = kind == "integer" and math.tointeger(number) or kind == "float" and number
  if number and kind == "float" then number = number + 0.0 end
  if not number or not is_finite(number) then
    internal.usage_error(("argument %s=%s: allowed: %s, or one of %s"):format(factor.name, word,
      kind == "integer" and "an integer" or "a finite number", listed))
  end
  return factor.levels[internal.number_text(number)] or level_of(factor.name, number)
end

local function restrict(factor, words)
  if factor.group then
    internal.usage_error(("argument %s: the factor runs in step with others (zip) and "
      .. "cannot be chosen alone"):format(factor.name))
  end
  if factor.drawn then
    internal.usage_error(("argument %s: the factor is drawn at random and cannot be chosen")
      :format(factor.name))
  end
  local chosen = {}
  for _, word in ipairs(words) do
    if factor.depends then
      chosen[word] = false                   -- set to true when a cell has such a level
    else
      local level = given_level(factor, word)
      if chosen[level.name] then
        internal.usage_error(("argument %s: %q is there twice"):format(factor.name, word))
      end
      chosen[#chosen + 1] = level
      chosen[level.name] = level
    end
  end
  if factor.depends then factor.only = chosen else factor.levels = chosen end
end

-- -- the whole ----------------------------------------------------------------------------

-- Takes a level by its name or its value; its name.
local function baseline_level(factor, given)
  local levels = factor.declared or factor.levels
  local name = type(given) == "table" and given.name or given
  if type(name) == "number" then name = internal.number_text(name) end
  name = tostring(name)
  if levels and not levels[name] then
    fail("baseline: %q is no level of %q%s; its levels: %s", name, factor.name,
      tonumber(name) and "" or near(name, levels), table.concat(level_names(levels), ", "))
  end
  return name
end

-- Every factor with fixed levels has a baseline: the one given, else its first level.
local function baseline_of(factors, given)
  local baseline = {}
  for _, name in ipairs(sorted_keys(given)) do
    local factor = factors[name]
    if not factor then
      fail("baseline: %q is no factor%s", tostring(name), near(name, factors))
    end
    if factor.drawn then fail("baseline: factor %q is drawn and has no baseline", name) end
    baseline[name] = baseline_level(factor, given[name])
    if factor.levels and not factor.levels[baseline[name]] then
      internal.warn(("the baseline %s=%s is not among the levels to run; %s takes its place")
        :format(name, baseline[name], factor.levels[1].name))
      baseline[name] = factor.levels[1].name
    end
  end
  for _, factor in ipairs(factors) do
    if factor.levels and not baseline[factor.name] then
      baseline[factor.name] = factor.levels[1].name
    end
  end
  return baseline
end

-- options: factors, order, zip, baseline, ablate, random, skip, where; words: factor -> list
-- of level names of the command line; seed: of the draws.
function space.open(options, words, seed)
  local given, baseline = options.factors, options.baseline
  if type(options.ablate) == "table" then given, baseline = space.from_ablate(options.ablate) end
  local self = { factors = ordered(given, options.order), seed = seed,
                 one_at_a_time = options.ablate and true or false,
                 random = options.random, skip = options.skip, where = options.where }
  if options.zip then
    if options.ablate then fail "zip with ablate: that changes one factor at a time" end
    check_zip(self.factors, options.zip)
  end
  local drawn
  for _, factor in ipairs(self.factors) do
    drawn = drawn or factor.drawn and factor
    factor.declared = factor.levels
    if words[factor.name] then restrict(factor, words[factor.name]) end
    if options.ablate and not factor.levels then
      fail("ablate: factor %q has no fixed list of levels", factor.name)
    end
  end
  if drawn and not self.random then
    fail("factor %q is a range: say how many points to draw, as in random = 20", drawn.name)
  end
  if self.random and not drawn then
    fail("random: no factor is a range; write one as in lr = { log_uniform = { 1e-4, 1 } }")
  end
  self.baseline = baseline_of(self.factors, baseline or {})
  return self
end

-- -- one cell -----------------------------------------------------------------------------

local unresolved = {}   -- raised when a factor is read before its turn

-- What functions of the space and the trial get: values by factor, others are an error.
function space.view(self, values, pending)
  return setmetatable({}, {
    __index = function(_, key)
      if values[key] ~= nil then return values[key] end
      if pending and pending[key] then error(unresolved, 0) end
      if self.factors[key] or self.extra and self.extra[key] then return nil end
      local known = setmetatable({}, { __index = self.factors })
      for _, factor in ipairs(self.factors) do known[factor.name] = factor end
      error(("there is no factor %q%s"):format(tostring(key), near(key, known)), 2)
    end,
    __newindex = function(_, key)
      error(("a cell is read-only: %s cannot be set"):format(tostring(key)), 2)
    end,
    __pairs = function() return next, values, nil end,
    __tostring = function()
      local parts = {}
      for _, key in ipairs(sorted_keys(values)) do
        parts[#parts + 1] = key .. "=" .. tostring(values[key])
      end
      return table.concat(parts, " ")
    end,
  })
end

local function not_yet(message) return message == unresolved end

-- Levels of a factor that follows from others: a list; false: not there; nil: it read a
-- factor that has no value yet.
local function dependent_levels(self, factor, values, pending)
  local ok, result = xpcall(factor.depends, function(message)
    if not_yet(message) then return message end
    return debug.traceback(("factor %q: %s"):format(factor.name, tostring(message)), 2)
  end, space.view(self, values, pending))
  if not ok then
    if not_yet(result) then return nil end
    error(result, 0)
  end
  if result == nil or type(result) == "table" and next(result) == nil then return false end
  if type(result) ~= "table" or result.name then result = { result } end
  return levels_of(factor.name, result)
end

-- The next factor of `pending` whose function can be answered, with its levels.
local function next_dependent(self, values, pending)
  local names = {}
  for _, factor in ipairs(self.factors) do
    if pending[factor.name] then
      local levels = dependent_levels(self, factor, values, pending)
      if levels ~= nil then return factor, levels end
      names[#names + 1] = factor.name
    end
  end
  fail("factors %s depend on each other in a circle", table.concat(names, ", "))
end

-- The level of a factor that does not follow from others.
local function level_named(factor, name)
  if name == nil then fail("a cell without %q", factor.name) end
  local levels = factor.choice or factor.levels
  local level = levels and levels[name]
  if not level and (factor.drawn or kinds_of(levels or {})) then
    local number = factor.whole and math.tointeger(tonumber(name)) or tonumber(name)
    level = { name = name, value = number }
  end
  return level
end

-- The values of a cell that is known by its level names, and the levels that have them, both
-- by factor.
function space.resolve(self, names)
  local values, levels, pending = {}, {}, {}
  local function set(name, level)
    if not level or level.value == nil then
      fail("level %q of factor %q is not there any more", names[name], name)
    end
    values[name], levels[name] = level.value, level
  end
  for _, factor in ipairs(self.factors) do
    if factor.depends then pending[factor.name] = factor
    else set(factor.name, level_named(factor, names[factor.name])) end
  end
  for name, tuned in pairs(self.extra or {}) do
    if names[name] then set(name, tuned[names[name]]) end
  end
  while next(pending) do
    local factor, offered = next_dependent(self, values, pending)
    local name = factor.name
    pending[name] = nil
    if names[name] ~= nil then set(name, offered and offered[names[name]]) end
  end
  return values, levels
end

-- Names of the levels that are given by name or by value; nil and the first one that is left
-- out of this run, by the command line.
local function given_names(self, given)
  if type(given) ~= "table" then
    fail("contrasts: a cell is a %s; allowed: { factor = level }", type(given))
  end
  local names = {}
  for _, name in ipairs(sorted_keys(given)) do
    local factor = self.factors[name]
    if not factor then
      fail("contrasts: %q is no factor%s", tostring(name), near(name, self.factors))
    end
    local level = given[name]
    if type(level) == "table" then level = level.name end
    level = type(level) == "number" and internal.number_text(level) or tostring(level)
    if not factor.seen[level] then
      if factor.declared and factor.declared[level] then return nil, name .. "=" .. level end
      fail("contrasts: %q is no level of %q%s", level, name, near(level, factor.seen))
    end
    names[name] = level
  end
  return names
end

-- The cell that has the given levels, and those of the baseline where it has the factor; nil
-- and a level that it needs and that is not among those to run.
function space.complete(self, given, cells)
  local names, left_out_level = given_names(self, given)
  if not names then return nil, left_out_level end
  for _, cell in ipairs(cells) do
    local fits = true
    for _, factor in ipairs(self.factors) do
      local name = factor.name
      local wanted = names[name] or cell[name] and self.baseline[name]
      fits = fits and (wanted == nil or cell[name] == wanted)
    end
    if fits then return cell end
  end
  local parts = {}
  for _, name in ipairs(sorted_keys(names)) do parts[#parts + 1] = name .. "=" .. names[name] end
  if #parts == 0 then fail("contrasts: the baseline is none of the cells") end
  fail("contrasts: no cell has %s and is the baseline otherwise", table.concat(parts, " "))
end

-- -- drawn points ------------------------------------------------------------------------

-- So many times the number of points found are drawn without a new one before the space is
-- said to have no more.
local DRAWS = 100

-- How many different points there can be.
local function most_points(drawn)
  local most = 1.0
  for _, factor in ipairs(drawn) do
    most = most * (factor.choice and #factor.choice or factor.whole and factor.hi - factor.lo + 1.0
      or math.huge)
  end
  return most
end

-- The points, factor name -> level: each once, so a longer list begins with a shorter one.
local function points_of(self, drawn)
  local points, seen, draw, last_new = {}, {}, 0, 0
  local wanted = math.min(self.random, most_points(drawn))
  while #points < wanted and draw - last_new <= DRAWS * (#points + 1) do
    draw = draw + 1
    local point, names = {}, {}
    for i, factor in ipairs(drawn) do
      local level = draw_level(factor, self.seed, draw)
      point[factor.name], names[i] = level, level.name
    end
    local key = table.concat(names, ",")
    if not seen[key] then points[#points + 1], last_new = point, draw end
    seen[key] = true
  end
  if #points < self.random then
    internal.warn(("random: %d points are asked for, %d different ones were found in %d draws")
      :format(self.random, #points, draw))
  end
  return points
end

-- -- all cells ----------------------------------------------------------------------------

-- The fixed part of the grid as axes: each has n places and sets levels of its factors.
local function axes_of(self)
  local axes, seen = {}, {}
  for _, factor in ipairs(self.factors) do
    if factor.levels and not seen[factor.group or factor] then
      local members = { factor }
      if factor.group then
        members = {}
        for i, name in ipairs(factor.group) do members[i] = self.factors[name] end
      end
      seen[factor.group or factor] = true
      axes[#axes + 1] = { n = #factor.levels, members = members,
                          level = function(member, i) return member.levels[i] end }
    end
  end
  local drawn = {}
  for _, factor in ipairs(self.factors) do
    if factor.drawn then drawn[#drawn + 1] = factor end
  end
  if #drawn > 0 then
    local points = points_of(self, drawn)
    axes[#axes + 1] = { n = #points, members = drawn,
                        level = function(member, i) return points[i][member.name] end }
  end
  return axes
end

local function function_place(f)
  local info = debug.getinfo(f, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

-- Why the rules leave the cell out; nil if they do not.
local function left_out(self, values)
  local view = space.view(self, values)
  for _, rule in ipairs(self.skip or {}) do
    local answer = rule(view)
    if answer then
      return type(answer) == "string" and answer or "skip at " .. function_place(rule)
    end
  end
  for _, rule in ipairs(self.where or {}) do
    local answer, why = rule(view)
    if not answer then
      return type(why) == "string" and why or "where at " .. function_place(rule)
    end
  end
end

local function copy(t)
  local result = {}
  for key, value in pairs(t) do result[key] = value end
  return result
end

local function count_text(n, at_least)
  return (at_least and "at least " or "") .. (n < 1e15 and ("%.0f"):format(n) or ("%.3g"):format(n))
end

-- Trials are counted before anything is made of them.
function space.check_trials(what, n_cells, n_seeds)
  local n = n_cells + 0.0
  if n * n_seeds > internal.trials_max then
    fail("%s%s cells x %d seeds are %s trials; allowed: up to %d", what, count_text(n), n_seeds,
      count_text(n * n_seeds), internal.trials_max)
  end
end

-- How many cells the factors with fixed levels, and the points, span.
local function combinations_of(self, axes)
  local product, sum = 1.0, 1
  for _, axis in ipairs(axes) do product, sum = product * axis.n, sum + axis.n - 1 end
  return self.one_at_a_time and sum or product
end

local Walk = {}
Walk.__index = Walk

function Walk:too_many()
  fail("the factors have %s combinations of levels; allowed: up to %d cells, and as many that "
    .. "are left out", count_text(self.combinations, next(self.pending)), MAX_CELLS)
end

function Walk:add(names, values)
  local why = left_out(self.space, values)
  local list = why and self.skipped or self.cells
  if #list >= MAX_CELLS then self:too_many() end
  if why then list[#list + 1] = { cell = copy(names), why = why }
  else list[#list + 1] = copy(names) end
end

-- Adds a level that came out of a function or a draw, unless it is there.
local function see(levels, level)
  if levels[level.name] then return end
  levels[#levels + 1] = level
  levels[level.name] = level
end

function Walk:dependents(names, values, pending)
  if not next(pending) then return self:add(names, values) end
  local factor, levels = next_dependent(self.space, values, pending)
  local rest = copy(pending)
  rest[factor.name] = nil
  if not levels then return self:dependents(names, values, rest) end
  for _, level in ipairs(levels) do
    see(factor.offered, level)
    if not factor.only or factor.only[level.name] ~= nil then
      if factor.only then factor.only[level.name] = true end
      see(factor.seen, level)
      names[factor.name], values[factor.name] = level.name, level.value
      self:dependents(names, values, rest)
      names[factor.name], values[factor.name] = nil, nil
    end
  end
end

function Walk:axis(i, names, values)
  local axis = self.axes[i]
  if not axis then return self:dependents(names, values, self.pending) end
  for place = 1, axis.n do
    for _, factor in ipairs(axis.members) do
      local level = axis.level(factor, place)
      names[factor.name], values[factor.name] = level.name, level.value
      if factor.drawn then see(factor.seen, level) end
    end
    self:axis(i + 1, names, values)
  end
end

-- The baseline, then each factor changed alone.
function Walk:one_at_a_time()
  local names, values = {}, {}
  for _, factor in ipairs(self.space.factors) do
    names[factor.name] = self.space.baseline[factor.name]
    values[factor.name] = factor.levels[names[factor.name]].value
  end
  self:add(names, values)
  for _, factor in ipairs(self.space.factors) do
    local name, value = names[factor.name], values[factor.name]
    for _, level in ipairs(factor.levels) do
      if level.name ~= name then
        names[factor.name], values[factor.name] = level.name, level.value
        self:add(names, values)
      end
    end
    names[factor.name], values[factor.name] = name, value
  end
end

-- Cells (tables factor -> level name) and those that rules left out, each with `why`.
function space.expand(self)
  local walk = setmetatable({ space = self, cells = {}, skipped = {}, pending = {} }, Walk)
  for _, factor in ipairs(self.factors) do
    factor.seen, factor.offered = factor.levels or {}, {}
    if factor.depends then walk.pending[factor.name] = factor end
  end
  walk.axes = axes_of(self)
  walk.combinations = combinations_of(self, walk.axes)
  if walk.combinations > MAX_CELLS and not self.skip and not self.where then walk:too_many() end
  if self.one_at_a_time then walk:one_at_a_time() else walk:axis(1, {}, {}) end
  for _, factor in ipairs(self.factors) do
    for _, name in ipairs(sorted_keys(factor.only or {})) do
      if not factor.only[name] then
        local levels = table.concat(level_names(factor.offered), ", ")
        internal.usage_error(("argument %s: %q is no level of it%s; its levels: %s"):format(
          factor.name, name, near(name, factor.offered), levels ~= "" and levels or "none here"))
      end
    end
    if not factor.drawn and not self.baseline[factor.name] and factor.seen[1] then
      self.baseline[factor.name] = factor.seen[1].name
    end
  end
  if #walk.cells == 0 then fail("no cell is left: all %d are skipped", #walk.skipped) end
  return walk.cells, walk.skipped
end

return {}
