-- experiment{ } from outside: runs in workers and in place, failures, changed code. Studies are
-- small: what is tested is that they come to the same.

local check = dofile "tests/check.lua"
local tests = {}

local spirals = [[
  local args = args { epochs = 2 }
  local set = data.spirals { n = 60, classes = 3 }
  experiment {
    name = "small",
    factors = {
      activation = { "tanh", { name = "swish", value = function(x) return x * x:sigmoid() end } },
      norm = { "none", "batch" },
    },
    seeds = 2, metric = "val_accuracy", report = "test_accuracy", RECORD
    trial = function(c, run)
      local net = nn.Sequential { nn.Dense(6), nn.norm(c.norm), nn.activation(c.activation),
        nn.Dense(3) }
      return train.fit(net, set, { loss = "sparse_categorical_crossentropy",
        optimizer = optim.SGD { lr = 0.1 }, epochs = args.epochs, batch_size = 15,
        validation = 0.25, test = set, metrics = { "accuracy" }, run = run })
    end,
  }
]]

local function small(name, record)
  return check.file(name, (spirals:gsub("RECORD", record or "")))
end

-- id -> digest of every published trial below a directory of runs.
local function digests(runs, name)
  local found, n = {}, 0
  local list = io.popen("ls " .. check.temp .. "/" .. runs .. "/" .. name .. "/trials")
  for id in list:lines() do
    local path = ("%s/%s/%s/trials/%s/result.json"):format(check.temp, runs, name, id)
    found[id] = check.read(path):match '"digest": "(%x+)"'
    n = n + 1
  end
  list:close()
  return found, n
end

function tests.test_same_digests_for_any_number_of_workers_and_in_place()
  local path = small "small.lua"
  local _, err, status = check.runner { "--runs", "one", "--jobs", "1", path }
  check.equal({ err:match "runner: .*", status }, { nil, 0 })
  check.runner { "--runs", "eight", "--jobs", "8", path }
  local one, n = digests("one", "small")
  check.equal(n, 8)
  check.equal(digests("eight", "small"), one)
  local here = small("here.lua", "record = true,")
  os.execute(("cd %s && %s --runs here - < %s > out.txt 2> err.txt"):format(check.temp,
    os.getenv "RUNNER", here))
  check.equal(digests("here", "small"), one)
  local out, _, verified = check.runner { "--runs", "one", "verify", path, "--sample", "2" }
  check.equal({ out, verified }, { "8 of 8 records are whole; 2 of 2 trials came to the "
    .. "same digest\n", 0 })
end

function tests.test_failed_trials_are_not_verified()
  local path = check.file("luck.lua", [[
    experiment { name = "luck", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c, run)
        if c.a == 2 and run.seed == 2 then error "no luck" end
        if c.a == 1 and run.seed == 1 then return { loss = 0 / 0 } end
        return { loss = run.seed } end } ]])
  check.runner { "--runs", "luck", path }
  local out, _, status = check.runner { "--runs", "luck", "verify", path, "--sample", "all" }
  local all_well = "3 of 3 records are whole; 3 of 3 trials came to the same digest\n"
  check.equal({ out, status }, { all_well, 0 })
  out = check.runner { "--runs", "luck", "verify", path, "--sample", "4" }
  check.equal(out, all_well)
end

function tests.test_altered_records_are_found()
  local path = check.file("altered.lua", [[
    experiment { name = "altered", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c, run) return { loss = c.a + run.seed } end } ]])
  check.runner { "--runs", "altered", path }
  local at = check.temp .. "/altered/altered/trials/*-s1"
  os.execute("sed -i 's/\"loss\": [0-9.]*/\"loss\": 0.5/' " .. at .. "/result.json")
  local out, _, status = check.runner { "--runs", "altered", "verify", path }
  check.equal(status, 1)
  check.yes(out:find("altered: a=1, seed 1 (", 1, true) ~= nil)
  check.yes(out:find("2 of 4 records are whole; 2 of 2 trials came to the same", 1, true) ~= nil)
  out = check.runner { "--runs", "altered", "verify", "--json", path }
  check.yes(out:find '"altered": 2' and out:find '"problem": "altered"' ~= nil)
end

function tests.test_unreadable_and_missing_records_are_told()
  local path = check.file("torn.lua", [[
    experiment { name = "torn", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c, run) return { loss = c.a + run.seed } end } ]])
  check.runner { "--runs", "torn", path }
  local ids = {}
  for id in pairs(digests("torn", "torn")) do ids[#ids + 1] = id end
  local at = check.temp .. "/torn/torn/trials/"
  os.execute("rm -r '" .. at .. ids[1] .. "'")
  local out, _, status = check.runner { "--runs", "torn", "verify", path, "--sample", "all" }
  check.equal({ out, status }, { "3 of 3 records are whole; 3 of 3 trials came to the same "
    .. "digest; 1 of 4 trials has no record\n", 0 })
  check.file("torn/torn/trials/" .. ids[2] .. "/result.json", "garbage")
  out, _, status = check.runner { "--runs", "torn", "verify", path, "--sample", "all" }
  check.equal(status, 1)
  check.yes(out:find("unreadable: a=%d, seed %d %(" .. ids[2]:gsub("%-", "%%-")
    .. "%): [^\n]*result%.json: [^\n]+\n") ~= nil, out)
  check.yes(out:find("2 of 3 records are whole; 2 of 2 trials came to the same digest; 1 of 4 "
    .. "trials has no record\n", 1, true) ~= nil, out)
  out = check.runner { "--runs", "torn", "verify", "--json", path }
  for _, part in ipairs { '"unreadable": 1', '"missing": 1', '"problem": "unreadable"',
    '"records": 3', '"message": ' } do
    check.yes(out:find(part, 1, true) ~= nil, out)
  end
end

function tests.test_again_runs_what_is_missing()
  local path = small "small.lua"
  local _, err = check.runner { "--runs", "again", path, "seeds=1", "norm=none" }
  check.yes(err:find("2 trials: 0 done, 0 failed, 2 to run", 1, true) ~= nil)
  _, err = check.runner { "--runs", "again", path }
  check.yes(err:find("8 trials: 2 done, 0 failed, 6 to run", 1, true) ~= nil)
  local out
  out, err = check.runner { "--runs", "again", "resume", "small" }
  check.yes(err:find("8 done, 0 failed, 0 to run", 1, true) ~= nil)
  check.yes(out:find("8 of 8 trials", 1, true) ~= nil)
  check.yes((out .. err):gsub("\n", ""):find "%c" == nil)
  out = check.runner { "--runs", "again", "plan", path, "seeds=3" }
  check.yes(out:find("12 trials: 8 done, 0 failed, 4 to run", 1, true) ~= nil)
  check.yes(out:find("estimated time", 1, true) ~= nil)
  local counts = check.runner { "--runs", "again", "plan", path, "seeds=3", "--json" }
    :match '"cell_counts": (%b[])'
  check.equal(select(2, counts:gsub('{%s*"done": 2,%s*"failed": 0,%s*"left": 1%s*}', "")), 4)
end

function tests.test_changed_code_is_asked_about()
  local path = small "small.lua"
  check.runner { "--runs", "code", path, "seeds=1" }
  local text = check.read(path)
  local function edited(name, from, to)
    local at, stop = text:find(from, 1, true)
    return check.file(name, text:sub(1, at - 1) .. to .. text:sub(stop + 1))
  end
  local same = edited("same.lua", "local net", "-- a comment\n\n      local   net")
  local _, err, status = check.runner { "--runs", "code", same, "seeds=1" }
  check.equal(status, 0)
  check.yes(err:find("4 done, 0 failed, 0 to run", 1, true) ~= nil)
  local level = edited("level.lua", '"tanh", {', '"tanh", "relu", { name = "double", '
    .. 'value = function(x) return 2 * x end }, {')
  _, err = check.runner { "--runs", "code", level, "seeds=1" }
  check.yes(err:find("8 trials: 4 done, 0 failed, 4 to run", 1, true) ~= nil)
  local other = edited("other.lua", "x * x:sigmoid()", "x * x:tanh()")
  _, err, status = check.runner { "--runs", "code", other, "seeds=1" }
  check.equal(status, 2)
  for _, part in ipairs { "2 of the trials", "activation=swish", "--code=rerun", "--code=keep" } do
    check.yes(err:find(part, 1, true) ~= nil)
  end
  local out
  out, _, status = check.runner { "--runs", "code", "--code=keep", other, "seeds=1" }
  check.equal(status, 0)
  local kept = "2 of the trials were made by other code (--code=keep): "
  check.yes(out:find(kept, 1, true) ~= nil)
  check.runner { "--runs", "code", other, "seeds=1", "norm=none", "activation=relu" }
  for _, command in ipairs { { "plan", other, "seeds=1" }, { other, "seeds=1" },
    { "compare", "small" } } do
    out, _, status = check.runner { "--runs", "code", table.unpack(command) }
    check.equal(status, 0)
    check.yes(out:find(kept, 1, true) ~= nil)
  end
  _, err, status = check.runner { "--runs", "code", "--code=rerun", other, "seeds=1" }
  check.yes(err:find("4 trials: 2 done, 0 failed, 2 to run", 1, true) ~= nil)
  check.equal(status, 0)
end

function tests.test_code_that_was_kept_is_remembered_while_tuning()
  local text = [[
    local function steep(x) return 3 * x end
    local function flat(x) return x end
    experiment { name = "kept", factors = { a = { 1, 2 } }, seeds = 3, metric = "loss",
      tune = { f = { { name = "steep", value = steep }, { name = "flat", value = flat } } },
      trial = function(c) return { loss = c.f(c.a) } end }
  ]]
  local path = check.file("kept.lua", text)
  check.runner { "--runs", "kept", path, "seeds=2" }
  check.file("kept.lua", (text:gsub("c.f%(c.a%)", "c.f(c.a) + 0")))
  local _, _, status = check.runner { "--runs", "kept", path }
  check.equal(status, 2)
  for _, words in ipairs { { "--code=keep", path }, { path } } do
    _, _, status = check.runner { "--runs", "kept", table.unpack(words) }
    check.equal(status, 0)
  end
end

local from_a_module = [[
  local values = require "values"
  experiment { name = "module", factors = { a = { { name = "low", value = 1 }, "high" } },
    seeds = 1, metric = "loss", trial = function(c) return { loss = values.of(c.a) } end }
]]

function tests.test_modules_and_values_of_levels_are_code()
  local module = 'return { of = function(a) return a == "high" and 7 or a end }'
  check.file("values.lua", module)
  local path = check.file("module.lua", from_a_module)
  local out = check.runner { "--runs", "module", path }
  check.yes(out:find "low +1 +1" ~= nil)
  check.file("values.lua", (module:gsub("7", "8")))
  local _, err, status = check.runner { "--runs", "module", path }
  check.equal(status, 2)
  check.yes(err:find("trial.values.of: ", 1, true) and err:find("2 of the trials", 1, true) ~= nil)
  check.file("values.lua", module)
  check.file("module.lua", (from_a_module:gsub("value = 1", "value = 2")))
  _, err, status = check.runner { "--runs", "module", path }
  check.equal(status, 2)
  check.yes(err:find("1 of the trials", 1, true) and err:find("a=low", 1, true) ~= nil)
end

function tests.test_a_factor_that_no_cell_has_is_left_out()
  local path = check.file("absent.lua", [[
    experiment { name = "absent", factors = { a = { 1, 2 }, b = function() return nil end },
      seeds = 2, metric = "loss", trial = function(c) return { loss = c.a } end }
  ]])
  local out, _, status = check.runner { "--runs", "absent", path }
  check.equal(status, 0)
  check.yes(out:find("2 cells, 2 seeds", 1, true) ~= nil)
end

-- What a record holds under a name must come back under that name.
function tests.test_names_of_measures_are_checked()
  for name, shown in pairs {
    ['"\\xff"'] = '"\u{FFFD}"', ['"a\\0b"'] = '"a\\0b"', ['"a b"'] = '"a b"',
    ['"a=1"'] = '"a=1"', ['""'] = '""', ['"\\xc2\\x9b"'] = '"?', ["7"] = "7", ["2.5"] = "2.5" } do
    local path = check.file("named.lua", ([[
      experiment { factors = { a = { 1 } }, seeds = 1, metric = "score", goal = "max",
        trial = function(c, run) return { score = 1, [%s] = 2 } end }
    ]]):format(name))
    local out, err, status = check.runner { "--runs", "named", path, "--code=rerun" }
    check.equal({ name, status }, { name, 1 })
    local part = "the trial gave a measure named " .. shown
    if not err:find(part, 1, true) then error(name .. ": " .. err) end
    check.yes(err:find("allowed: UTF-8 without blanks", 1, true) ~= nil)
    check.yes(out:find("1 trial failed", 1, true) ~= nil)
    local ls = check.runner { "--runs", "named", "ls", "named" }
    check.yes(ls:find("failed", 1, true) ~= nil, ls)
  end
end

-- Two texts that JSON makes one would be one configuration.
function tests.test_texts_of_arguments_are_utf8()
  local path = check.file("text.lua", "print(args { name = 'x' }.name)")
  local _, err, status = check.runner { path, "name=caf\xe9" }
  check.equal(status, 2)
  check.yes(err:find("allowed: a string of UTF-8", 1, true) ~= nil, err)
  check.equal(check.runner { path, "name=café" }, "café\n")
  check.script_fails("args { name = 'a\\0b' }", 1, "args: name: got", "UTF-8 without zero bytes")
end

function tests.test_a_measure_of_another_type_is_named()
  local path = check.file("measure.lua", [[
    experiment { name = "measure", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a == 1 and tensor { 0.5 }:sum() or "0.5" } end }
  ]])
  local _, err = check.runner { "--runs", "measure", path }
  check.yes(err:find('gave "loss" as a tensor; allowed: a number (of a tensor: t:item())', 1,
    true) ~= nil)
  check.yes(err:find('gave "loss" as a string', 1, true) ~= nil)
end

function tests.test_failures_are_told_beside_many_deaths()
  local path = check.file("deaths.lua", [[
    experiment { name = "deaths", factors = { a = { 1, 2 } }, seeds = 21, metric = "loss",
      trial = function(c, run)
        if run.seed == 21 then error "told" end
        local mark = ("died-%d-%d"):format(c.a, run.seed)
        if c.a == 1 and not io.open(mark) then
          io.open(mark, "w"):close()
          os.exit(3, false)
        end
        return { loss = c.a }
      end }
  ]])
  local _, err, status = check.runner { "--runs", "deaths", path }
  check.equal(status, 1)
  check.equal(select(2, err:gsub("run again: a=1", "")), 20)
  check.yes(err:find("further trials that are run again are not listed", 1, true) ~= nil)
  check.equal(select(2, err:gsub("failed: a=%d, seed 21: [^\n]*told", "")), 2)
end

local function reporting(report, value)
  return check.file("reporting.lua", ([[
    experiment { name = "reporting", factors = { a = { 1, 2 } }, seeds = 1,
      metric = "accuracy", report = %q, report_goal = %s,
      trial = function(c) return { accuracy = c.a / 10, tokens = c.a } end }
  ]]):format(report, value or "nil"))
end

function tests.test_what_is_reported_must_be_there_and_have_a_goal()
  local runs = { "--runs", "reporting" }
  local _, err, status = check.runner { reporting "tokens" }
  check.equal(status, 1)
  check.yes(err:find('option "report_goal" is missing', 1, true) ~= nil)
  local out = check.runner { "--runs", "reporting", reporting("tokens", '"min"') }
  check.yes(out:find("tokens, lower is better", 1, true) ~= nil)
  _, err, status = check.runner { "--runs", "reporting", reporting("token", '"min"') }
  check.equal(status, 2)
  check.yes(err:find('2 complete trials have no value "token"', 1, true) ~= nil)
  check.yes(err:find('did you mean "tokens"', 1, true) ~= nil)
end

function tests.test_a_copied_experiment_is_the_directory_s()
  local path = reporting "accuracy"
  check.runner { "--runs", "copied", path }
  os.execute(("cd '%s/copied' && cp -r reporting before"):format(check.temp))
  check.file("reporting.lua", (check.read(path):gsub("c.a / 10", "c.a / 5")))
  check.runner { "--runs", "copied", "--code=rerun", path }
  local out = check.runner { "--runs", "copied", "compare", "before" }
  check.yes(out:find("before: accuracy", 1, true) and out:find("20.0", 1, true) ~= nil)
  check.yes(not out:find("40.0", 1, true))
  local _, err, status = check.runner { "--runs", "copied", "resume", "before" }
  check.equal(status, 2)
  check.yes(err:find("before is a copy of reporting", 1, true) ~= nil)
end

function tests.test_another_script_of_the_same_name_is_told()
  local path = reporting "accuracy"
  check.runner { "--runs", "same", path }
  local _, err = check.runner { "--runs", "same", path }
  check.yes(not err:find("was run from", 1, true))
  _, err = check.runner { "--runs", "same", check.file("namesake.lua", check.read(path)) }
  check.yes(err:find "was run from %S*reporting%.lua before" ~= nil)
end

function tests.test_help_of_an_experiment()
  local path = check.file("help.lua", [[
    local args = args { epochs = 3 }
    experiment { name = "help", factors = { act = { "relu", { name = "f", value = print } } },
      metric = "loss", trial = function() end }
  ]])
  local out, _, status = check.runner { path, "--help" }
  check.equal(status, 0)
  check.yes(out:find "epochs +integer +default 3" and out:find "seeds +string" ~= nil)
  check.yes(out:find("levels of the factor to run: relu, f", 1, true) ~= nil)
  check.yes(out:find "\n +seed " == nil)
  path = check.file("data.lua", 'local args = args { epochs = 3 }\nassert(io.open "no.csv")\n'
    .. 'experiment { factors = { a = { 1 } }, metric = "loss", trial = function() end }')
  local err
  out, err, status = check.runner { path, "--help" }
  check.equal(status, 0)
  check.yes(out:find "epochs +integer +default 3" ~= nil)
  check.yes(err:find("warning: the script failed; these may not", 1, true) ~= nil)
end

function tests.test_no_message_reaches_the_terminal_as_a_command()
  local path = check.file("escape.lua", [[
    experiment { name = "escape", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c)
        io.stderr:write("told \27[31mred\n")
        error("bad \27[2J\7\194\133name\nsecond line")
      end }
  ]])
  local out, err = check.runner { "--runs", "escape", path }
  local list = io.popen("ls " .. check.temp .. "/escape/escape/trials")
  local id = list:read()
  list:close()
  local shown = check.runner { "show", id, "--runs=escape" }
  check.yes(err:find("bad ?[2J???name", 1, true) ~= nil)
  check.yes(err:find("told ?[31mred", 1, true) ~= nil)
  check.yes(shown:find("bad ?[2J???name\nsecond line", 1, true) ~= nil)
  for _, text in ipairs { out, err, shown } do
    check.yes(not text:gsub("[\n\t]", ""):find "%c" and not text:find("\194\133", 1, true))
  end
end

-- Counts to 20 in steps of STEP; stopped at 10 where GATE is set, it leaves a checkpoint.
local counting = [[
  experiment { name = "count", factors = { a = { 1 } }, seeds = 1, metric = "loss",
    trial = function(c, run)
      local at = run:restore() or { step = 0, sum = 0 }
      for i = at.step + 1, 20 do
        at.step, at.sum = i, at.sum + STEP
        run:checkpoint(at)
        if i == 10 and os.getenv "GATE" then
          os.execute "read -r _ _ _ parent _ </proc/$PPID/stat; kill -TERM $parent; sleep 0.3"
        end
        tensor.zeros(2):eval()
      end
      print("printed")
      io.stdout:write("written\n"):flush()
      os.execute "echo by a child"
      io.write("last\n")
      return { loss = at.sum }
    end }
]]

local function files_of(runs)
  local list = io.popen("cd " .. check.temp .. "/" .. runs .. "/count/trials/* && ls")
  local names = list:read "a"
  list:close()
  return names
end

local function file_of(runs, name)
  local file = io.popen(("cat %s/%s/count/trials/*/%s"):format(check.temp, runs, name))
  local text = file:read "a"
  file:close()
  return text
end

-- The hash of the final weights is part of the digest: it is taken of all of them.
function tests.test_a_signal_after_the_last_step_leaves_the_digest_whole()
  local path = check.file("late.lua", [[
    local set = data.spirals { n = 60, classes = 3 }
    experiment { name = "late", factors = { n = { 1 } }, seeds = 1, metric = "loss",
      trial = function(_, run)
        local net, epoch = nn.Sequential { nn.Dense(4), nn.Dense(3) }, 0
        local function remember(info) epoch = info.epoch end
        local function state()   -- asked for the last time when the fit is finished
          if epoch == 2 and os.getenv "LATE" then os.execute "kill -TERM $PPID" end
          return { epoch = epoch }
        end
        local late = train.callback(remember, { state = state,
          restore = function(at) epoch = at.epoch end })
        return train.fit(net, set, { loss = "cross_entropy", epochs = 2, run = run,
          callbacks = { late } })
      end }
  ]])
  local function digest(runs)
    local file = io.popen(("cat %s/%s/late/trials/*/result.json"):format(check.temp, runs))
    local text = file:read "a"
    file:close()
    return text:match '"digest": "(%x+)"', text:match '"weights": "(%x+)"'
  end
  check.runner { "--runs", "calm", path }
  check.runner({ "--runs", "late", path }, "LATE=1")
  local _, _, status = check.runner { "--runs", "late", path }
  check.equal(status, 0)
  check.equal({ digest "late" }, { digest "calm" })
end

function tests.test_nothing_of_old_code_is_gone_on_with()
  local path = check.file("count.lua", (counting:gsub("STEP", "1")))
  local changed = check.file("count2.lua", (counting:gsub("STEP", "2")))
  local function stopped(runs)
    local _, err, status = check.runner({ "--runs", runs, path }, "GATE=1")
    check.equal(status, 3)
    check.yes(err:find("what is left: 1 of 1 trials", 1, true) ~= nil)
    check.yes(files_of(runs):find("checkpoint-", 1, true) ~= nil)
  end
  for runs, choice in pairs { asked = {}, kept = { "--code=keep" }, rerun = { "--code=rerun" } } do
    stopped(runs)
    local words = { "--runs", runs, changed }
    table.move(choice, 1, #choice, 4, words)
    local _, _, status = check.runner(words)
    check.equal(status, 0)
    check.yes(file_of(runs, "result.json"):find('"loss": 40.0', 1, true) ~= nil)
    check.yes(files_of(runs):find("checkpoint-", 1, true) == nil)
  end
  stopped "same"
  check.runner { "--runs", "same", path }                 -- goes on
  check.yes(file_of("same", "result.json"):find('"loss": 20.0', 1, true) ~= nil)
  local _, _, status = check.runner { "--runs", "same", changed }
  check.equal(status, 2)
  check.runner { "--runs", "same", changed, "--code=rerun" }   -- starts over
  check.yes(file_of("same", "result.json"):find('"loss": 40.0', 1, true) ~= nil)
  check.yes(file_of("same", "result-2.json"):find('"loss": 20.0', 1, true) ~= nil)
  check.equal(file_of("same", "stdout.log"), "printed\nwritten\nby a child\nlast\n")
end

local ends = [[
  experiment { name = "ends", factors = { how = { "well", "error", "nan", "nothing" } },
    seeds = 1, metric = "score", goal = "max", trial = function(c, run)
      if c.how == "error" then error "broken on purpose" end
      if c.how == "nan" then return { score = 0 / 0 } end
      if c.how == "nothing" then return { scroe = 1 } end
      print("seed", run.seed)
      return { score = { 1, 2, 3 }, best_epoch = 2 }
    end }
]]

function tests.test_failures_are_recorded_and_stop_nobody()
  local path = check.file("ends.lua", ends)
  local out, err, status = check.runner { "--runs", "ends", path }
  check.equal(status, 1)
  for _, part in ipairs { "failed: error, seed 1: ", "ends.lua:3: broken on purpose",
    "diverged: nan", 'gave no "score"', 'did you mean "scroe"' } do
    if not err:find(part, 1, true) then error(part .. " is not in: " .. err) end
  end
  check.yes(out:find("2 trials failed", 1, true) ~= nil)
  local log = io.popen("cat " .. check.temp .. "/ends/ends/trials/*/stdout.log"):read "a"
  check.equal(log, "seed\t1\n")
  local _, _, again = check.runner { "--runs", "ends", path }
  check.equal(again, 1)
end

local diverges = [[
  local args = args { epochs = 2, rate = 0.1 }
  local set = data.spirals { n = 60, classes = 3 }
  local function train_one(lr, run)
    local net = nn.Sequential { nn.Dense(6), nn.Dense(6), nn.Dense(3) }
    return train.fit(net, set, { loss = "sparse_categorical_crossentropy", run = run,
      optimizer = optim.SGD { lr = lr }, epochs = args.epochs, batch_size = 15 })
  end
]]

local function record_of(pattern, file)
  return io.popen(("cat %s/%s/%s"):format(check.temp, pattern, file)):read "a"
end

function tests.test_where_a_trial_diverged_is_recorded()
  local path = check.file("div.lua", diverges .. [[
    experiment { name = "div", factors = { lr = { 1e8 } }, seeds = 1, metric = "loss",
      trial = function(c, run) return train_one(c.lr, run) end }
  ]])
  local _, err = check.runner { "--runs", "div", path }
  local result = record_of("div/div/trials/*", "result.json")
  check.yes(result:find('"state": "diverged"', 1, true) ~= nil)
  local step = result:match '"step": (%d+)'
  check.yes(err:find("step " .. tostring(step) .. ": the loss is not finite (nan)", 1, true) ~= nil)
  check.yes(result:find '"layer": "dense_%d"' ~= nil)
end

function tests.test_plain_scripts_record_it_too_and_where_values_came_from()
  local path = check.file("alone.lua", diverges .. "train_one(1e8)")
  local _, _, status = check.runner { "--runs", "alone", path, "epochs=3", "seed=2" }
  check.equal(status, 1)
  check.yes(record_of("alone/alone/*", "result.json"):find '"layer": "dense_%d"' ~= nil)
  local sources = record_of("alone/alone/*", "meta.json"):match '"sources": (%b{})'
  check.equal({ sources:match '"epochs": "([^"]+)"', sources:match '"rate": "([^"]+)"',
    sources:match '"seed": "([^"]+)"' }, { "command line", "script", "command line" })
end

-- A reason that many trials share is printed once; a traceback has the script's lines alone.
function tests.test_a_failure_of_all_is_told_once()
  local path = check.file("all.lua", [[
    experiment { name = "all", factors = { n = { 1, 2 } }, seeds = 3, metric = "loss",
      trial = function(c, run) error "broken on purpose" end }
  ]])
  local out = check.runner { "--runs", "all", path }
  check.yes(out:find("^all: all 6 trials failed:%s") ~= nil, out)
  check.equal(select(2, out:gsub("broken on%s+purpose", "")), 1)
  local result = record_of("all/all/trials/*", "result.json")
  check.yes(result:find("in main chunk", 1, true) ~= nil)
  for _, own in ipairs { "%[runner%]", "%[string", "tail" } do
    check.equal(result:find(own), nil)
  end
end

function tests.test_an_experiment_in_a_trial_is_refused()
  local code = [[
    experiment { name = "outer", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c, run)
        experiment { name = "inner", factors = { a = { 1 } }, metric = "loss", trial = print }
      end }
    print "goes on"
  ]]
  local path = check.file("nested.lua", code)
  for _, words in ipairs { { path }, { "-e", code } } do
    local out, err, status = check.runner { "--runs", "nested", table.unpack(words) }
    check.equal(status, 1)
    check.yes((out .. err):find("2 trials failed", 1, true) ~= nil)
    check.yes((out .. err):find("a trial cannot hold an experiment of its own", 1, true) ~= nil)
    check.yes(out:find "goes on\n$" ~= nil)
  end
end

function tests.test_fail_fast()
  local path = check.file("ends.lua", ends)
  local _, err, status = check.runner { "--runs", "fast", "--fail-fast", "--jobs", "1", path,
    "how=error,well" }
  check.equal(status, 1)
  check.yes(err:find("1 left", 1, true) ~= nil)
end

function tests.test_a_worker_that_dies_costs_others_nothing()
  local path = check.file("dies.lua", [[
    experiment { name = "dies", factors = { how = { "well", "dies" } }, seeds = 2,
      metric = "score", goal = "max", trial = function(c, run)
        if c.how == "dies" then
          local pid = io.open("/proc/self/stat"):read "a":match "%d+"
          os.execute("kill -9 " .. pid)
        end
        return { score = 1 }
      end }
  ]])
  local _, err, status = check.runner { "--runs", "dies", path }
  check.equal(status, 1)
  check.yes(err:find("run again: dies, seed 2: its process died of signal 9", 1, true) ~= nil)
  check.yes(err:find("failed: dies, seed 2: its process died of signal 9", 1, true) ~= nil)
  -- Ten deaths, as README.md says, and the attempt that writes them down.
  local told = check.runner { "--runs", "dies", "ls", "dies", "state=failed", "--json" }
  check.equal(select(2, told:gsub('"attempts": 11,', "")), 2)
  check.yes(err:find("2 failed, 0 left", 1, true) ~= nil)
  check.yes(err:find("4 trials in", 1, true) ~= nil)
end

local deaths = [[
  BEFORE
  experiment { name = "deaths", factors = { how = { "dies", "well" } }, seeds = 1,
    metric = "score", goal = "max", trial = function(c, run)
      if c.how == "dies" then os.execute "kill -9 $PPID" end
      return { score = 1 }
    end }
]]

function tests.test_a_program_left_behind_does_not_hide_that_its_worker_died()
  local left = "sleep 60 & echo $! >> left.pids; kill"
  local path = check.file("behind.lua", (deaths:gsub("BEFORE", ""):gsub("kill", left)))
  local _, err, status = check.runner({ "--runs", "behind", path, "how=dies" },
    "timeout -s KILL 20")
  os.execute("kill $(cat " .. check.temp .. "/left.pids)")
  check.equal(status, 1)
  check.yes(err:find("its process died of signal 9", 1, true) ~= nil)
end

function tests.test_fail_fast_counts_workers_that_die()
  local path = check.file("deaths.lua", (deaths:gsub("BEFORE", "")))
  local _, err, status = check.runner { "--runs", "deaths", "--fail-fast", "--jobs", "1", path }
  check.equal(status, 1)
  check.yes(err:find("1 left", 1, true) ~= nil)
end

function tests.test_workers_that_die_leave_the_record_of_the_script_alone()
  local path = check.file("recorded.lua", (deaths:gsub("BEFORE", [[
    print "of the script"
    local net = nn.Sequential { nn.Dense(3) }
    train.fit(net, data.spirals { n = 30 }, { loss = "sparse_categorical_crossentropy",
      epochs = 1, verbose = false })
  ]])))
  local out, err, status = check.runner { "--runs", "recorded", path }
  check.equal(status, 1)
  check.yes(err:find("failed: dies, seed 1: its process died of signal 9", 1, true) ~= nil)
  check.yes(out:find("1 trial failed", 1, true) ~= nil)
  local log = record_of("recorded/recorded/*", "stdout.log")
  check.yes(log:find("of the script", 1, true) and log:find("1 trial failed", 1, true) ~= nil)
end

function tests.test_a_script_changed_meanwhile_lets_running_trials_finish()
  local path = check.file("edited.lua", [[
    experiment { name = "edited", factors = { k = { 1, 2, 3, 4 } }, seeds = 1,
      metric = "score", goal = "max",
      trial = function(c, run)
        if c.k == 1 then os.execute "sleep 0.3; echo '-- more' >> edited.lua" end
        os.execute("sleep " .. 0.6 * (c.k - 1))
        return { score = 1 }
      end }
  ]])
  local out, err, status = check.runner { "--runs", "edited", "--jobs", "3", path }
  check.equal(status, 2)
  check.yes(err:find("was changed while the study ran", 1, true) ~= nil)
  check.yes(out:find("3 of 4 trials complete", 1, true) ~= nil)
end

-- The first trial puts a result of other code in the place of a later one; when the study ends
-- over it, the second trial, which writes more than a pipe holds, is finished first.
function tests.test_results_of_other_code_end_the_study_after_what_runs()
  local path = check.file("mixed.lua", [[
    experiment { name = "mixed", factors = { k = { 1, 2 } }, seeds = 2,
      metric = "score", goal = "max",
      trial = function(c, run)
        if c.k == 1 and run.seed == 1 then
          local later = run.directory:gsub("1$", "2")
          os.execute("sleep 0.5; mkdir " .. later)
          local file = io.open(later .. "/result.json", "w")
          file:write '{ "state": "complete", "fingerprint": "f00d", "values": { "score": 5 } }'
          file:close()
        end
        for i = 1, c.k == 2 and 200 or 0 do
          for _ = 1, 1e6 do end
          io.stderr:write(("x"):rep(8000), i, "\n")
        end
        return { score = 1 }
      end }
  ]])
  local _, err, status = check.runner({ "--runs", "mixed", "--jobs", "2", path },
    "timeout -s KILL 60")
  check.equal(status, 2)
  check.yes(err:find("by another process with other code", 1, true) ~= nil)
  local out = check.runner { "--runs", "mixed", "ls", "mixed", "k=2", "state=complete", "--json" }
  check.equal(select(2, out:gsub('"id"', "")), 1)
end

function tests.test_resume_keeps_the_words_of_the_run()
  local path = check.file("words.lua", [[
    local args = args { k = 1 }
    experiment { name = "words", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a * args.k } end }
  ]])
  check.runner { "--runs", "words", path, "k=7", "a=2" }
  local out, err, status = check.runner { "--runs", "words", "resume", "words", "seeds=2" }
  check.equal(status, 0)
  check.yes(err:find("2 trials: 1 done, 0 failed, 1 to run", 1, true) ~= nil)
  check.yes(out:find("2  14.0", 1, true) ~= nil)
end

function tests.test_resume_looks_from_the_current_directory()
  check.file("near.lua", [[
    experiment { name = "near", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a } end }
  ]])
  check.runner { "--runs", "near", "near.lua" }
  os.execute(("cd '%s' && mkdir away && mv near.lua away"):format(check.temp))
  local _, err, status = check.runner { "--runs", "near", "resume", "near" }
  check.equal(status, 2)
  check.yes(err:find("resume: near.lua: No such file or directory; the script is looked for "
    .. "from the current directory, as it was when it ran", 1, true) ~= nil, err)
end

function tests.test_a_trial_that_takes_all_memory_fails_alone()
  local path = check.file("greedy.lua", [[
    experiment { name = "greedy", factors = { a = { 1, 2, 3 } }, seeds = 1, metric = "loss",
      trial = function(c)
        local t = {}
        for i = 1, c.a == 2 and 1e9 or 0 do t[i] = ("x"):rep(1000) .. i end
        return 1
      end }
  ]])
  local _, err, status = check.runner({ "--runs", "greedy", "--jobs", "1", path },
    "ulimit -v 500000;")
  if check.measures_memory then
    check.equal(status, 1)
    check.yes(err:find("failed: a=2, seed 1: not enough memory", 1, true) ~= nil)
    check.yes(err:find("3 trials in", 1, true) ~= nil)
  end
end

-- -- in a running state -------------------------------------------------------------------

function tests.test_without_a_script_it_runs_in_place_and_returns()
  local code = [[
    for round = 1, 2 do
      local r = experiment { name = "here", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
        trial = function(c, run) return { loss = c.a + tensor.rand(1):item() + math.random() } end }
      print(#r.trials, r.trials[1].cell.a, r.trials[1].state, r.trials[1].values.loss)
    end
  ]]
  local out, _, status = check.runner { "--runs", "no", "-e", code }
  check.equal(status, 0)
  local lines = {}
  for line in out:gmatch "[^\n]+" do
    if line:find "^4\t1\tcomplete" then lines[#lines + 1] = line end
  end
  check.equal(#lines, 2)
  check.equal(lines[1], lines[2])
  check.yes(io.open(check.temp .. "/no") == nil)
end

function tests.test_run_is_checked()
  check.script_fails([[
    local net = nn.Sequential { nn.Dense(2) }
    train.fit(net, data.moons { n = 16 }, { loss = "mse", run = 3 })
  ]], 1, 'option "run"', "the run that a trial gets")
end

check.run(tests)
