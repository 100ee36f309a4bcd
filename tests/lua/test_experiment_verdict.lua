-- What a study's records tell of its verdict: the rows that a share is of, looks at results
-- after which seeds were added.

local check = dofile "tests/check.lua"
local tests = {}

local function runner(...) return (check.runner { ... }) end

local function has(text, ...)
  for _, part in ipairs { ... } do
    check.yes(text:gsub("%s+", " "):find(part, 1, true) ~= nil, part .. "\nis not in\n" .. text)
  end
end

local function lacks(text, part)
  check.yes(text:gsub("%s+", " "):find(part, 1, true) == nil, part .. "\nis in\n" .. text)
end

-- -- rows ---------------------------------------------------------------------------------

-- A fit on 40 rows, of which 8 validate, and 12 to test on; the measures of `extra` are
-- those of the trial's own.
local function fitting(name, extra)
  return check.file(name .. ".lua", ([[
    local train_set = data.moons { n = 40, noise = 0.2 }
    local test_set = data.moons { n = 12, noise = 0.2, seed = 5 }
    experiment { name = "%s", factors = { width = { 2, 4 } }, seeds = 4,
      metric = "val_accuracy", report = "test_accuracy",
      trial = function(c, run)
        local net = nn.Sequential { nn.Dense(c.width, { activation = "tanh" }), nn.Dense(2) }
        local history = train.fit(net, train_set, {
          loss = "sparse_categorical_crossentropy", optimizer = "adam", epochs = 1,
          batch_size = 8, validation = 0.2, test = test_set, metrics = { "accuracy", "f1" },
          run = run })
        %s
        return history
      end }]]):format(name, extra or ""))
end

local function resolution(...)
  return runner("compare", ...):match '"resolution": ([%w.]+)'
end

function tests.test_a_share_comes_in_steps_of_its_rows()
  runner("--runs=rows", fitting "rows")
  local id = runner("ls", "rows", "--limit=1", "--runs=rows", "--json"):match '"id": "([^"]+)"'
  local meta = check.read(("%s/rows/rows/trials/%s/meta.json"):format(check.temp, id))
  has(meta, '"rows": { "accuracy": 32, "val_accuracy": 8, "test_accuracy": 12 }')
  local function near(text, want) check.near(tonumber(text), want, 1e-12) end
  near(resolution("rows", "--runs=rows", "--json"), 1 / 12)
  near(resolution("rows", "--runs=rows", "--json", "--metric=val_accuracy"), 1 / 8)
  check.equal(resolution("rows", "--runs=rows", "--json", "--metric=val_f1"), "null")
  check.equal(resolution("rows", "--runs=rows", "--json", "--metric=loss"), "null")
end

-- A measure of that name that is no share of those rows has no steps.
function tests.test_what_is_no_share_of_the_rows_has_no_steps()
  runner("--runs=own", fitting("own", "history.test_accuracy = history.test_accuracy * 0.97 + .01"))
  check.equal(resolution("own", "--runs=own", "--json"), "null")
  runner("--runs=own", fitting("percent", "history.test_accuracy = history.test_accuracy * 96"))
  check.equal(resolution("percent", "--runs=own", "--json"), "null")
end

-- -- looks --------------------------------------------------------------------------------

local function growing(name, more)
  return check.file(name .. ".lua", ([[
    local args = args { shift = 1 }
    experiment { name = "%s", factors = { a = { 1, 2 } }, metric = "score", goal = "max",
      trial = function(c, run)
        return { score = args.shift * c.a + math.sin(10 * run.seed * c.a) }
      end%s }]]):format(name, more or ""))
end

local function looks(name)
  local json = runner("compare", name, "--runs=" .. name, "--json")
  return tonumber(json:match '"looks": (%d+)'), tonumber(json:match '"level": ([%d.]+)')
end

function tests.test_seeds_that_are_added_after_a_look_share_the_level()
  local path = growing "grow"
  lacks(runner("--runs=grow", path), "Looks")
  lacks(runner("--runs=grow", path), "Looks")                   -- nothing is new
  has(runner("--runs=grow", "plan", path, "seeds=8"), "corrected for 2 looks")
  check.equal(looks "grow", 1)                                   -- a plan is no run
  has(runner("--runs=grow", path, "seeds=8"), "Looks: 2. ", "p is compared with .05 / 2 = .025.")
  local n, level = looks "grow"
  check.equal({ n, level }, { 2, 0.025 })
  has(runner("--runs=grow", path, "seeds=8"), "Looks: 2. ")      -- the same look again
  runner("--runs=grow", path, "seeds=5")
  runner("--runs=grow", path, "seeds=8")
  check.equal(looks "grow", 2)
  runner("--runs=grow", path, "seeds=12")
  check.equal(looks "grow", 3)
  runner("--runs=grow", path, "shift=2")                         -- another question
  check.equal(looks "grow", 1)
  runner("--runs=grow", path, "seeds=12")
  check.equal(looks "grow", 3)
end

-- What is said of more seeds is at the level that they will be judged by.
function tests.test_more_seeds_are_told_with_their_look()
  local path = growing "more"
  local function level_of(seeds)
    local json = runner("compare", "more", "--runs=more", "--json")
    return tonumber(json:match(('"seeds": %d,%%s+"level": ([%%d.]+)'):format(seeds)))
  end
  runner("--runs=more", path, "seeds=3")
  check.equal({ level_of(4), level_of(8) }, { 0.05, 0.05 })
  runner("--runs=more", path, "seeds=5")
  check.equal({ level_of(5), level_of(8) }, { 0.05, 0.025 })
  has(runner("--runs=more", "plan", path), "More than 5 seeds are given with the look that they")
  runner("--runs=more", path, "seeds=8")
  check.equal(level_of(8), 0.025)
  runner("--runs=more", path, "seeds=5")
  check.equal({ level_of(5), level_of(8) }, { 0.025, 0.025 })    -- that look is known
end

-- Other seeds in place of those that were looked at are a second try.
function tests.test_other_seeds_are_another_look()
  local path = growing "other"
  runner("--runs=other", path, "seeds=1,2,3,4")
  runner("--runs=other", path, "seeds=5,6,7,8")
  check.equal(looks "other", 2)
  runner("--runs=other", path, "seeds=8")
  check.equal(looks "other", 3)
end

function tests.test_what_showed_no_verdict_was_no_look()
  local path = growing "few"
  runner("--runs=few", path, "seeds=3")
  runner("--runs=few", path, "seeds=6")
  check.equal(looks "few", 1)
end

function tests.test_results_of_other_code_were_no_look_at_these()
  local path = growing "code"
  runner("--runs=code", path)
  local text = check.read(check.temp .. "/code.lua")
  check.file("code.lua", (text:gsub("math.sin", "math.cos")))
  has(runner("--runs=code", "--code=rerun", path, "seeds=8"), "contrast")
  check.equal(looks "code", 1)
  check.file("code.lua", text)
  runner("--runs=code", "--code=keep", path, "seeds=10")
  check.equal(looks "code", 2)
end

-- The plan on disk while parameters are chosen keeps them.
function tests.test_looks_survive_tuning()
  local path = growing("tuned", ", tune = { w = { 1, 2 } }, seeds = 4")
  runner("--runs=tuned", path)
  runner("--runs=tuned", path, "seeds=6")
  check.equal(looks "tuned", 2)
  runner("--runs=tuned", path, "seeds=6")
  check.equal(looks "tuned", 2)
end

-- -- the page -----------------------------------------------------------------------------

-- The default of five seeds decides what is clear, in the first lines.
function tests.test_five_seeds_decide()
  local out = check.runner { "-e", [[experiment { name = "clear", metric = "score", goal = "max",
    factors = { a = { "x", "y" } },
    trial = function(c, run)
      return { score = (c.a == "y" and 33 or 0) + math.sin(run.seed * c.a:byte()) }
    end }]] }
  check.equal(out:sub(1, 35), "Decided: 1 of 1 contrast of score (")
  has(out:match "^[^\n]*\n([^\n]*)\n", " a: y beats x by ", "p < .001)")
end

check.run(tests)
