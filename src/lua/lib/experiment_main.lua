-- experiment_main.lua: `experiment { ... }`: factors, seeds and a trial function become a study.
--
-- In the program that the user started, the space is spread out (experiment_space.lua), the
-- code of the trials is fingerprinted (experiment_code.lua), and the study is handed to the floor
-- below as one plan. In a worker the same script comes here with a job: the job's cell gets
-- its values, the trial runs, and the script ends.

local internal = ...
local space, code   -- set when an experiment begins

-- -- options ------------------------------------------------------------------------------

local function is(...)
  local allowed = { ... }
  return function(value)
    for _, kind in ipairs(allowed) do
      if type(value) == kind or math.type(value) == kind then return true end
    end
  end
end

-- A function, or a list of such.
local function rules(value)
  if type(value) ~= "table" then return type(value) == "function" end
  for _, rule in pairs(value) do
    if type(rule) ~= "function" then return false end
  end
  return true
end

local function whole(value) return type(value) == "number" and math.tointeger(value) end

local function between(low, high)
  return function(value) return whole(value) and value >= low and value <= high end
end

local SEEDS_MAX, POINTS_MAX = 100000, 100000

local function goal(value) return value == "max" or value == "min" end

-- Name -> { what it is, what is allowed in words, a test }. An option that is not here is an
-- error.
local options = {
  name = { "Name of the experiment: its trials are kept in runs/NAME; the script's name if not "
    .. "given.", "a string", is "string" },
  trial = { "Trains and measures one cell with one seed: c.FACTOR is its level of a factor; "
    .. "run goes to train.fit as the option of that name. A measure time_s is left out: times "
    .. "are no result that comes again.",
    "a function of the cell and the run, which returns what it measured: a history, a table "
    .. "of measures, or a number", is "function" },
  factors = { "What is varied: every combination of one level of each is a cell. A level that "
    .. "is no plain value has a name, { name = ..., value = ... }.",
    "a table factor -> list of levels, a function of the other factors (nil: not in this "
    .. "cell), or a range: { uniform = { a, b } }, { log_uniform = { a, b } }, { integer = "
    .. "{ a, b } }, { log_integer = { a, b } } (both ends included), { choice = { ... } }",
    is "table" },
  order = { "Order of the factors in cells and tables; alphabetical if not given.",
    "a list of all factors, the first one varies slowest", is "table" },
  zip = { "Factors whose levels are paired, first with first, and not crossed.",
    "a list of factors that run in step, or a list of such lists", is "table" },
  ablate = { "Changes one factor at a time from the baseline in place of the full grid.",
    "{ base = { factor = level }, change = { factor = { levels } } } in place of factors, or "
    .. "true with factors and baseline", is("table", "boolean") },
  random = { "How many points are drawn of all factors that are ranges, together; the same "
    .. "ones for every combination of the others.",
    ("an integer from 1 to %d"):format(POINTS_MAX), between(1, POINTS_MAX) },
  skip = { "Leaves out cells; what it returns is the reason that runner plan shows.",
    "a function of the cell that says (why) it is left out, or a list of such", rules },
  where = { "Keeps only some cells; a second value that it returns is the reason.",
    "a function of the cell that says whether it is in, or a list of such", rules },
  baseline = { "The level of each factor that the others are compared with; the first one if "
    .. "not given.", "a table factor -> level", is "table" },
  seeds = { "The seeds that every cell runs with; 5 if not given, 4 at least for a "
    .. "verdict. The plan says how large a difference they find.",
    ("a number of seeds (1 to n), or a list of seeds, each from 0 to %d"):format(internal.seed_max),
    is("number", "table") },
  metric = { "The measure that tune chooses on, of validation rows say; every trial must "
    .. "return it.", "the name of a measure that the trial returns", is "string" },
  report = { "The measure that is compared and shown, of test rows say; the metric if not "
    .. "given.", "the name of a measure that the trial returns", is "string" },
  goal = { "Whether more or less of the metric is better; follows from names of metrics and "
    .. "losses, as val_accuracy, test_f1 or loss; any other name needs it said.",
    '"max" or "min"', goal },
  report_goal = { "The same of what is reported, where that is another measure.",
    '"max" or "min"', goal },
  rope = { "How small a difference does not matter: what lies within it, with its interval, "
    .. "is called equivalent.", "a number of at least 0, in units of the measure that is reported",
    function(v) return type(v) == "number" and v >= 0 and v < math.huge end },
  contrasts = { "Cells to be compared besides the levels of each factor; each takes the "
    .. "baseline's level of factors that it does not name.",
    'a list of pairs of cells, { { factor = level }, { factor = level } }, or "cells": every '
    .. "cell with the baseline's",
    function(v) return type(v) == "table" or v == "cells" end },
  tune = { "Parameters whose value is chosen for each cell, by the mean of the metric on "
    .. "seeds of their own; c holds them like factors.", "a table parameter -> list of values",
    is "table" },
  tune_seeds = { "Seeds that tune chooses on, none of those reported; 2 if not given.",
    ("an integer from 1 to %d"):format(SEEDS_MAX), between(1, SEEDS_MAX) },
  record = { "Whether trials are kept on disk, to be found again; true in a script, false at "
    .. "the prompt, with -e and from stdin.", "true or false", is "boolean" },
}

-- How deep the lists go of options that may be one.
local lists = { order = 1, zip = 2, skip = 1, where = 1, seeds = 1, contrasts = 2 }

local function check_list(key, value, depth)
  if type(value) ~= "table" or depth == 0 then return end
  local hole, field = space.list_flaw(value)
  if hole then space.fail("option %q: item %d is nil; allowed: a list without gaps", key, hole) end
  if field ~= nil then space.fail("option %q: a list has no field %q", key, tostring(field)) end
  for _, item in ipairs(value) do check_list(key, item, depth - 1) end
end

local function check_options(given)
  if type(given) ~= "table" then
    error(("experiment: got a %s, allowed: a table of options"):format(type(given)), 3)
  end
  for _, key in ipairs(space.sorted_keys(given)) do
    local option = options[key]
    if not option then
      space.fail("unknown option %q%s", tostring(key), space.near(key, options))
    end
    check_list(key, given[key], lists[key] or 0)
    if not option[3](given[key]) then
      local value = given[key]
      local got = type(value) == "string" and ("%q"):format(value)
        or type(value) == "number" and tostring(value) or "a " .. type(value)
      space.fail("option %q: got %s, allowed: %s", key, got, option[2])
    end
  end
  for _, key in ipairs { "trial", "metric" } do
    if given[key] == nil then space.fail("%q is missing: %s", key, options[key][2]) end
  end
  local by_table = type(given.ablate) == "table"
  if not given.factors == not by_table then
    space.fail("needs either factors or ablate = { base, change }")
  end
end

local function as_list(value)
  return type(value) == "function" and { value } or value
end

local function goal_of(option, measure, given)
  if given then return given end
  local named, why = internal.named_goal(measure, option)
  return named or space.fail("%s", why)
end

-- Of the metric, and of what is reported: that may be of the other kind.
local function goals_of(metric, report, given)
  local of_metric = goal_of("goal", metric, given.goal)
  if report ~= metric then return of_metric, goal_of("report_goal", report, given.report_goal) end
  if given.report_goal then space.fail 'report_goal without report: the metric has "goal"' end
  return of_metric, of_metric
end

local function check_seed(seed, from)
  local n = type(seed) == "number" and math.tointeger(seed)
  if not n or n < 0 or n > internal.seed_max then
    local text = ("seeds: got %s, allowed: integers from 0 to %d"):format(tostring(seed),
      internal.seed_max)
    if from then internal.usage_error("argument " .. text) end
    space.fail("%s", text)
  end
  return n
end

-- n means 1 to n; a list is taken as it is.
local function seed_list(given, from)
  if type(given) == "number" then
    local n = check_seed(given, from)
    if n < 1 or n > SEEDS_MAX then
      local text = ("seeds: got %d, allowed: 1 to %d of them"):format(n, SEEDS_MAX)
      if from then internal.usage_error("argument " .. text) end
      space.fail("%s", text)
    end
    given = {}
    for i = 1, n do given[i] = i end
  end
  local list, seen = {}, {}
  for i, seed in ipairs(given) do
    list[i] = check_seed(seed, from)
    if seen[list[i]] then
      if from then internal.usage_error(("argument seeds: %d is there twice"):format(seed)) end
      space.fail("seeds: %d is there twice", list[i])
    end
    seen[list[i]] = true
  end
  if #list == 0 then space.fail("seeds: the list is empty") end
  return list
end

-- -- the command line ---------------------------------------------------------------------

local function split(text)
  local words = {}
  for word in text:gmatch "[^,]+" do words[#words + 1] = word end
  return words
end

local function given_seeds()
  local text = internal.given.seeds
  if not text then return nil end
  if math.tointeger(tonumber(text)) then return seed_list(tonumber(text), true) end
  local list = {}
  for i, word in ipairs(split(text)) do list[i] = tonumber(word) or word end
  if #list == 0 then internal.usage_error "argument seeds=: allowed: a number or a list" end
  return seed_list(list, true)
end

-- ": relu, tanh ..." of those that are plain; for the help.
local function some_levels(given)
  local names = {}
  for _, level in ipairs(type(given) == "table" and given or {}) do
    local name = type(level) == "table" and level.name or level
    if type(name) == "string" or type(name) == "number" then names[#names + 1] = name end
  end
  return #names > 0 and ": " .. table.concat(names, ", ", 1, math.min(#names, 6))
    .. (#names > 6 and " ..." or "") or ""
end

-- Declares what the experiment understands beside the script's arguments; the levels that
-- the command line chooses, by factor.
local function take_words(factors)
  local words = {}
  for _, name in ipairs(space.sorted_keys(factors)) do
    local declared = internal.declared[name]
    if declared and not declared.factor then
      space.fail("%q is both a factor and an argument of the script", name)
    end
    internal.declared[name] = { default = "all", factor = true, doc = internal.want_help
      and "levels of the factor to run" .. some_levels(factors[name]) }
    if internal.given[name] then
      words[name] = split(internal.given[name])
      if #words[name] == 0 then
        internal.usage_error(("argument %s=: allowed: levels of the factor"):format(name))
      end
    end
  end
  internal.declared.seed = nil
  internal.declared.seeds = { default = "all", doc = "a number of seeds, or a list 3,5" }
  if internal.given.seed then
    internal.usage_error("argument seed: the script is an experiment; seeds=3 means seeds 1 to "
      .. "3, and seeds=3,5 those two")
  end
  internal.check_arguments()
  return words
end

-- -- one trial ----------------------------------------------------------------------------

-- What a measure came to: a number, or a list with one per epoch, of which the one counts
-- whose weights the net ended with.
local function number_of(result, value)
  if type(value) == "number" then return value + 0.0 end
  if type(value) ~= "table" or #value == 0 then return nil end
  local at = rawget(result, "best_epoch")
  local last = value[type(at) == "number" and at or #value]
  return type(last) == "number" and last + 0.0 or nil
end

-- The name of a measure that a trial gave, under which it is recorded and asked for.
local function check_measure(name)
  if type(name) ~= "string" or not internal.is_name(name) then
    error(("the trial gave a measure named %s; allowed: %s"):format(
      type(name) == "string" and ("%q"):format(name) or tostring(name), internal.name_allowed), 0)
  end
  return name
end

local function values_of(spec, result)
  local values = {}
  if type(result) == "number" then
    values[spec.metric] = result + 0.0
  elseif type(result) == "table" then
    for key, value in next, result do
      local number = key ~= "time_s" and number_of(result, value)
      if number then values[check_measure(key)] = number end
    end
  elseif result ~= nil then
    error(("the trial returned a %s; allowed: a history, a table of measures, or a number")
      :format(type(result)), 0)
  end
  return values
end

-- Raises why the trial has no measure of that name, which the option `key` asks for.
local function no_measure(result, name, key, measured)
  local given = type(result) == "table" and rawget(result, name)
  if given then
    local meta = debug.getmetatable(given)
    local kind = type(given) == "userdata" and meta and meta.__name or type(given)
    error(("the trial gave %q as a %s; allowed: a number (of a tensor: t:item()), or a list of "
      .. "numbers, of which the last one counts"):format(name, kind:match "[^.]*$"), 0)
  end
  local names = table.concat(space.sorted_keys(measured), ", ")
  error(("the trial gave no %q (option %q)%s; it gave %s"):format(name, key,
    space.near(name, measured), names == "" and "no number at all" or names), 0)
end

-- Runs the trial in this Lua state; what it measured, or an error.
local function run_trial(spec, job)
  local values = space.resolve(spec.space, job.cell)
  local run = internal.begin_trial(job.seed, job.cell)
  local result = spec.trial(space.view(spec.space, values), run)
  local measured = internal.end_trial(values_of(spec, result))
  for _, key in ipairs(job.tuning and { "metric" } or { "metric", "report" }) do
    local name = spec[key]
    if measured[name] == nil then no_measure(result, name, key, measured) end
    if measured[name] ~= measured[name] or math.abs(measured[name]) == math.huge then
      internal.diverged(("%s came to %s"):format(name, measured[name]))
    end
  end
end

-- -- the plan -----------------------------------------------------------------------------

-- Without those that no cell has; while tuning, with the parameters that are tried.
local function factor_rows(spec, tuning)
  local rows = {}
  local function add(name, levels)
    if #levels > 0 then rows[#rows + 1] = { name = name, levels = space.level_names(levels) } end
  end
  for _, factor in ipairs(spec.space.factors) do add(factor.name, factor.seen) end
  for _, name in ipairs(tuning and spec.tune_order or {}) do add(name, spec.tune[name]) end
  return internal.list(rows)
end

local function is_restricted(self)
  for _, factor in ipairs(self.factors) do
    if factor.levels ~= factor.declared then return true end
  end
end

-- { { factor = level }, { ... } }: pairs of cells, completed from the baseline. Those that need
-- a level which the command line left out, or would compare a cell with itself then, are left
-- out too, with a warning.
local function contrast_rows(self, contrasts, cells, warn)
  local rows, missing = {}, {}
  contrasts = type(contrasts) == "table" and contrasts or {}
  for i, pair in ipairs(contrasts) do
    if type(pair) ~= "table" or #pair ~= 2 then
      space.fail("contrasts: number %d: allowed: two cells", i)
    end
    local a, no_a = space.complete(self, pair[1], cells)
    local b, no_b = space.complete(self, pair[2], cells)
    if a and b and a ~= b then rows[#rows + 1] = { a, b }
    elseif a and b and not is_restricted(self) then
      space.fail("contrasts: number %d: both are the same cell", i)
    else missing[no_a or no_b or "the baseline"] = true end
  end
  if warn and #rows < #contrasts then
    internal.warn(("%d of %d contrasts are left out: not among the levels to run: %s")
      :format(#contrasts - #rows, #contrasts, table.concat(space.sorted_keys(missing), ", ")))
  end
  return internal.list(rows)
end

local function make_plan(spec, cells, skipped, tuning)
  local fingerprints, listings = code.of_cells(spec, cells)
  local plan = {
    name = spec.name, script = internal.script, script_path = internal.script_path(),
    words = internal.list(internal.words),
    args = internal.resolved_arguments(), factors = factor_rows(spec, tuning),
    baseline = spec.space.baseline, metric = spec.metric,
    goal = tuning and spec.metric_goal or spec.goal, metric_goal = spec.metric_goal,
    report = tuning and spec.metric or spec.report, seeds = spec.seeds, rope = spec.rope,
    range = internal.named_range(tuning and spec.metric or spec.report),
    contrasts = contrast_rows(spec.space, not tuning and spec.contrasts, cells),
    cell_contrasts = not tuning and spec.contrasts == "cells" or nil,
    cells = cells, fingerprints = internal.list(fingerprints),
    skipped = internal.list(skipped), random = spec.space.random,
  }
  return plan, listings
end

-- Where the value of each argument, the level of each factor and the seed came from.
local function sources(spec)
  local from = {}
  local function put(name, key, otherwise)
    from[name] = internal.given[key] and "command line" or otherwise
  end
  for name in pairs(internal.resolved_arguments()) do put(name, name, "script") end
  for _, factor in ipairs(spec.space.factors) do put(factor.name, factor.name, "script") end
  for _, name in ipairs(spec.tune_order or {}) do from[name] = "tuning" end
  put("seed", "seeds", spec.seeds_given and "script" or "default")
  return from
end

-- The parts of a study that the floor below wants to know besides the plan.
local function study(spec, cells, skipped, tuning)
  local plan, listings = make_plan(spec, cells, skipped, tuning)
  plan.others = internal.list(spec.tuned_ids or {})
  plan.tuned = not tuning and spec.tuned or nil
  return internal.study(plan, {
    listings = listings, files = code.files(listings),
    tuning = tuning and true or false, record = spec.record,
    seeds = tuning or spec.seeds,
    difference = code.difference, sources = sources(spec),
    run_trial = function(job) run_trial(spec, job) end,
  })
end

-- -- tuning -------------------------------------------------------------------------------

-- All combinations of the tuned parameters, as tables name -> level.
local function combinations(tune, order)
  local list = { {} }
  for _, name in ipairs(order) do
    local longer = {}
    for _, before in ipairs(list) do
      for _, level in ipairs(tune[name]) do
        local next_one = { [name] = level.name }
        for key, value in pairs(before) do next_one[key] = value end
        longer[#longer + 1] = next_one
      end
    end
    list = longer
  end
  return list
end

local function merged(a, b)
  local t = {}
  for key, value in pairs(a) do t[key] = value end
  for key, value in pairs(b) do t[key] = value end
  return t
end

local function cell_text(self, cell)
  local parts = {}
  for _, factor in ipairs(self.factors) do
    local level = cell[factor.name]
    if level then parts[#parts + 1] = internal.level_text(factor.name, level) end
  end
  return table.concat(parts, ", ")
end

-- The least and the greatest of the levels; nil where they are no numbers, or all the same.
local function edges_of(levels)
  local low, high
  for _, level in ipairs(levels) do
    local value = level.value
    if type(value) ~= "number" then return nil end
    low, high = math.min(low or value, value), math.max(high or value, value)
  end
  if low < high then return low, high end
end

-- A number at the edge of what was tried may want to go further.
local function warn_edges(spec, cell, choice)
  for _, name in ipairs(spec.tune_order) do
    local low, high = edges_of(spec.tune[name])
    local value = spec.tune[name][choice[name]].value
    if low and (value == low or value == high) then
      internal.warn(("tune: %s = %s is at the edge of its list for %s; a value beyond it may be "
        .. "better"):format(name, choice[name], cell_text(spec.space, cell)))
    end
  end
end

-- The combination with the best mean of the metric on the seeds of tuning; one with a trial
-- that diverged or failed is worse than all that have none.
local function best_of(spec, rows)
  local best
  for _, row in ipairs(rows) do
    if row.n > 0 then
      row.mean = row.sum / row.n
      local better = not best or row.lost < best.lost or row.lost == best.lost and
        (row.mean > best.mean) == (spec.metric_goal == "max") and row.mean ~= best.mean
      if better then best = row end
    end
  end
  return best
end

-- Sums of the metric by cell and combination, out of the trials of tuning.
local function tuning_rows(spec, result, per_cell)
  local rows = {}
  for _, trial in ipairs(result.trials) do
    local place = trial.cell_number - 1
    local cell, k = place // per_cell + 1, place % per_cell + 1
    rows[cell] = rows[cell] or {}
    local row = rows[cell][k] or { number = k, sum = 0, n = 0, lost = 0 }
    rows[cell][k] = row
    local value = trial.values[spec.metric]
    if trial.state == "complete" and value and value == value then
      row.sum, row.n = row.sum + value, row.n + 1
    else
      row.lost = row.lost + 1
    end
  end
  return rows
end

local function tuning_grid(spec, cells)
  local n = #cells + 0.0
  for _, name in ipairs(spec.tune_order) do n = n * #spec.tune[name] end
  space.check_trials("tune: ", n, spec.tune_seeds)
  local choices = combinations(spec.tune, spec.tune_order)
  local grid = {}
  for _, cell in ipairs(cells) do
    for _, choice in ipairs(choices) do grid[#grid + 1] = merged(cell, choice) end
  end
  return grid, choices
end

local function choice_text(spec, choice)
  local parts = {}
  for i, name in ipairs(spec.tune_order) do parts[i] = name .. " = " .. choice[name] end
  return table.concat(parts, ", ")
end

-- The choice for each cell. Where no trial ended well it is the first combination, which the
-- reported seeds then show to be no better; where none did in any cell, the study is over.
local function best_choices(spec, rows, cells)
  local best, any = {}, false
  for i in ipairs(cells) do
    best[i] = best_of(spec, rows[i] or {})
    any = any or best[i]
    best[i] = best[i] or { number = 1 }
  end
  if not any then
    space.fail("tune: no trial ended well; runner ls %s says why", spec.name)
  end
  return best
end

-- ", 3 of them failed": what did not end well.
local function lost_text(result)
  local counts, text = { diverged = 0, failed = 0 }, ""
  for _, trial in ipairs(result.trials) do
    if counts[trial.state] then counts[trial.state] = counts[trial.state] + 1 end
  end
  for _, state in ipairs { "diverged", "failed" } do
    if counts[state] > 0 then text = ("%s, %d of them %s"):format(text, counts[state], state) end
  end
  return text
end

-- What was chosen for each cell, and what the choosing cost.
local function print_choices(spec, cells, best, choices, result)
  local texts, widest, seconds = {}, 0, 0
  for i, cell in ipairs(cells) do
    texts[i] = cell_text(spec.space, cell)
    widest = math.max(widest, utf8.len(texts[i]) or #texts[i])
  end
  print(("tuned on %s, %d seed%s apart from those reported:"):format(spec.metric,
    spec.tune_seeds, spec.tune_seeds == 1 and "" or "s"))
  for i, text in ipairs(texts) do
    local choice, mean = choices[best[i].number], best[i].mean
    print(("  %s%s  %s  (%s)"):format(text, (" "):rep(widest - (utf8.len(text) or #text)),
      choice_text(spec, choice), mean and ("%s %.4g"):format(spec.metric, mean)
      or "the first: no trial ended well"))
  end
  for _, trial in ipairs(result.trials) do seconds = seconds + trial.seconds end
  print(("tuning cost %d trials, %.1f s of computing%s\n"):format(#result.trials, seconds,
    lost_text(result)))
  for i, cell in ipairs(cells) do
    if best[i].mean then warn_edges(spec, cell, choices[best[i].number]) end
  end
end

-- For the plan: how many trials of tuning there are and have ended, what these took, and how
-- many other code made: such that are kept, and such that a run asks about.
local function tuning_state(spec, result)
  local state = { names = internal.list(spec.tune_order), trials = #result.trials, done = 0,
                  seconds = 0, kept = 0, asked = 0 }
  for _, trial in ipairs(result.trials) do
    if trial.other_code then state[trial.other_code] = state[trial.other_code] + 1 end
    if trial.state == "complete" or trial.state == "diverged" or trial.state == "failed" then
      state.done = state.done + 1
      state.seconds = state.seconds + trial.seconds
    end
  end
  return state
end

-- The cells with the parameters that validation chose for each. While only planned, they come
-- back as they are if not all trials of tuning have ended.
local function tune(spec, cells, skipped)
  local seeds = {}
  for i = 1, spec.tune_seeds do seeds[i] = internal.seed_max + i end
  local grid, choices = tuning_grid(spec, cells)
  local result = study(spec, grid, skipped, seeds)
  local tuned = {}
  spec.tuned, spec.tuned_ids = tuning_state(spec, result), {}
  local missing = spec.tuned.trials - spec.tuned.done
  if missing > 0 and internal.planning then return cells end
  if missing > 0 then
    space.fail("tune: %d of %d trials have no result: nothing is chosen before all have one",
      missing, spec.tuned.trials)
  end
  local best = best_choices(spec, tuning_rows(spec, result, #choices), cells)
  for i, cell in ipairs(cells) do tuned[i] = merged(cell, choices[best[i].number]) end
  if internal.running then print_choices(spec, cells, best, choices, result) end
  for i, trial in ipairs(result.trials) do spec.tuned_ids[i] = trial.id end
  return tuned
end

local function tune_levels(spec, given)
  spec.tune_order = space.sorted_keys(given)
  spec.tune = {}
  if #spec.tune_order == 0 then space.fail("tune: allowed: at least one parameter") end
  for _, name in ipairs(spec.tune_order) do
    if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
      space.fail("tune: got the name %q; allowed: letters, digits and _", tostring(name))
    end
    if spec.space.factors[name] then space.fail("tune: %q is a factor", name) end
    if type(given[name]) ~= "table" then
      space.fail("tune: %q: got a %s, allowed: a list of values", name, type(given[name]))
    end
    spec.tune[name] = space.levels_of(name, given[name])
  end
  spec.space.extra = spec.tune
end

-- -- experiment { } -----------------------------------------------------------------------

local NAME_ALLOWED = "up to 100 letters, digits and _ . -, the first one a letter, a digit or _, "
  .. "not index.sqlite, trials"

local function is_experiment_name(name)
  return #name <= 100 and name:match "^[%w_][%w_.-]*$" and not internal.run_name_taken(name)
end

-- The name that is given, else that of the script.
local function experiment_name(given)
  local name = given or internal.script_name() or "experiment"
  if is_experiment_name(name) then return name end
  if given then space.fail("name: got %q; allowed: %s", name, NAME_ALLOWED) end
  space.fail("the script's name, %q, cannot be that of its experiment: name = \"...\" gives it "
    .. "another; allowed: %s", name, NAME_ALLOWED)
end

local function check_measure_name(option, name)
  if name and not internal.is_name(name) then
    space.fail("option %q: got %q, allowed: %s", option, name, internal.name_allowed)
  end
  if name == "time_s" then
    space.fail("option %q: got \"time_s\", which is left out of what a trial gives: times are no "
      .. "result that comes again; runner ls shows the seconds of each trial", option)
  end
end

local function spec_of(given)
  check_options(given)
  check_measure_name("metric", given.metric)
  check_measure_name("report", given.report)
  local ablate = type(given.ablate) == "table" and given.ablate
  local factors = given.factors or space.from_ablate(ablate)
  local words = take_words(factors)
  local spec = {
    name = experiment_name(given.name),
    trial = given.trial, metric = given.metric, report = given.report or given.metric,
    rope = given.rope,
    contrasts = given.contrasts, record = given.record,
    seeds = given_seeds() or seed_list(given.seeds or 5), seeds_given = given.seeds ~= nil,
    tune_seeds = given.tune_seeds or 2,
    space = space.open({
      factors = given.factors, order = given.order, zip = given.zip, baseline = given.baseline,
      ablate = given.ablate, random = given.random, skip = as_list(given.skip),
      where = as_list(given.where) }, words, internal.base_seed()),
  }
  spec.metric_goal, spec.goal = goals_of(spec.metric, spec.report, given)
  if given.tune then tune_levels(spec, given.tune)
  elseif given.tune_seeds then space.fail("tune_seeds without tune") end
  return spec
end

local function place_of_caller()
  local info = debug.getinfo(3, "Sl")
  if not info or info.currentline < 0 then return nil end
  return ("%s:%d: "):format(info.short_src, info.currentline)
end

local function experiment(given)
  space, code = internal.space, internal.code
  internal.where = place_of_caller()
  if internal.in_trial() then space.fail "a trial cannot hold an experiment of its own" end
  if internal.job then
    run_trial(spec_of(given), internal.job)
    internal.stop()
  end
  if internal.script and internal.had_experiment then
    space.fail("a script has one experiment, and this is its second")
  end
  internal.had_experiment = true
  local spec = spec_of(given)
  local cells, skipped = space.expand(spec.space)
  space.check_trials("", #cells, #spec.seeds)
  contrast_rows(spec.space, spec.contrasts, cells, true)   -- before anything runs
  if spec.contrasts == "cells" then
    if given.random then space.fail 'contrasts: "cells": points that are drawn have no baseline' end
    space.complete(spec.space, {}, cells)
  end
  if spec.tune then cells = tune(spec, cells, skipped) end
  return study(spec, cells, skipped)
end

local function documented_options()
  local list = {}
  for name, option in pairs(options) do
    list[#list + 1] = { name = name, doc = option[1], allowed = option[2], alias = {}, values = {} }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

internal.main = { experiment = experiment, options = documented_options() }

return {}
