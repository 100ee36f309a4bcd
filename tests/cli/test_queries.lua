-- ls, show, export, retry, rm, gc and doctor, from outside: on records made by hand and on
-- those of a script.

local check = dofile "tests/check.lua"
local records = dofile "tests/cli/records.lua"
local relu, tanh, zeros = records.relu, records.tanh, records.zeros
local has, lacks, runner, fails = records.has, records.lacks, records.runner, records.fails
local make_trial, make_study = records.make_trial, records.make_study
local shell = records.shell
local tests = {}

local function lines(text)
  local _, n = text:gsub("\n", "")
  return n
end

function tests.test_nothing_there_is_no_fault()
  local out, err = runner("--runs", "none", "ls")
  check.equal(out, "")
  has(err, "no runs in none yet")
  check.equal(runner("ls", "--runs", "none", "--json"), "[]\n")
  fails(2, 'none has no experiment "x"', "ls", "x", "--runs", "none")
  fails(2, "x: no trial", "show", "x", "--runs=none")
  os.execute(("mkdir -p '%s/empty/study/trials'"):format(check.temp))
  local _, empty = runner("ls", "study", "--runs=empty")
  has(empty, "no trials yet")
  has(runner("show", "study", "--runs=empty"), "empty/study")
  check.equal(runner("show", "empty/study/", "--runs", "empty/"),
    runner("show", "study", "--runs", "empty/"))
  check.file("empty/studi", "a file")            -- no experiment: never meant
  for _, name in ipairs { "index.sqlite", "index.sqlit", "stud" } do
    local ask = name == "stud" and '; did you mean "study"?' or "; runner ls lists them"
    fails(2, ('empty has no experiment "%s"%s'):format(name, ask), "rm", name, "--runs=empty")
    fails(2, ask, "show", name, "--runs=empty")
  end
  runner("gc", "--runs=none")
end

function tests.test_ls()
  make_study "a"
  has(runner("ls", "--runs=a"), "experiment", "study", "complete", "interrupted")
  has(runner("ls", "--runs=a", "--json"), '"trials": 4', '"complete": 2', '"others": 1')
  local out = runner("ls", "study", "--runs=a", "--sort=-accuracy", "--json")
  check.yes(out:find(relu .. "-s2", 1, true) < out:find(relu .. "-s1", 1, true))
  has(out, '"accuracy": 0.75', '"act": "relu"', '"lr": 0.5', '"state": "interrupted"')
  lacks(out, zeros)
  has(runner("ls", "study", "--runs=a", "--all"), "elu")
  local limited, rest = runner("ls", "study", "--runs=a", "--limit", "1")
  check.equal(lines(limited), 2)
  has(rest, "1 of 4 trials shown")
  local cells = runner("ls", "study", "--cells", "--runs=a")
  has(cells, "mean accuracy", "0.625", "failed")
  has(runner("ls", "study", "--cells", "seed=1", "--runs=a", "--json"), '"n": 1', '"mean": 0.5')
  has(runner("ls", "study", "--cells", "--all", "--runs=a"), "elu", "0.125")
  has(runner("ls", "study", "--cells", "--metric=lr", "--runs=a"), "mean lr", "0.1")
  has(runner("ls", "state=failed", "--runs=a"), "experiment", tanh:sub(1, 5))
  local none, why = runner("ls", "study", "accuracy>0.8", "--runs=a")
  check.equal(none, "")
  has(why, "no trials that fit")
end

function tests.test_ls_in_a_narrow_terminal()
  make_study "nt"
  local out = check.runner({ "ls", "study", "--runs=nt" }, "COLUMNS=48")
  has(out, relu .. "-s2  complete     relu      0.75", "\n    m|_x\n")
  lacks(out, "..")
  for line in out:gmatch "[^\n]+" do check.yes(#line <= 48, line) end
end

-- Runs a command in 80 columns or as given; no line is longer. Gives stdout and stderr.
local function narrow(columns, ...)
  local out, err, status = check.runner({ ... }, "COLUMNS=" .. columns)
  for line in (out .. err):gmatch "[^\n]+" do
    if utf8.len(line) > columns then error(("%d columns: %s"):format(#line, line), 2) end
  end
  return out, err, status
end

-- Factors tell rows apart: what has no room goes before them, and is named.
function tests.test_ls_keeps_the_factors()
  local path = check.file("four.lua", [[
    experiment { name = "four", seeds = 1, metric = "loss", report = "accuracy",
      factors = { activation = { "relu", "leaky_relu" }, lr = { 0.1, 0.01 },
        init = { "glorot_uniform", "he_normal" }, norm = { "batch", "none" } },
      trial = function(c)
        if c.norm == "none" then error(("no luck "):rep(12)) end
        return { loss = 0.5, accuracy = 0.25 }
      end }]])
  check.runner { "--runs=four", path }
  local out, err = narrow(80, "ls", "four", "--runs=four")
  has(out, "activation", "lr", "init", "norm", "leaky_relu", "he_normal", "no luck no luck")
  has(err, "left out for lack of room: ", "seconds", "loss", "(more with a wider terminal, or")
  out, err = narrow(100, "ls", "four", "--runs=four")
  has(out, "accuracy", "norm")
  has(err, "left out for lack of room: ", "seconds")
  lacks(err, "accuracy")
  out, err = runner("ls", "four", "--runs=four")
  has(out, "seconds", "loss")
  check.equal(err, "")
  make_study "four"
  out, err = narrow(40, "ls", "--runs=four")
  has(out, "experiment", "trials", "complete", "failed")
  has(err, "left out for lack of room: kind,", "last (more")
end

function tests.test_wrong_questions()
  make_study "b"
  fails(2, 'did you mean "study"', "ls", "stduy", "--runs=b")
  fails(2, 'unknown key "akt"; did you mean "act"', "ls", "study", "akt=relu", "--runs=b")
  fails(2, 'unknown key "accurcy"', "ls", "study", "--sort=accurcy", "--runs=b")
  fails(2, 'unknown value "sed"; there are', "ls", "study", "--cells", "--metric=sed", "--runs=b")
  fails(2, "equality is written =", "ls", "study", "act==relu", "--runs=b")
  fails(2, "did you mean --limit", "ls", "--limt", "3")
  fails(2, "--limit x: allowed: an integer", "ls", "--limit", "x", "--runs=b")
  fails(2, "--sort: KEY is missing", "ls", "--sort")
  fails(2, "--cells takes no value", "ls", "--cells=3")
  fails(2, "allowed: one experiment", "ls", "study", "study", "--runs=b")
  fails(2, "name of an experiment is missing", "export", "--runs=b")
  fails(2, 'did you mean "latex"', "export", "study", "--format=latx", "--runs=b")
  fails(2, "several trials begin so", "show", relu, "--runs=b")
end

function tests.test_filters_that_fit_nothing()
  make_study "fn"
  fails(2, 'no state is called "don"; allowed: pending, running', "ls", "state=don", "--runs=fn")
  fails(2, 'no purpose is called "tune"; allowed: report, tuning', "ls", "purpose=tune",
    "--runs=fn")
  fails(2, 'allowed: report, tuning; did you mean "tuning"?', "ls", "purpose=tunin", "--runs=fn")
  has(runner("ls", "study", "purpose=report", "--runs=fn"), "relu")
  for _, words in ipairs { { "ls", "study" }, { "ls" }, { "ls", "study", "--cells" },
    { "export", "study" }, { "retry", "study" }, { "rm", "study", "--yes" } } do
    words[#words + 1], words[#words + 2] = "act=rel", "--runs=fn"
    local _, err = runner(table.unpack(words))
    has(err, "act has: relu, tanh")
    has(err, "; did you mean relu?\n")
  end
  local _, err = runner("ls", "act=rel", "--runs=fn")
  has(err, "no trials that fit the filters\nact has: ")
  _, err = runner("ls", "study", "lr>1", "--runs=fn")
  has(err, "lr has: 0.5\n")
  _, err = runner("ls", "study", "lr=0.4", "--runs=fn")
  has(err, "lr has: 0.5\n")
  _, err = runner("ls", "study", "act=tanh", "seed=9", "--runs=fn")
  lacks(err, "has:")
end

-- A factor and a value of the same name.
function tests.test_a_name_that_is_two_things()
  local path = check.file("twice.lua", [[
    experiment { name = "twice", factors = { loss = { "mse", "mae" } }, seeds = 2,
      metric = "loss", trial = function(c, run) return { loss = run.seed / 8 } end }
    ]])
  runner("--runs=tw", path)
  check.yes(runner("ls", "twice", "--runs=tw"):find "loss +values%.loss" ~= nil)
  local _, err = runner("ls", "twice", "loss<0.2", "--runs=tw")
  has(err, "loss has: mse, mae; did you mean values.loss<0.2?\n")
  has(runner("ls", "twice", "values.loss<0.2", "--runs=tw"), "0.125")
  check.equal(runner("compare", "twice", "--metric=values.loss", "--runs=tw"),
    runner("compare", "twice", "--metric=loss", "--runs=tw"))
end

function tests.test_cells_before_the_first_result()
  make_study "i"
  os.execute(("rm -r '%s/i/study/trials'"):format(check.temp))
  has(runner("ls", "study", "--cells", "--runs=i"), "relu", "tanh", "pending")
end

function tests.test_a_directory_that_cannot_be_read()
  make_study "j"
  os.execute(("mkdir '%s/j/lost' && ln -s trials '%s/j/lost/trials'"):format(check.temp,
    check.temp))
  local out, err = runner("ls", "--runs=j", "--json")
  has(out, '"trials": 4')
  has(err, "warning: ", "j/lost/trials", "left out")
  fails(4, "j/lost/trials", "ls", "lost", "--runs=j")
end

function tests.test_help_of_each_command()
  for _, command in ipairs { "ls", "show", "compare", "export", "retry", "rm", "gc", "doctor" } do
    has(runner(command, "--help"), "usage: runner " .. command, "--help", "--runs DIR", "--json")
    has(runner("--help"), "\n  " .. command .. " ")
  end
  local states = runner("ls", "--help"):match "States of a trial:\n(.-)\n\n"
  has(states, "stale        its process died or its record cannot be read", "diverged  ")
  check.equal(lines(states), 7)   -- and one without its end
end

function tests.test_show()
  make_study "c"
  local directory = "c/study/trials/" .. relu .. "-s2"
  check.file(directory .. "/table.test_confusion_matrix.csv", "class,1,2\n1,50,0\n2,1,4\n")
  check.file(directory .. "/table.roc_curve.csv", "class,fpr,tpr,threshold\n"
    .. ("2,0,0,inf\n"):rep(30))
  local out = runner("show", relu .. "-s2", "--runs=c")
  has(out, "table.test_confusion_matrix.csv (2 rows, 3 columns)\n  class   1  2\n      1  50  0\n",
    "table.roc_curve.csv (30 rows, 4 columns)\n\n")
  has(runner("show", directory, "--runs=c", "--json"), '"cells": [')
  has(out, "state: complete", "c/study/trials/" .. relu .. "-s2", "(command line)",
    "accuracy  0.75", "metrics.csv (2 rows)", "loss", "threads", "attempts")
  check.equal(runner("show", "study/" .. relu .. "-s2", "--runs=c"), out)
  check.equal(runner("show", "c/study/trials/" .. relu .. "-s2/", "--runs=c"), out)
  has(runner("show", "study", "--runs=c"), "relu, tanh", "cells: 2", "seeds: 2", "complete",
    "baseline", "\nmetric: accuracy (max)\ncells:")
  local json = runner("show", tanh .. "-s1", "--runs=c", "--json")
  has(json, '"state": "failed"', '"message": "m|_x"', '"column": "loss"', '"sources"')
end

-- A message with its stack trace: shown whole, then its first line only.
function tests.test_a_trace_is_told_once()
  local path = check.file("trace.lua", [[
    experiment { name = "trace", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      report = "accuracy", trial = function(c) error "no luck\nat all" end }
    ]])
  check.runner { "--runs=tr", path }
  local id = runner("ls", "trace", "--runs=tr", "--json"):match '"id": "([^"]+)"'
  local out = runner("show", id, "--runs=tr")
  has(out, "message: ", "no luck\nat all")
  check.equal(select(2, out:gsub("at all", "")), 1)
  lacks(out, "weights")
  has(runner("show", id, "--runs=tr", "--json"), '"weights"')
  for _, format in ipairs { "md", "latex" } do
    local page = runner("export", "trace", "--format", format, "--runs=tr")
    has(page, "no luck")
    lacks(page, "at all")
  end
  has(runner("export", "trace", "--runs=tr"), "no luck\nat all")
  has(runner("show", "trace", "--runs=tr"), "\nmetric: loss\nreport: accuracy (max)\n")
  lacks(runner("show", "trace", "--runs=tr"), "goal:")
end

function tests.test_export()
  make_study "d"
  local csv = runner("export", "study", "--runs=d")
  check.equal(lines(csv), 5)
  has(csv, "experiment,id,seed,purpose,state,act,lr,accuracy,values.lr,attempts,seconds",
    ("study,%s-s1,1,report,complete,relu,0.5,0.5,0.1,1,2.5,"):format(relu), ",tanh,0.5,nan,")
  local epochs = runner("export", "study", "--metrics", "--runs=d", "state=complete")
  check.equal(lines(epochs), 5)
  has(epochs, 'act,lr,fit,epoch,loss,"a,b",time_s\n',
    ("study,%s-s2,2,report,complete,relu,0.5,1,2,0.25,nan,0.1"):format(relu))
  has(runner("export", "study", "--format=md", "--runs=d"), "| m\\|_x |", "|---|")
  lacks(runner("export", "study", "--format=md", "--runs=d"), "digest")
  lacks(runner("export", "study", "--format=latex", "--runs=d"), "fingerprint")
  has(runner("export", "study", "--format=latex", "--runs=d"), "m|\\_x", "\\end{tabular}")
  has(runner("export", "study", "--json", "--metrics", "--runs=d"), '"fit": 1', '"a,b": "nan"',
    '"epoch": 2,', '"a,b": 1.0')
  check.equal(runner("export", "study", "--out=t.csv", "--runs=d"), "")
  check.equal(check.read(check.temp .. "/t.csv"), csv)
  fails(4, "no/such/t.csv", "export", "study", "--out=no/such/t.csv", "--runs=d")
  os.execute("cd " .. check.temp .. " && ln -s t.csv link.csv && : > t.csv && mkfifo pipe")
  check.equal(runner("export", "study", "--out=link.csv", "--runs=d"), "")
  check.equal(check.read(check.temp .. "/t.csv"), csv)   -- where the link leads
  os.execute("cd " .. check.temp .. " && mkdir deep && ln -s ../new.csv deep/a"
    .. " && ln -s deep/a far.csv && ln -s round round")
  check.equal(runner("export", "study", "--out=far.csv", "--runs=d"), "")
  check.equal(check.read(check.temp .. "/new.csv"), csv)   -- also where nothing is yet
  os.execute("cd " .. check.temp .. " && exec 5<>nameless && rm nameless && '"
    .. os.getenv "RUNNER" .. "' export study --runs=d --out=/dev/fd/5 && cat <&5 > named.csv")
  check.equal(check.read(check.temp .. "/named.csv"), csv)
  fails(4, "levels of symbolic links", "export", "study", "--out=round", "--runs=d")
  os.execute("cd " .. check.temp .. " && (cat pipe > got.csv; : > got.all) 2> err.txt &")
  check.equal(runner("export", "study", "--out=pipe", "--runs=d"), "")
  os.execute("cd " .. check.temp .. " && until test -e got.all; do sleep 0.05; done")
  check.equal(check.read(check.temp .. "/got.csv"), csv)
  os.execute("cd " .. check.temp .. " && test -p pipe || echo gone > got.csv")
  check.equal(check.read(check.temp .. "/got.csv"), csv)
end

function tests.test_retry()
  make_study "e"
  check.equal(runner("retry", "study", "--dry-run", "--runs=e"), "to be run again: 1 trial\n")
  has(runner("ls", "study", "--runs=e", "--json"), '"state": "failed"')
  check.equal(runner("retry", "study", "--runs=e"), "to be run again: 1 trial\n")
  local out = runner("ls", "study", "act=tanh", "seed=1", "--runs=e", "--json")
  has(out, '"state": "pending"', '"attempts": 1')
  local dir = ("%s/e/study/trials/%s-s1/"):format(check.temp, tanh)
  has(check.read(dir .. "result-1.json"), "failed")
  check.yes(io.open(dir .. "metrics.csv") == nil)
  check.equal(runner("retry", "study", "--runs=e"), "to be run again: 0 trials\n")
  check.equal(runner("retry", "study", "state=complete", "accuracy<0.6", "--runs=e"),
    "to be run again: 1 trial\n")
end

function tests.test_rm()
  make_study "f"
  fails(2, "rm would remove 5 trials of study; add --yes", "rm", "study", "--runs=f")
  check.equal(runner("rm", "study", "act=relu", "seed=1", "--runs=f"), "removed: 1 trial\n")
  has(runner("ls", "study", "act=relu", "seed=1", "--runs=f", "--json"), '"state": "pending"')
  check.equal(runner("rm", "study", "--dry-run", "--runs=f"), "would be removed: 4 trials\n")
  check.equal(runner("rm", "study", "--yes", "--runs=f"), "removed: 4 trials\n")
  check.equal(runner("ls", "--json", "--runs=f"), "[]\n")
end

function tests.test_gc()
  make_study "g"
  local dir = check.temp .. "/g/study/trials/"
  local temporary = ("g/study/trials/%s-s2/checkpoint-3.safetensors.tmp-999999999-1f")
    :format(tanh)
  check.file(temporary, "half")
  -- Killed between the two names of a result; the trial is complete.
  check.file(("g/study/trials/%s-s1/result.json.tmp-999999999-1f"):format(relu), "{}")
  has(runner("gc", "--dry-run", "--runs=g"), "kept: 1 finished trial that the experiment does not")
  local dry = runner("gc", "--dry-run", "--yes", "--runs=g", "--json")
  has(dry, '"trials": 1', '"kept": 0', '"checkpoints": 2', '"leftovers": 2', '"dry_run": true')
  local out = runner("gc", "study", "--yes", "--runs=g", "--json")
  check.equal(out, (dry:gsub("true", "false", 1)))
  check.yes(io.open(dir .. zeros .. "-s1/config.json") == nil)
  check.yes(io.open(dir .. relu .. "-s1/checkpoint-2.safetensors") == nil)
  check.yes(io.open(dir .. tanh .. "-s2/checkpoint-2.safetensors") ~= nil)
  check.yes(io.open(check.temp .. "/" .. temporary) == nil)
  has(runner("gc", "--runs=g", "--json"), '"trials": 0', '"bytes": 0')
  local plan = check.read(check.temp .. "/g/study/experiment.json")
  check.file("g/study/experiment.json", plan:sub(1, 100))
  fails(4, "experiment.json", "gc", "--yes", "--runs=g")
  check.yes(io.open(dir .. relu .. "-s1/result.json") ~= nil)
  check.file("g/study/experiment.json", plan)
  os.execute(("mkdir '%s/g/.verify-999999999'"):format(check.temp))
  check.file("g/.verify-999999999/half", "half")
  has(runner("gc", "--runs=g", "--json"), '"leftovers": 1', '"bytes": 4')
  check.yes(io.open(check.temp .. "/g/.verify-999999999/half") == nil)
end

function tests.test_doctor()
  local out = runner("doctor", "--runs=h")
  for _, name in ipairs { "runs", "files", "room", "records", "libraries", "kernels", "threads",
    "data", "clock" } do has(out, name) end
  check.yes(io.open(check.temp .. "/h") == nil)
  local _, _, status = check.runner({ "doctor" }, "RUNNER_DATA=nowhere")
  check.equal(status, 0)
  check.file("file", "")
  local bad, err, code = check.runner { "doctor", "--runs=file/x" }
  check.equal(code, 4)
  has(bad, "bad")
  has(err, "doctor: ")
end

-- What it advises can be done: runs of plain scripts are not retried, trials are.
function tests.test_doctor_advises_by_kind()
  local plain = check.file("plain.lua", [[
    train.fit(nn.Sequential { nn.Dense(2) }, data.moons { n = 8 },
      { loss = "cross_entropy", verbose = false })
    error "on purpose"]])
  check.runner { "--runs=k", plain }
  local out = runner("doctor", "--runs=k"):gsub("%s+", " ")
  has(out, "failed 1", "runner ls state=failed", "begins a new run whenever it is called")
  check.equal(out:find("retry", 1, true), nil)
  for _, words in ipairs { { "retry", "plain" }, { "retry", "plain", "--dry-run" } } do
    local _, err, status = check.runner { "--runs=k", table.unpack(words) }
    check.equal(status, 2)
    has(err:gsub("%s+", " "), "plain has runs of a plain script alone", "allowed: an experiment")
  end
  has(runner("rm", "plain", "state=failed", "--dry-run", "--runs=k"), "1 trial")
  local trials = check.file("trials.lua", [[
    experiment { name = "of_trials", factors = { a = { 1, 2 } }, seeds = 1, metric = "v",
      goal = "max", trial = function(c) assert(c.a == 1) return { v = 1 } end }]])
  check.runner { "--runs=k", trials }
  has(runner("doctor", "--runs=k"):gsub("%s+", " "), "failed 2", "runner retry EXPERIMENT")
  has(runner("retry", "of_trials", "--runs=k"), "to be run again: 1 trial")
end

-- A metric that no trial gives: nothing to compare, and why, in one line.
function tests.test_a_wrong_metric_is_told_shortly()
  local path = check.file("wrong.lua", [[
    experiment { name = "wrong", factors = { a = { 1, 2 } }, seeds = 2, metric = "val_acuracy",
      goal = "max", trial = function() return { val_accuracy = 1 } end }]])
  local out = check.runner { "--runs=l", path }
  check.equal((out:gsub("%s+", " ")), 'wrong: all 4 trials failed: the trial gave no '
    .. '"val_acuracy" (option "metric"); did you mean "val_accuracy"?; it gave val_accuracy '
    .. "`runner retry wrong` makes them run again ")
  check.equal((runner("compare", "wrong", "--runs=l")), out)
end

-- Also those after a fit that recorded nothing, in the order of the fits.
function tests.test_export_of_all_fits_with_a_record()
  local path = check.file("gaps.lua", [[
    local set, net = data.moons { n = 8 }, nn.Sequential { nn.Dense(2) }
    for i = 1, 12 do
      local how = { loss = "cross_entropy", verbose = false }
      if i == 1 or i == 4 then how.record = false end
      train.fit(net, set, how)
    end]])
  check.runner { "--runs=m", path }
  local fits = {}
  for fit in runner("export", "gaps", "--metrics", "--json", "--runs=m"):gmatch '"fit": (%d+)' do
    fits[#fits + 1] = math.tointeger(fit)
  end
  check.equal(fits, { 2, 3, 5, 6, 7, 8, 9, 10, 11, 12 })
end

-- Each kind of trouble is reported, with what to do about it.
function tests.test_doctor_tells_damaged_from_dead()
  make_study "hd"
  check.file(("hd/study/trials/%s-s1/result.json"):format(relu), "garbage")
  local out = narrow(80, "doctor", "--runs=hd")
  out = out:gsub("%s+", " ")
  has(out, "failed 1, of processes that died 0, with a damaged record 1 ",
    "runner ls state=stale says what is damaged", "runner ls state=failed lists them")
  lacks(out, "goes on with those")
  lacks(runner("doctor", "--runs=none"), "damaged")
end

function tests.test_nothing_to_remove()
  make_study "fz"
  local out, err, status = narrow(80, "rm", "study", "seed=99", "--runs=fz")
  check.equal({ out, status }, { "", 2 })
  has(err, "rm: no trial of study fits the filters")
  out, err = check.runner { "rm", "study", "act=tanhh", "--runs=fz" }
  check.equal(out, "")
  has(err, "act has: relu, tanh", "did you mean tanh?", "no trial of study fits")
  has(runner("rm", "study", "seed=99", "--dry-run", "--runs=fz"), "would be removed: 0 trials")
end

function tests.test_gc_counts()
  make_study "gp"
  local out = narrow(80, "gc", "--dry-run", "--runs=gp")
  has(out, "     2  checkpoints of what is", "     0  trials that no longer belong to their ex",
    "kept: 1 finished trial that")
  make_trial("gp", zeros, 2, "elu", "complete", 0.125)
  has(runner("gc", "--dry-run", "--yes", "--runs=gp"), "2  trials that no longer belong to")
  has(runner("gc", "--dry-run", "--yes", "--runs=gp"), "0  leftovers of processes that died")
end

function tests.test_show_says_how_many_begin_so()
  make_study "sm"
  for seed = 2, 13 do make_trial("sm", zeros, seed, "elu", "complete", 0.5) end
  fails(2, "\n  and 3 more\n", "show", "0", "--runs=sm")
  fails(2, '"": several trials begin so:', "show", "", "--runs=sm")
  local _, err = check.runner { "show", relu, "--runs=sm" }
  lacks(err, "more")
end

local study = [[
  args { epochs = 1 }
  experiment { name = "acts", factors = { act = { "relu", "tanh" }, wide = { "no", "yes" } },
    baseline = { act = "relu", wide = "no" }, seeds = 3, metric = "score", goal = "max",
    rope = 0.001,
    trial = function(c, run)
      if c.act == "tanh" and run.seed == 3 then error "no luck" end
      return { score = (c.act == "relu" and 0.5 or 0.25) + run.seed / 100, cost = run.seed }
    end }
]]

-- What was altered is reported, with what to do next.
function tests.test_verify_says_what_to_do()
  local path = check.file("sound.lua", [[
    experiment { name = "sound", factors = { act = { "relu", "tanh" } }, seeds = 2,
      metric = "loss", trial = function() return { loss = 1 } end }]])
  runner("--runs=vf", path)
  local id = runner("ls", "sound", "--limit=1", "--runs=vf", "--json"):match '"id": "([^"]+)"'
  local result = ("vf/sound/trials/%s/result.json"):format(id)
  check.file(result, (check.read(check.temp .. "/" .. result):gsub('"loss": 1', '"loss": 7')))
  local out, _, status = narrow(80, "--runs=vf", "verify", path)
  check.equal(status, 1)
  out = out:gsub("%s+", " ")
  has(out, "altered: ", ("runner rm sound id=%s removes it; the script, run again"):format(id))
end

-- The commands on what a study recorded.
function tests.test_a_study()
  local path = check.file("acts.lua", study)
  local printed, _, status = check.runner { "--runs=s", path }
  check.equal(status, 1)
  has(runner("ls", "--runs=s", "--json"), '"trials": 12', '"complete": 10', '"failed": 2')
  has(runner("ls", "acts", "--cells", "--sort=-mean", "--runs=s"), "relu", "0.52", "failed")
  has(runner("ls", "acts", "cost=2", "wide=yes", "act=tanh", "--runs=s"), "0.27")
  local trial = runner("ls", "acts", "cost=2", "wide=yes", "act=tanh", "--runs=s", "--json")
    :match '"id": "([^"]+)"'
  has(runner("show", trial, "--runs=s"), "configuration", "score", "provenance", "fingerprint")
  has(runner("show", "acts", "--runs=s"), "script:", "relu, tanh", "failed")
  local compared = runner("compare", "acts", "--runs=s")
  has(compared, "tanh", "relu")
  check.yes(printed:find(compared:sub(1, 200), 1, true) ~= nil)
  for format, part in pairs { md = "\n|---|---|---:|", html = "</table>\n", json = '"rows"',
    latex = "\\end{tabular}\n", csv = "\nrelu,yes,3,0.5200,", text = "acts: score" } do
    has(runner("compare", "acts", "--format", format, "--runs=s"), part)
  end
  fails(2, 'csv, json; did you mean "html"?', "compare", "acts", "--format=htm", "--runs=s")
  has(runner("compare", "acts", "--json", "--metric=cost", "--goal=min", "--runs=s"),
    '"contrasts"', '"goal": "min"', '"rope": null', '"rope_of": "score"')
  has(runner("compare", "acts", "--metric=cost", "--goal=min", "--runs=s"),
    "The script's rope is one of score: to cost it was not applied.")
  fails(2, "--goal max or --goal min", "compare", "acts", "--metric=cost", "--runs=s")
  fails(2, "--goal up: allowed: max, min", "compare", "acts", "--goal=up", "--runs=s")
  fails(2, 'did you mean "cost"', "compare", "acts", "--metric=cots", "--runs=s")
  fails(2, "; there are: cost, score\n", "compare", "acts", "--metric=zzzzzz", "--runs=s")
  fails(2, 'did you mean "acts"', "compare", "atcs", "--runs=s")
  check.equal(runner("retry", "acts", "--runs=s"), "to be run again: 2 trials\n")
  has(runner("ls", "acts", "state=pending", "--runs=s", "--json"), '"attempts": 1')
  check.file("acts.lua", (study:gsub("and run.seed == 3", "and false")))
  local _, err, again = check.runner { "--runs=s", "--code=keep", path }
  if again ~= 0 then error(err) end
  has(runner("ls", "--runs=s", "--json"), '"complete": 12')
  check.equal(lines(runner("export", "acts", "--runs=s")), 13)
end

-- More cells than compare shows: it says what lists them, of the metric that was asked for.
function tests.test_a_study_of_many_cells()
  local path = check.file("many.lua", [[
    local levels = { 1, 2, 3, 4, 5, 6, 7 }
    experiment { name = "many", factors = { a = levels, b = levels }, seeds = 1,
      baseline = { a = 1, b = 1 }, metric = "score", goal = "max",
      trial = function(c) return { score = 10 * c.a + c.b, cost = c.a } end }
  ]])
  local printed, _, status = check.runner { "--runs=m", path }
  check.equal(status, 0)
  local function joined(text) return (text:gsub("%s+", " ")) end
  has(joined(printed), "and 9 more, the last: a=1, b=1 11.0; `runner ls many --cells` lists all")
  has(joined(runner("compare", "many", "--metric=cost", "--goal=min", "--runs=m")),
    "; `runner ls many --cells --metric=cost` lists all")
  has(runner("ls", "many", "--cells", "--metric=cost", "--limit=0", "--runs=m"), "mean cost")
end

-- experiment.json was edited, or cut: that is said, and what does not need it goes on.
function tests.test_a_plan_that_is_none()
  make_study "p"
  local whole = check.read(check.temp .. "/p/study/experiment.json")
  for text, part in pairs { ["{}"] = '"cells" is missing', ['{"cells": []}'] = '"seeds"',
    ['{"cells": 3}'] = '"cells" is something else', [whole:sub(1, 200)] = "line ",
    [whole:gsub('%[1, 2%]', '[1, "two"]')] = '"seeds" is something else' } do
    check.file("p/study/experiment.json", text)
    for _, command in ipairs { "compare", "show", "ls" } do
      fails(4, "p/study/experiment.json", command, "study", "--runs=p")
      fails(4, part, command, "study", "--runs=p")
    end
    has(runner("ls", "--runs=p"), "study")
    has(runner("show", relu .. "-s2", "--runs=p"), "state: complete")
    fails(4, part, "resume", "study", "--runs=p")
  end
  has(runner("rm", "study", "--yes", "--runs=p"), "removed: 5 trials")
end

-- A plain script's runs, one of them still going.
function tests.test_runs_of_scripts()
  check.file("plain.lua", [[
    local args = args { epochs = 2, wait = false }
    train.fit(nn.Sequential { nn.Dense(2) }, data.spirals { n = 20, classes = 2 }, {
      loss = "sparse_categorical_crossentropy", epochs = args.epochs, verbose = false })
    if args.wait then
      os.execute(("'%s' ls plain --json >during.txt"):format(os.getenv "RUNNER"))
    end
  ]])
  runner("plain.lua", "epochs=3")
  runner("plain.lua", "wait=true", "seed=5")
  has(check.read(check.temp .. "/during.txt"), '"state": "running"', '"seed": 5')
  local out = runner("ls", "plain", "--json")
  lacks(out, "running")
  has(out, '"epochs": 3', '"loss"', '"digest"')
  has(runner("ls"), "plain", "runs")
  has(runner("ls", "plain", "epochs=3"), "complete")
  has(runner("ls", "plain", "seed=5", "--json"), '"wait": true')
  check.equal(runner("rm", "plain", "seed=5"), "removed: 1 trial\n")
  lacks(runner("ls", "plain", "--json"), '"seed": 5')
end

-- -- what records hold ------------------------------------------------------------------

-- Keys and texts may be anybody's: no terminal does anything by them. An export of data has
-- them as they are, one of a document shows ? for what is no character.
function tests.test_texts_of_records()
  make_study "ta"
  local at = ("ta/study/trials/%s-s1/"):format(relu)
  check.file(at .. "result.json", [[{"state": "complete", "message": "m\u001b[5mM", "values":
    {"accuracy": 0.5, "\u001b[31mK": 1, "t": "a\u001b]0;x\u0007b\u009bc|d\r\ne"}}]])
  local plan = check.read(check.temp .. "/ta/study/experiment.json")
  check.file("ta/study/experiment.json",
    (plan:gsub('"s.lua"', '"\\u001b[2Js.lua"'):gsub('"accuracy"', '"accuracy\\u001b[1m"')))
  local id = relu .. "-s1"
  for _, words in ipairs { { "show", id }, { "show", "study" }, { "ls", "study" }, { "compare",
    "study" }, { "ls", "study", "--cells" }, { "gc", "--dry-run" } } do
    words[#words + 1] = "--runs=ta"
    local out, err = check.runner(words)
    check.yes(not (out .. err):find "[\27\7\r\194]", table.concat(words, " "))
  end
  has(runner("show", id, "--runs=ta"), "?[31mK", "message: m?[5mM")
  has(runner("show", "study", "--runs=ta"), "script: ?[2Js.lua", "accuracy?[1m")
  local csv = runner("export", "study", "--runs=ta", "seed=1", "act=relu")
  has(csv, "\27[31mK", '"a\27]0;x\7b\194\155c|d\r\ne"', "m\27[5mM")
  for format, message in pairs { md = "m?[5mM", latex = "m?{[}5mM" } do
    local text = runner("export", "study", "--runs=ta", "--format=" .. format)
    check.equal(text:find "[\7\r\27\194]", nil)
    has(text, "]0;x?b?c", message)
  end
  runner("export", "study", "--runs=ta", "seed=1", "act=relu", "--out", check.temp .. "/ta.csv")
  check.equal(check.read(check.temp .. "/ta.csv"), csv)
  has(runner("export", "study", "--runs=ta", "--json"), "a\\u001b]0;x\\u0007b\194\155c|d")
end

-- A meta.json that is none says nothing, and that is reported.
function tests.test_a_meta_that_is_none()
  make_study "tb"
  local at = ("tb/study/trials/%s-s1/meta.json"):format(relu)
  for _, text in ipairs { "[]", "x", '{"attempts": {}}', '{"attempts": [3]}', '{"data": []}' } do
    check.file(at, text)
    check.file(at:gsub("meta", "result"), '{"state": "complete", "values": {"accuracy": 0.5}}')
    has(runner("show", relu .. "-s1", "--runs=tb"), "state: complete", "message: ", at)
    has(runner("ls", "study", "--runs=tb"), "meta.json")
    has(runner("export", "study", "seed=1", "act=relu", "--runs=tb"), "meta.json")
    runner("retry", "study", "seed=1", "act=relu", "state=complete", "--runs=tb")
    has(runner("ls", "study", "seed=1", "act=relu", "--runs=tb"), "pending")
  end
end

-- A pipe, a directory in place of a record: reported, not waited for.
function tests.test_records_that_are_no_files()
  local wrong = { "result.json", "meta.json", "config.json", "metrics.csv", "lock" }
  for i, name in ipairs(wrong) do
    local runs = "tc" .. i
    make_study(runs)
    local at = ("%s/study/trials/%s-s1/%s"):format(runs, relu, name)
    shell(("rm -f %s && mkfifo %s"):format(at, at))
    runner("ls", "study", "--runs=" .. runs)
    local _, told, shown = check.runner { "show", relu .. "-s1", "--runs=" .. runs }
    check.equal(shown, name == "result.json" and 4 or 0)
    if shown == 4 then has(told, at .. ": cannot be read: is not a file") end
    runner("doctor", "--runs=" .. runs)
    local _, err, status = check.runner { "export", "study", "--metrics", "--runs=" .. runs }
    check.equal(status, name == "metrics.csv" and 4 or 0)
    if status == 4 then has(err, at .. ": cannot be read: is not a file") end
  end
end

check.run(tests)
