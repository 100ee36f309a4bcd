-- Tuning beside what can come between: trials that fail or are missing, changed code, questions
-- while it runs.

local check = dofile "tests/check.lua"
local tests = {}

local tuned = [[
  experiment { name = "tuned", factors = { a = { 1, 2 } }, seeds = 2, metric = "val_loss",
    report = "loss", tune = { lr = { 0.3, 0.1, 0.2 } }, tune_seeds = 1,
    trial = function(c, run)
      return { val_loss = math.abs(c.lr - 0.2), loss = c.a + c.lr + run.seed / 1e15 }
    end }
]]

-- Is the plain text there, however its lines are broken?
local function says(text, part)
  check.yes(text:gsub("%s+", " "):find(part, 1, true) ~= nil)
end

local function edited(from, to)
  local at, stop = tuned:find(from, 1, true)
  return check.file("tuned.lua", tuned:sub(1, at - 1) .. to .. tuned:sub(stop + 1))
end

-- The first trial of tuning fails, and --fail-fast ends the study: nothing is chosen.
function tests.test_nothing_is_chosen_before_all_trials_have_a_result()
  local path = edited("return {", "if c.lr == 0.3 then error 'no luck' end return {")
  local out, err, status = check.runner { "--runs", "fast", "--jobs", "1", "--fail-fast", path }
  check.equal(status, 1)
  check.yes(err:find("tune: 5 of 6 trials have no result", 1, true) ~= nil)
  check.equal(out, "")
end

function tests.test_code_that_chose_parameters_is_told()
  local runs = "code"
  check.runner { "--runs", runs, edited("", "") }
  local path = edited("c.lr - 0.2", "c.lr - 0.3")
  local _, _, status = check.runner { "--runs", runs, path, "seeds=7,8,9" }
  check.equal(status, 2)
  local out = check.runner { "--runs", runs, "plan", path, "seeds=7,8,9" }
  says(out, "6 of the trials that chose parameters were made by other code; a run asks")
  for _, words in ipairs { { "--code=keep", path, "seeds=7,8,9" }, { "compare", "tuned" },
    { "plan", path, "seeds=7,8,9" } } do
    out = check.runner { "--runs", runs, table.unpack(words) }
    says(out, "6 of the trials that chose parameters were made by other code (--code=keep)")
  end
end

-- Trials of tuning are gone and the code has changed: those that are run again leave a plan that
-- knows its cells, also when the question about the others ends the run.
function tests.test_compare_knows_the_cells_after_a_question()
  check.runner { "--runs", "asked", edited("", "") }
  check.runner { "--runs", "asked", "rm", "tuned", "purpose=tuning", "--yes" }
  local path = edited("c.a + c.lr", "c.a - c.lr")
  local _, _, status = check.runner { "--runs", "asked", path }
  check.equal(status, 2)
  local out = check.runner { "--runs", "asked", "compare", "tuned" }
  check.yes(out:find("4 of 4 trials complete", 1, true) ~= nil)
end

function tests.test_compare_while_parameters_are_chosen()
  check.runner { "--runs", "chosen", "--jobs", "1", "--fail-fast", edited("return {",
    "if c.lr == 0.3 then error 'no' end return {") }
  local out, _, status = check.runner { "--runs", "chosen", "compare", "tuned" }
  check.equal(status, 0)
  check.yes(out:find "^Tuning: parameters are still chosen, by 6" ~= nil)
  out = check.runner { "--runs", "chosen", "compare", "tuned", "--json" }
  says(out, "Tuning: parameters are still chosen, by 6 trials")
end

function tests.test_an_end_while_parameters_are_chosen()
  local path = edited("return {", "while true do end return {")
  local _, err, status = check.runner({ "--runs", "ended", path },
    "timeout --preserve-status -s TERM 1")
  check.equal(status, 3)
  says(err, "6 of 6 trials of tuning, and all that are reported")
  local out = check.runner { "--runs", "ended", "plan", path }
  says(out, "estimated time: unknown")   -- an interrupted trial gives no time
end

function tests.test_verify_tells_nothing_else_as_json()
  local path = edited("", "")
  check.runner { "--runs", "verify", path }
  local out, _, status = check.runner { "--runs", "verify", "verify", "--json", path }
  check.equal(status, 0)
  check.yes(out:find "^{" ~= nil)
  check.runner { "--runs", "verify", "rm", "tuned", "purpose=tuning", "lr=0.2", "--yes" }
  local _, err, missing = check.runner { "--runs", "verify", "verify", path }
  check.equal(missing, 1)
  check.yes(err:find("tune: 2 of 6 trials have no result", 1, true) ~= nil)
end

function tests.test_trials_of_tuning_that_fail_are_told_with_their_cost()
  local path = edited("return {", "if c.lr == 0.3 then error 'no luck' end return {")
  local out, _, status = check.runner { "--runs", "cost", path }
  check.equal(status, 1)
  check.yes(out:find("tuning cost 6 trials, %d+%.%d s of computing, 2 of them failed") ~= nil)
end

check.run(tests)
