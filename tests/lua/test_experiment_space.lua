-- The space of an experiment, from outside: factors, levels from the command line, what a
-- script may get wrong, plans, tuning.

local check = dofile "tests/check.lua"
local tests = {}

-- Cells of a plan as printed, without the counts.
local function plan(options, words)
  local path = check.file("space.lua", "experiment { name = 'space', metric = 'loss', "
    .. "trial = function() end, " .. options .. " }")
  local out, err, status = check.runner { "plan", path, table.unpack(words or {}) }
  local rows = {}
  for row in out:gmatch "\n *%d+ +([^\n]-) +0 +0 +%d+%f[\n]" do
    rows[#rows + 1] = row:gsub(" +", " ")
  end
  return rows, out, err, status
end

function tests.test_grid_order_and_zip()
  check.equal(plan "factors = { b = { 1, 2 }, a = { 'x', 'y' } }", { "x 1", "x 2", "y 1", "y 2" })
  check.equal(plan "factors = { b = { 1, 2 }, a = { 'x', 'y' } }, order = { 'b', 'a' }",
    { "1 x", "1 y", "2 x", "2 y" })
  check.equal(plan "factors = { b = { 1, 2 }, a = { 'x', 'y' } }, zip = { 'a', 'b' }",
    { "x 1", "y 2" })
end

function tests.test_dependent_factors_and_rules()
  local rows, out = plan [[factors = { opt = { "adam", "sgd" }, momentum = function(c)
    if c.opt == "sgd" then return { 0, 0.9 } end end, width = { 1, 2 } },
    skip = function(c) return c.momentum == 0.9 and c.width == 2 and "too wide" end]]
  check.equal(rows, { "- adam 1", "- adam 2", "0 sgd 1", "0.9 sgd 1", "0 sgd 2" })
  check.yes(out:find("\n  momentum=0.9, sgd, width=2: too wide\n", 1, true) ~= nil, out)
  check.equal(plan "factors = { a = { 1, 2, 3 } }, where = function(c) return c.a > 1 end",
    { "2", "3" })
end

function tests.test_one_factor_at_a_time()
  check.equal(plan [[ablate = { base = { act = "relu", norm = "batch" },
    change = { act = { "tanh" }, norm = { "none" } } }]],
    { "relu batch", "tanh batch", "relu none" })
  check.equal(plan "factors = { a = { 1, 2 }, b = { 1, 2 } }, baseline = { a = 2 }, ablate = true",
    { "2 1", "1 1", "2 2" })
end

function tests.test_random_points_are_the_same_for_all_levels()
  local options = [[factors = { act = { "relu", "tanh" }, lr = { log_uniform = { 1e-4, 1 } },
    width = { integer = { 10, 20 } }, p = { uniform = { 0, 1 } }, c = { choice = { "x", "y" } } },
    order = { "act", "c", "lr", "width", "p" }, random = 3]]
  local rows = plan(options)
  check.equal(#rows, 6)
  for i = 1, 3 do
    check.equal(rows[i]:gsub("relu", "tanh"), rows[i + 3])
    local lr, width, p = rows[i]:match "relu [xy] (%S+) (%S+) (%S+)"
    check.yes(tonumber(p) > 0 and tonumber(p) < 1)   -- no integer, though the ends are
    check.yes(tonumber(lr) >= 1e-4 and tonumber(lr) <= 1)
    check.yes(math.tointeger(tonumber(width)) >= 10 and tonumber(width) <= 20)
  end
  local again, out = plan(options)
  check.equal(again, rows)
  check.yes(out:find "with%s+probability%s+%.8%.%s" ~= nil, out)   -- one contrast: tanh - relu
end

function tests.test_a_point_is_drawn_once()
  local rows = plan [[factors = { c = { choice = { "x", "y", "z" } }, n = { integer = { 1, 2 } } },
    random = 5]]
  check.equal(#rows, 5)
  table.sort(rows)
  for i = 2, 5 do check.yes(rows[i] ~= rows[i - 1]) end
  local all, _, err = plan "factors = { c = { choice = { 'x', 'y', 'z' } } }, random = 5"
  check.equal(#all, 3)
  check.yes(err:find("5 points are asked for, 3 different ones were found", 1, true) ~= nil)
  all, _, err = plan "factors = { c = { choice = { 'x', 'y' } } }, random = 100000"
  check.equal(#all, 2)
  check.yes(tonumber(err:match "found in (%d+) draws") < 1000)
end

function tests.test_levels_from_the_command_line()
  local options = "factors = { act = { 'relu', 'tanh' }, lr = { 0.1, 0.2 }, n = { 1, 2 } }"
  check.equal(plan(options, { "act=tanh", "lr=0.2,0.5", "n=7" }), { "tanh 0.2 7", "tanh 0.5 7" })
  for word, part in pairs { ["act=tnah"] = 'did you mean "tanh"', ["lr=x"] = "a finite number",
    ["n=1.5"] = "an integer", ["atc=tanh"] = 'did you mean "act"', ["seeds=0"] = "1 to",
    ["seeds=-1,2"] = "0 to", ["seeds=3,3"] = "twice", ["act=relu,relu"] = "twice",
    ["seed=3"] = "seeds=3", ["act="] = "levels" } do
    local _, _, err, status = plan(options, { word })
    check.equal({ word, status }, { word, 2 })
    if not err:find(part, 1, true) then error(word .. ": " .. err) end
  end
end

function tests.test_the_goal_follows_from_the_name_of_a_metric_or_a_loss()
  for name, goal in pairs { val_loss = "min", val_accuracy = "max", test_f1 = "max", acc = "max",
    val_binary_crossentropy = "min", ["fit2.val_auc"] = "max", r2_score = "max", rmse = "min",
    ["fit12.test_MSELoss"] = "min" } do
    local _, out = plan(("factors = { a = { 1 } }, report = %q"):format(name), { "--json" })
    check.equal({ name, out:match '"goal": "(%l+)"' }, { name, goal })
  end
end

function tests.test_no_goal_follows_from_parts_of_a_name()
  for _, name in ipairs { "score", "layer2_loss", "val_accuracy_2", "accuracy_loss", "error",
    "fit.accuracy", "val_val_loss", "Accuracy" } do
    local _, _, err, status = plan(("factors = { a = { 1 } }, report = %q"):format(name))
    check.equal({ name, status }, { name, 1 })
    check.yes(err:find('option "report_goal" is missing: whether more or less ' .. name ..
      " is better does not follow from its name", 1, true) ~= nil, err)
  end
  local _, _, err = plan 'factors = { a = { 1 } }, report = "val_acuracy"'
  check.yes(err:find('did you mean "accuracy"', 1, true) ~= nil)
end

function tests.test_the_range_of_what_is_reported_stands_in_the_plan()
  local _, out = plan('factors = { a = { 1 } }, report = "test_f1"', { "--json" })
  check.yes(out:find '"range": %[0%.0, 1%.0%]' ~= nil, out)
  _, out = plan('factors = { a = { 1 } }, report = "test_r2"', { "--json" })
  check.yes(not out:find('"range"', 1, true), out)
end

function tests.test_accuracies_in_percent_are_shown_as_they_are()
  local out = check.runner { "-e", [[experiment { factors = { a = { "x", "y" } }, seeds = 3,
    metric = "accuracy", trial = function(c, run) return 87 + run.seed / 10 end }]] }
  check.yes(out:find("accuracy, higher is better", 1, true) ~= nil)
  check.yes(out:find(" 87.20 ", 1, true) ~= nil)
end

function tests.test_each_cell_is_compared_on_request()
  local _, out = plan [[factors = { a = { "x", "y" }, b = { 1, 2 } }, seeds = 8,
    contrasts = "cells"]]
  check.yes(out:find "corrected for%s+5 contrasts" ~= nil, out)
  local pair = "factors = { a = { 'x', 'y' } }, contrasts = { { { a = 'y' }, { a = 'x' } } }"
  check.equal(plan(pair), { "x", "y" })
  local rows, _, warning = plan(pair, { "a=x" })
  check.equal(rows, { "x" })
  check.yes(warning:find("1 of 1 contrasts are left out", 1, true)
    and warning:find("levels to run: a=y", 1, true) ~= nil)
  local _, _, err = plan [[factors = { a = { "x", "y" }, b = { 1, 2 } }, contrasts = "cells",
    where = function(c) return c.a == "y" or c.b == 2 end]]
  check.yes(err:find("the baseline is none of the cells", 1, true) ~= nil)
end

function tests.test_levels_of_a_dependent_factor_are_told()
  local options = [[factors = { opt = { "adam", "sgd" }, momentum = function(c)
    if c.opt == "sgd" then return { 0, 0.9 } end end }]]
  check.equal(plan(options, { "momentum=0.9" }), { "- adam", "0.9 sgd" })
  local _, _, err, status = plan(options, { "momentum=0.8" })
  check.equal(status, 2)
  check.yes(err:find("its levels: 0, 0.9", 1, true) ~= nil)
end

function tests.test_wrong_options_are_named()
  for options, part in pairs {
    ["factros = {}"] = 'did you mean "factors"',
    ["factors = { a = { 1 } }, seeds = 'x'"] = 'option "seeds": got "x"',
    ["factors = { a = { 1, 1 } }"] = "twice",
    ["factors = { a = { function() end } }"] = "needs a name",
    ["factors = { a = { 1 } }, baseline = { b = 1 }"] = '"b" is no factor',
    ["factors = { act = { 'relu' } }, baseline = { act = 'rleu' }"] = 'did you mean "relu"',
    ["factors = { a = { 1 }, b = { 1, 2 } }, zip = { 'a', 'b' }"] = "the same number",
    ["factors = { a = { 1 }, b = { 1 } }, zip = { 'a', 'b' }, ablate = true"] = "zip with ablate",
    ["factors = { a = function(c) return c.b end, b = function(c) return c.a end }"] = "circle",
    ["factors = { a = { 1 } }, skip = function(c) return c.x end"] = 'no factor "x"',
    ["factors = { lr = { uniform = { 0, 1 } } }"] = "random = 20",
    ["factors = { n = { integer = { 0, 1.5 } } }, random = 2"] = "two integers",
    ["factors = { x = { uniform = { -1e308, 1e308 } } }, random = 2"] = "two numbers",
    ["factors = { a = { 'caf\\xe9' } }"] = "UTF-8",
    ["factors = { a = { 1, math.huge } }"] = "level inf: allowed: finite numbers",
    ["factors = { a = { 1, -1e400 } }"] = "level -inf: allowed: finite numbers",
    ["factors = { a = { 1, 0/0 } }"] = "nan: allowed: finite numbers",
    ["factors = { a = function(c) return { 1, 1e400 } end }"] = "finite numbers",
    ["factors = { a = { 1 } }, report = 'a\\nb'"] = 'option "report"',
    ["factors = { a = { 1 } }, tune = {}"] = "at least one parameter",
    ["factors = { a = { 1 } }, metric = 'what'"] = '"goal" is missing',
    ["factors = { a = { 1 } }, where = function() return false end"] = "no cell is left",
    ["factors = { a = { 1 } }, name = '../x'"] = "name: got",
    ["factors = { a = { 1 } }, name = 'index.sqlite'"] = "not index.sqlite",
    ["factors = { a = { 1 } }, skip = { 3 }"] = "a list of such",
    ["factors = { a = { 1 } }, random = 2.5"] = "got 2.5",
    ["factors = { a = { 1 } }, metric = 'time_s'"] = "are no result",
    ["factors = { a = { 1 } }, report_goal = 'max'"] = "report_goal without report",
    ["factors = { a = { 1 } }, skip = { why = print }"] = '"skip": a list has no field "why"',
    ["factors = { a = { 1 } }, seeds = { 1, extra = 2 }"] = 'no field "extra"',
    ["factors = { a = { 1, 2 } }, contrasts = { { { a = 1 }, { a = 2 }, x = 1 } }"] = '"x"',
    ["factors = { a = { 1, 2 } }, baseline = { a = 3 }"] = '"a"; its levels: 1, 2',
    ["factors = { a = { 1, 2 } }, contrasts = { { { a = 3 }, { a = 1 } } }"] = "no level",
    ["factors = { a = { 1, nil, 3 } }"] = '"a": level 2 is nil',
    ["factors = { a = { nil, 3 } }"] = '"a": level 1 is nil',
    ["factors = { a = { choice = { 1, nil, 3 } } }, random = 1"] = '"a": level 2 is nil',
    ["factors = { a = { 1 } }, tune = { lr = { 1, 2, nil, 3 } }"] = '"lr": level 3 is nil',
    ["factors = { a = { 1 } }, seeds = { 1, nil, 3 }"] = '"seeds": item 2 is nil',
    ["factors = { a = { 1, 2 } }, contrasts = { nil, { { a = 1 }, { a = 2 } } }"] =
      '"contrasts": item 1 is nil',
    ["factors = { a = { 1 }, b = { 1 } }, order = { 'a', nil, 'b' }"] = '"order": item 2 is nil',
    ["factors = { a = { 1 } }, skip = { nil, print }"] = '"skip": item 1 is nil',
    ["factors = { a = { 1 } }, name = '.x'"] = "the first one a letter, a digit or _",
    ["factors = { a = { 1 } }, name = 'trials'"] = "not index.sqlite, trials",
    ["factors = { a = { 1 } }, name = 'index.sqlite-wal'"] = "not index.sqlite, trials",
    ["factors = { a = { uniform = { 2, 1 } } }, random = 2"] = "got { 2, 1 }; allowed: two numbers",
    ["factors = { a = { uniform = { 1, 2, 3, 4 } } }, random = 2"] = "got { 1, 2, 3, ... }",
    ["factors = { a = { integer = { 1, '4' } } }, random = 2"] = 'got { 1, "4" }',
    ["factors = { a = { 1 } }, metric = 'a b'"] = 'option "metric": got "a b", allowed: UTF-8',
    ["factors = { a = { 1 } }, report = 'a=b'"] = 'option "report": got "a=b"',
    ["factors = { a = { 1 } }, report = 'caf\\xe9'"] = 'option "report"',
  } do
    local _, _, err, status = plan(options)
    check.equal({ options, status }, { options, 1 })
    if not err:find(part, 1, true) then error(options .. ": " .. err) end
  end
end

-- Trials are counted before anything is made of them, whatever option makes them many.
function tests.test_counts_have_bounds()
  local ten = "{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }"
  local function grid(n, option)
    local factors = {}
    for i = 1, n do factors[i] = ("f%d = %s"):format(i, ten) end
    return option .. " = { " .. table.concat(factors, ", ") .. " }"
  end
  local all = "factors = { a = { 1, 2 } }"
  for options, part in pairs {
    [all .. ", tune = { lr = { 1, 2 } }, tune_seeds = 1000000000"] =
      '"tune_seeds": got 1000000000, allowed: an integer from 1 to 100000',
    [all .. ", seeds = 1000000000"] = "seeds: got 1000000000, allowed: 1 to 100000 of them",
    ["factors = { a = { uniform = { 0, 1 } } }, random = 1000000000"] =
      '"random": got 1000000000, allowed: an integer from 1 to 100000',
    ["factors = { a = { uniform = { 0, 1 } } }, random = 300, seeds = 100000"] =
      "300 cells x 100000 seeds are 30000000 trials; allowed: up to 1000000",
    [grid(4, "factors") .. ", seeds = 1000"] =
      "10000 cells x 1000 seeds are 10000000 trials; allowed: up to 1000000",
    [grid(7, "factors")] = "have 10000000 combinations of levels; allowed: up to 100000 cells",
    [grid(30, "factors")] = "have 1e+30 combinations",
    [grid(6, "factors") .. ", where = function(c) return c.f1 == 1 end"] =
      "have 1000000 combinations",
    [grid(6, "factors"):gsub("}$", ", d = function(c) return { 1, 2 } end }") .. ""] =
      "have at least 1000000 combinations",
    [all .. ", " .. grid(9, "tune")] = "tune: 2000000000 cells x 2 seeds are 4000000000 trials",
    [all .. ", " .. grid(40, "tune")] = "tune: 2e+40 cells x 2 seeds are 4e+40 trials",
  } do
    local _, out, err, status = plan(options .. ", goal = 'max'")
    check.equal({ options, status, out }, { options, 1, "" })
    if not err:find(part, 1, true) then error(options .. ": " .. err) end
  end
  local _, _, err, status = plan(all, { "seeds=1000000000" })
  check.equal(status, 2)
  check.yes(err:find("argument seeds: got 1000000000, allowed: 1 to 100000", 1, true) ~= nil, err)
end

-- A name that came from the script's file is reported as such.
function tests.test_a_script_whose_name_is_none_of_an_experiment()
  for _, name in ipairs { "my exp", "trials", "index.sqlite", ".hidden" } do
    local path = check.file(name .. ".lua",
      "experiment { factors = { a = { 1 } }, metric = 'loss', trial = function() end }")
    local _, err, status = check.runner { "plan", path }
    check.equal(status, 1)
    check.yes(err:find(("the script's name, %q, cannot"):format(name), 1, true) ~= nil, err)
    check.yes(err:find('name = "..." gives it another', 1, true) ~= nil)
  end
end

-- A number that is not finite is no level, unless it has a name.
function tests.test_levels_are_finite()
  for _, word in ipairs { "1e400", "-1e400", "inf", "nan" } do
    local _, _, err, status = plan("factors = { n = { 1, 2.5 } }", { "n=" .. word })
    check.equal(status, 2)
    check.yes(err:find("argument n=" .. word, 1, true) ~= nil, err)
    check.yes(err:find("allowed: a finite number, or one of 1, 2.5", 1, true) ~= nil, err)
  end
  check.equal(plan "factors = { clip = { 1, { name = 'none', value = math.huge } } }",
    { "1", "none" })
end

function tests.test_plan_reads_and_trains_nothing()
  local path = check.file("heavy.lua", [[
    local set = data.idx { images = "nowhere/x.gz", labels = "nowhere/y.gz" }
    experiment { name = "heavy", factors = { a = { 1, 2 } }, metric = "loss",
      trial = function() error(#set) end }
  ]])
  local out, _, status = check.runner { "plan", path }
  check.equal(status, 0)
  check.yes(out:find("5 seeds find a difference of 1.68 sd or more", 1, true) ~= nil, out)
  check.yes(out:find "\n  seeds     4     5     6     8    10\n  in sd  2.13  1.68" ~= nil, out)
  check.yes(io.open(check.temp .. "/runs/heavy") == nil)
  local json = check.runner { "plan", path, "--json" }
  check.yes(json:find '"left": 10' and json:find '"seeds_needed": 4' ~= nil)
  check.yes(json:find '"sds": 1%.68' ~= nil, json)
  local narrow = check.runner({ "plan", path }, "COLUMNS=40")
  check.yes(narrow:find("^heavy: 2 cells x 5 seeds = 10 trials: 0\n  done, 0 failed, 10 to run\n\n")
    ~= nil, narrow)
  check.yes(narrow:find("estimated time: unknown before a trial\n  has ended; ", 1, true) ~= nil)
  local _, err, none = check.runner { "plan", check.file("none.lua", "print(1)") }
  check.equal(none, 2)
  check.yes(err:find("no experiment", 1, true) ~= nil)
end

function tests.test_tuning_has_seeds_of_its_own()
  local path = check.file("tune.lua", [[
    experiment { name = "tune", factors = { act = { "relu", "tanh" } },
      tune = { lr = { 0.3, 0.1, 0.2 }, how = { "this" , "that" } }, tune_seeds = 1,
      seeds = 2, metric = "val_loss", report = "loss", trial = function(c, run)
        local best = c.act == "relu" and 0.2 or 0.3
        return { val_loss = math.abs(c.lr - best), loss = c.lr + run.seed } end }
  ]])
  local out, err, status = check.runner { "--runs", "tune", path }
  check.equal(status, 0)
  check.yes(out:find "relu +how = this, lr = 0.2" and out:find "tanh +how = this, lr = 0.3" ~= nil)
  check.yes(out:find("tuning cost 12 trials", 1, true) ~= nil)
  check.yes(err:find("lr = 0.3 is at the edge of its list for tanh", 1, true) ~= nil)
  check.yes(err:find("0.2 is at the edge", 1, true) == nil)
  check.yes(err:find("this is at the edge", 1, true) == nil)   -- words have none
  check.yes(out:find "relu .* how=this, lr=0.2, baseline" ~= nil)   -- in the table of cells
  local planned = check.runner { "--runs", "tune", "plan", path }
  check.yes(planned:find("4 done, 0 failed, 0 to run", 1, true) ~= nil)
  check.yes(planned:find "relu  this  0.2" and planned:find "12 done" ~= nil)
  planned = check.runner { "--runs", "none", "plan", path }
  check.yes(planned:find("tuning: 12 trials", 1, true) ~= nil)
  check.yes(planned:find("time: unknown", 1, true) ~= nil)
  local list = io.popen("ls " .. check.temp .. "/tune/tune/trials | wc -l"):read "n"
  check.equal(list, 16)
  local function cells(...)
    local text = check.runner { "--runs", "tune", "ls", "tune", "--cells", "--json", ... }
    local _, n = text:gsub('"cell":', "")
    return text, n
  end
  local _, n = cells()
  check.equal(n, 14)           -- two that are reported, two times six that were tried
  local reported
  reported, n = cells "purpose=report"
  check.equal(n, 2)
  check.near(tonumber(reported:match '"mean": ([%d.]+)'), 0.2 + 1.5, 1e-12)
end

local tuned_functions = [[
  experiment { name = "functions", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
    tune = { how = { { name = "x", value = function() return 1 end },
                     { name = "y", value = function() return 2 end } } }, tune_seeds = 1,
    trial = function(c) return { loss = c.a * c.how() } end }
]]

function tests.test_functions_that_are_tuned_are_code_of_the_trial()
  local path = check.file("functions.lua", tuned_functions)
  check.runner { "--runs", "functions", path }
  check.file("functions.lua", (tuned_functions:gsub("return 1 end", "return 7 end")))
  local _, err, status = check.runner { "--runs", "functions", path }
  check.equal(status, 2)
  check.yes(err:find("how=x", 1, true) ~= nil)
end

function tests.test_tuning_goes_on_beside_a_cell_that_diverges()
  local text = [[
    experiment { name = "lost", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      tune = { lr = { 0.2, 0.1 } }, tune_seeds = 1,
      trial = function(c) return { loss = c.a == 2 and 0/0 or c.lr } end }
  ]]
  local out, told, status = check.runner { "--runs", "lost", check.file("lost.lua", text) }
  check.equal(status, 0)
  check.yes(told:find("diverged: a=2, lr=0.1, seed 1000000000001", 1, true) ~= nil)
  check.yes(out:find "a=1 +lr = 0.1  %(loss 0.1%)" ~= nil)
  check.yes(out:find("lr = 0.2  (the first: no trial ended well)", 1, true) ~= nil)
  check.yes(out:find "2 of 4%s+trials%s+complete,%s+2%s+diverged" ~= nil)
  local none = check.file("none.lua", (text:gsub("c.a == 2", "c.a > 0")))
  local _, err
  _, err, status = check.runner { "--runs", "none", none }
  check.equal(status, 1)
  check.yes(err:find("no trial ended well", 1, true) ~= nil)
end

check.run(tests)
