-- retry, rm and gc beside studies that run, links, and what others put into a store.

local check = dofile "tests/check.lua"
local records = dofile "tests/cli/records.lua"
local relu, tanh, has = records.relu, records.tanh, records.has
local runner, fails = records.runner, records.fails
local make_trial, make_study = records.make_trial, records.make_study
local exists, shell = records.exists, records.shell
local tests = {}

-- Starts the script in the background and waits for what `ready` sees, or its end.
local function start(script, runs, ready)
  os.remove(check.temp .. "/ended")
  os.execute(("cd '%s' && { '%s' --jobs 2 '%s' --runs %s >said 2>&1; "
    .. "echo $? >ended.new; mv ended.new ended; } &")
    :format(check.temp, os.getenv "RUNNER", script, runs))
  while not ready() and not exists "ended" do os.execute "sleep 0.02" end
end

local function ended()
  while not exists "ended" do os.execute "sleep 0.02" end
  return check.read(check.temp .. "/ended"), check.read(check.temp .. "/said")
end

-- A study between two of its trials: what it is about to run belongs to it.
function tests.test_rm_leaves_an_experiment_that_is_run()
  local script = check.file("held.lua", [[
    experiment { name = "held", factors = { k = { "1", "2" } }, seeds = 1, metric = "score",
      goal = "max",
      trial = function(c, run)
        while c.k == "2" and not io.open "go" do os.execute "sleep 0.02" end
        return { score = 1.5 }
      end }]])
  start(script, "fr", function()
    return shell "ls fr/held/trials/*/result.json" ~= "" and exists "fr/held/experiment.json"
      and not shell "ls fr/held/trials/*/result.json":find "cannot"
  end)
  local out, err = runner("rm", "held", "--dry-run", "--runs=fr")
  check.equal(out, "would be removed: 1 trial\nleft alone, since they run: 1 trial\n")
  local done = runner("rm", "held", "--yes", "--runs=fr")
  check.equal(done, (out:gsub("would be removed", "removed")))
  has(err, " runs the study: what belongs to it stays")
  check.yes(exists "fr/held/experiment.json" and exists "fr/held/trials/.")
  check.file("go", "")
  check.equal(ended(), "0\n")
end

-- The number of a process that died is another's by now: the lock of its mark is free.
function tests.test_a_mark_whose_number_was_taken_again()
  make_study "fm"
  local boot = check.read "/proc/sys/kernel/random/boot_id":gsub("%s", "")
  check.file(("fm/study/.unsynced-1-%s"):format(boot), "")
  local out, err = runner("rm", "study", "--yes", "--runs=fm")
  check.equal({ out, err }, { "removed: 5 trials\n", "" })
  check.yes(not exists "fm/study/.")
end

function tests.test_leftovers_whose_number_was_taken_again()
  make_study "fn"
  shell "mkdir fn/.verify-1 fn/.doctor-1 fn/.verify-1x fn/.verify- && touch fn/study/a.tmp-1-1f"
  check.file("fn/.doctor-1/file", "x")
  has(runner("gc", "--runs=fn"), " 0  leftovers of")
  shell "touch -d 2000-01-01 fn/.verify-1 fn/.doctor-1 fn/.verify-1x fn/.verify- fn/study/a.tmp*"
  has(runner("gc", "--runs=fn"), " 3  leftovers of")
  check.equal(shell "ls -Ad fn/.[vd]*", "fn/.verify-\nfn/.verify-1x\n")
  check.yes(not exists "fn/study/a.tmp-1-1f")
end

-- Trials are claimed, by the script that runs, between the look at them and their removal.
function tests.test_rm_stops_no_study()
  local script = check.file("live.lua", [[
    experiment { name = "live", factors = { k = { "1", "2" } }, seeds = 30,
      metric = "score", goal = "max",
      trial = function(c, run)
        local begin = os.clock()
        while os.clock() - begin < 0.02 do end
        return { score = run.seed + 0.5 }
      end }]])
  start(script, "live", function() return exists "live/live/experiment.json" end)
  while not exists "ended" do check.runner { "rm", "live", "--yes", "--runs=live" } end
  local status, said = ended()
  check.equal(status, "0\n", said)
end

-- -- links, and what others put into a store --------------------------------------------

-- What is in a directory and below, a name a line.
local function tree(directory) return shell(("find %s | sort"):format(directory)) end

-- Runs of a plain script, and a study with its code: reading is well, writing is not.
function tests.test_runs_and_studies_behind_a_link()
  local script = check.file("lined.lua", [[
    train.fit(nn.Sequential { nn.Dense(2) }, data.moons { n = 32 },
      { loss = "cross_entropy", epochs = 1, verbose = false }) print "done" ]])
  local study = check.file("lone.lua", [[
    experiment { name = "lone", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c, run) return { loss = c.a } end }]])
  runner("--runs=lr", script)
  runner("--runs=lr", study)
  shell "mkdir far && mv lr/lined lr/lone far && ln -s ../far/lined ../far/lone lr/"
  local before = tree "far"
  fails(4, "lr/lined: is a link to ../far/lined: what is behind links", "--runs=lr", script)
  for _, words in ipairs { { "seed=1", "--yes" }, { "--yes" } } do
    fails(4, "lr/lined: is a link to", "rm", "lined", "--runs=lr", table.unpack(words))
  end
  has(runner("ls", "lined", "--runs=lr"), "complete")
  has(runner("compare", "lone", "--runs=lr"), "lone: loss")
  has(runner("--runs=lr", "verify", study), "2 of 2 records are whole")
  local _, told, status = check.runner { "--runs=lr", study }
  check.equal(status, 4)
  has(told, "lr/lone: is a link to ../far/lone: what is behind links is read, never changed")
  check.equal(tree "far", before)
  shell "ln -s far ls"      -- the directory of runs itself may be one
  runner("--runs=ls", study)
  check.equal(runner("rm", "lone", "--yes", "--runs=ls"), "removed: 2 trials\n")
end

function tests.test_nothing_behind_a_link_is_changed()
  make_study "la"
  make_study "lb"
  shell "mv la/study behind && mkdir behind/mine && echo k >behind/mine/file"
  shell "ln -s ../behind la/study"
  local before = tree "behind"
  has(runner("ls", "study", "--runs=la"), relu .. "-s1", "complete")
  for _, words in ipairs { { "rm" }, { "rm", "--dry-run" }, { "rm", "--yes" },
    { "rm", "act=relu", "--yes" }, { "retry" }, { "retry", "--dry-run" }, { "gc", "--yes" } } do
    local out, err, status = check.runner { words[1], "study", "--runs=la", table.unpack(words, 2) }
    check.equal(status, 4, table.concat(words, " "))
    has(out .. err, "la/study: is a link to ../behind: what is behind links is read, never")
  end
  local _, err = runner("gc", "--yes", "--runs=la")
  has(err, "la/study: is a link to ../behind")
  check.equal(tree "behind", before)
  -- A trial that is a link: the others are dealt with.
  shell(("mv lb/study/trials/%s-s1 one && ln -s ../../../one lb/study/trials/%s-s1")
    :format(tanh, tanh))
  shell "touch one/metrics-of-mine.txt one/checkpoint-mine.txt"
  before = tree "one"
  for _, words in ipairs { { "retry", "state=failed,complete,interrupted" },
    { "rm", "act=tanh", "--yes" } } do
    local out, told, status = check.runner { words[1], "study", "--runs=lb",
      table.unpack(words, 2) }
    check.equal(status, 4)
    has(told, ("trials/%s-s1: is a link to ../../../one"):format(tanh),
      "left as they are: 1 trial")
    has(out, words[1] == "rm" and "removed: 1 trial\n" or "to be run again: 3 trials\n")
    check.equal(tree "one", before)
  end
  -- With the experiment goes the link, not what is behind it.
  local dry = runner("rm", "study", "--dry-run", "--runs=lb")
  check.equal(dry, ("what else lies in lb/study goes too:\n  trials/%s-s1 -> ../../../one\n"
    .. "would be removed: 3 trials\n"):format(tanh))
  check.equal(runner("rm", "study", "--yes", "--runs=lb"), (dry:gsub("would be ", "")))
  check.equal(tree "one", before)
  check.yes(not exists "lb/study/.")
end

function tests.test_rm_removes_experiments_only()
  make_study "lc"
  shell "mkdir -p lc/notes/deep lc/odd/trials lc/empty && echo k >lc/notes/deep/file"
  shell "echo k >lc/odd/mine && mkdir lc/odd/trials/other"
  for _, name in ipairs { "notes", "odd", "empty" } do
    for _, words in ipairs { {}, { "--dry-run" }, { "--yes" } } do
      fails(2, ("lc/%s is no experiment"):format(name), "rm", name, "--runs=lc",
        table.unpack(words))
    end
  end
  check.yes(exists "lc/notes/deep/file" and exists "lc/odd/trials/other" and exists "lc/empty/.")
  shell "mkdir -p lc/begun/trials"   -- all that a study left that asked about code, say
  check.equal(runner("rm", "begun", "--yes", "--runs=lc"), "removed: 0 trials\n")
end

function tests.test_rm_names_what_else_goes()
  make_study "ld"
  shell("mkdir -p ld/study/mine ld/study/trials/mine ld/study/code ld/far && cd ld/study "
    .. "&& echo k >mine/file && echo k >trials/notes.txt && echo k >code/x "
    .. "&& echo k >code/0123456789abcdef-s.lua && ln -s ../far away && echo k >../far/file")
  local dry = runner("rm", "study", "--dry-run", "--runs=ld")
  check.equal(dry, "what else lies in ld/study goes too:\n  away -> ../far\n  code/x\n  mine/\n"
    .. "  trials/mine/\n  trials/notes.txt\nwould be removed: 5 trials\n")
  has(runner("rm", "study", "--dry-run", "--json", "--runs=ld"), '"others": ["away -> ../far",')
  fails(2, "5 trials of study, and what else", "rm", "study", "--runs=ld")
  check.equal(runner("rm", "study", "--yes", "--runs=ld"), (dry:gsub("would be ", "")))
  check.equal(shell "ls ld; cat ld/far/file", "far\nindex.sqlite\nindex.sqlite-shm\n"
    .. "index.sqlite-wal\nk\n")
end

-- One trial goes unasked, what else lies there does not.
function tests.test_rm_asks_before_what_is_not_ours()
  make_trial("le", relu, 1, "relu", "complete", 0.5)
  check.file("le/study/mine", "")
  fails(2, "1 trial of study, and what else lies there; add --yes", "rm", "study", "--runs=le")
  os.remove(check.temp .. "/le/study/mine")
  check.equal(runner("rm", "study", "--runs=le"), "removed: 1 trial\n")
end

-- One that is not to be dealt with stops none of the others.
function tests.test_gc_goes_on_after_one()
  make_study "lf"
  shell "cp -r lf/study lf/torn && cp -r lf/study \"lf/$(printf 'Z\\001')\""
  shell "cp -r lf/study lf/a && rm -r lf/a/trials && touch lf/a/trials"
  check.file("lf/torn/experiment.json", "{")
  shell "mkdir lf/study/trials/.removed-x lf/a/.removed-x lf/torn/trials/.removed-x"
  local out, err, status = check.runner { "gc", "--runs=lf" }
  check.equal(status, 4)
  check.yes(exists "lf/a/.removed-x/.")
  has(err, "warning: experiment name \"Z?\": allowed", "warning: lf/torn/experiment.json",
    "gc: left as they are, for the reasons above: 1 experiment")
  has(out, " 1  leftover of")
  check.equal(shell "ls -Ad lf/*/trials/.rem*", "lf/torn/trials/.removed-x\n")
  shell "rm -r lf/torn"
  local _, left = runner("gc", "--runs=lf")
  has(left, "\"Z?\"")
end

check.run(tests)
