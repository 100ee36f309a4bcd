-- A study's trials as they are named, filtered and written: by filters, in percent, by cell.

local check = dofile "tests/check.lua"
local tests = {}

-- Shares with a known spread, and trials of tuning, which are no results.
local study = [[
experiment {
  name = "shares",
  factors = { activation = { "relu", "tanh" }, width = { 8, 16 } },
  seeds = 3, metric = "val_accuracy", report = "test_accuracy",
  tune = { lr = { 0.1, 0.2 } }, tune_seeds = 1,
  trial = function(c, run)
    local base = c.activation == "relu" and 0.9 or 0.6
    if c.activation == "tanh" and c.width == 16 then
      return { val_accuracy = 0.5, test_accuracy = 0.5 }
    end
    return { val_accuracy = base, test_accuracy = base + (run.seed % 4 - 2) / 128 }
  end,
}
]]

local function runner(words)
  table.insert(words, 1, "--runs")
  table.insert(words, 2, "runs")
  return check.runner(words)
end

local ran
local function run_study()
  if ran then return end
  local _, err, status = runner { "--jobs", "2", check.file("shares.lua", study) }
  check.equal(status, 0, err)
  ran = true
end

local function asked(words)
  run_study()
  local command = table.remove(words, 1)
  local out, err, status = check.runner { command, "--runs", "runs", table.unpack(words) }
  return out, err, status
end

function tests.test_filters_name_a_trial()
  local out, err, status = asked { "show", "shares", "activation=relu", "width=8", "seed=1" }
  check.equal({ status, err }, { 0, "" })
  check.yes(out:find("factors.activation  relu", 1, true) ~= nil, out)
  check.yes(out:find("\n  seed +1  ") ~= nil, out)
  local path = out:match "runs/shares/trials/[%w-]+"
  check.equal((asked { "show", path }), out)
  check.equal((asked { "show", "activation=relu", "width=8", "seed=1" }), out)
  local json = asked { "show", "--json", "shares", "activation=relu", "width=8", "seed=1" }
  check.yes(json:find('"activation": "relu"', 1, true) ~= nil, json)
end

function tests.test_filters_that_fit_no_trial_or_several()
  local _, err, status = asked { "show", "shares", "activation=relu" }
  check.equal(status, 2)
  check.yes(err:find("several trials fit them:\n  shares/", 1, true) ~= nil, err)
  _, err, status = asked { "show", "shares", "activation=rellu", "seed=1" }
  check.equal(status, 2)
  check.yes(err:find("did you mean relu?", 1, true) ~= nil, err)
  check.yes(err:find("no trial fits", 1, true) ~= nil, err)
  _, err, status = asked { "show", "shares", "other" }
  check.equal(status, 2)
  check.yes(err:find("or filters that fit one trial", 1, true) ~= nil, err)
  _, err, status = asked { "show" }
  check.equal(status, 2, err)
end

function tests.test_percent()
  local _, n = asked({ "ls", "shares", "test_accuracy>88%", "purpose=report" }):gsub("\n%x", "")
  check.equal(n, 6)
  check.equal((asked { "ls", "shares", "test_accuracy>88%" }),
    (asked { "ls", "shares", "test_accuracy>0.88" }))
  check.equal((asked { "ls", "shares", "test_accuracy=50%" }),
    (asked { "ls", "shares", "test_accuracy=0.5" }))
  local out, err, status = asked { "ls", "shares", "test_accuracy>50" }
  check.equal({ out, status }, { "", 0 })
  check.yes(err:find("test_accuracy goes from 0.5 to 0.9078; did you mean test_accuracy>50%?", 1,
    true) ~= nil, err)
  _, err = asked { "ls", "shares", "test_accuracy>0.99" }
  check.yes(err:find("test_accuracy goes from 0.5 to 0.9078\n", 1, true) ~= nil, err)
  _, err, status = asked { "ls", "shares", "test_accuracy>%" }
  check.equal(status, 2)
  check.yes(err:find('got "%", allowed: a number', 1, true) ~= nil, err)
end

-- What has no spread, or is far from 1, keeps its digits; where no trial has a value the columns
-- have their names.
function tests.test_cells_of_any_size()
  local path = check.file("sizes.lua", [[
    local args = args { fails = false }
    experiment { name = args.fails and "none" or "sizes", seeds = 3, metric = "loss",
      factors = { a = { "point", "tiny", "wee", "big", "zero" } },
      trial = function(c, run)
        if args.fails then error "no" end
        return { loss = ({ point = 0.1, tiny = 1.234e-6, wee = 1e-20 * run.seed,
                           big = 1e20 * run.seed, zero = 0 })[c.a] }
      end }]])
  check.runner { "--runs=sizes", path }
  check.equal((check.runner { "export", "sizes", "--cells", "--format=md", "--runs=sizes" }), [[
| a | n | loss |
|---|---|---|
| point | 3 | 0.1000 ± 0.0000 |
| tiny | 3 | 0.000001234 ± 0.000000000 |
| wee | 3 | 2e-20 ± 1e-20 |
| big | 3 | 2e+20 ± 1e+20 |
| zero | 3 | 0.0000 ± 0.0000 |
]])
  local csv = check.runner { "export", "sizes", "--cells", "--runs=sizes" }
  check.yes(csv:find(",point,3,3,0.1,0.0\n", 1, true) ~= nil, csv)
  check.runner { "--runs=sizes", path, "fails=true" }
  csv = check.runner { "export", "none", "--cells", "--runs=sizes" }
  check.equal(csv:match "[^\n]*", "cell,a,trials,n,mean loss,sd loss")
end

function tests.test_cells_for_a_page()
  check.equal((asked { "export", "shares", "--cells", "--format=md" }), [[
| activation | width | lr | n | test_accuracy |
|---|---|---|---|---|
| relu | 8 | 0.1 | 3 | 0.9000 ± 0.0078 |
| relu | 16 | 0.1 | 3 | 0.9000 ± 0.0078 |
| tanh | 8 | 0.1 | 3 | 0.6000 ± 0.0078 |
| tanh | 16 | 0.1 | 3 | 0.5000 ± 0.0000 |
]])
  local latex = asked { "export", "shares", "--cells", "--format=latex", "activation=relu" }
  check.yes(latex:find("relu & 8 & 0.1 & 3 & 0.9000 ± 0.0078 \\\\\n", 1, true) ~= nil, latex)
  check.yes(latex:find("test\\_accuracy", 1, true) ~= nil, latex)
  local csv = asked { "export", "shares", "--cells", "width=8" }
  local lines = {}
  for line in csv:gmatch "[^\n]+" do lines[#lines + 1] = line end
  check.equal(#lines, 3)
  check.equal(lines[1], "cell,activation,width,lr,trials,n,mean test_accuracy,sd test_accuracy")
  check.yes(lines[2]:find ",relu,8,0.1,3,3,0.9%d*,0.0078125" ~= nil, csv)
  check.yes(asked { "export", "shares", "--cells", "--format=md", "--metric", "val_accuracy" }
    :find("| n | val_accuracy |\n", 1, true) ~= nil)
  local json = asked { "export", "shares", "--cells", "--json" }
  check.yes(json:find('"sd": 0.0078125', 1, true) ~= nil, json)
  check.yes(asked { "export", "shares", "--cells", "purpose=tuning" }:find("relu", 1, true) ~= nil)
  local _, err, status = asked { "export", "shares", "--cells", "--metrics" }
  check.equal(status, 2, err)
  _, err, status = asked { "export", "shares", "--metric", "loss" }
  check.equal(status, 2, err)
  _, err, status = asked { "export", "shares", "--cells", "--metric", "test_acuracy" }
  check.equal(status, 2)
  check.yes(err:find('"test_accuracy"', 1, true) ~= nil, err)
end

check.run(tests)
