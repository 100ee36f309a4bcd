-- The program from outside: options, arguments, exit codes, records.

local check = dofile "tests/check.lua"
local tests = {}

local function runner(words, environment) return check.runner(words, environment) end

function tests.test_version_says_what_computes()
  local out, _, status = runner { "--version", "--threads", "3" }
  check.equal(status, 0)
  for _, part in ipairs { "runner 0", "numerics ", "Lua 5.4", "BLIS 0.", "kernels", "SIMD",
                          "threads 3" } do
    check.yes(out:find(part, 1, true) ~= nil)
  end
end

function tests.test_blis_kernel_set_is_the_users_if_he_says_so()
  local out = runner({ "--version" }, "BLIS_ARCH_TYPE=3")
  check.yes(out:find("haswell", 1, true) ~= nil)
  local _, err, status = runner({ "--version" }, "BLIS_ARCH_TYPE=nonsense")
  check.yes(status ~= 0 and err:find("BLIS_ARCH_TYPE", 1, true) ~= nil)
end

function tests.test_threads_from_the_environment()
  check.yes(runner({ "--version" }, "OMP_NUM_THREADS=5"):find("threads 5", 1, true) ~= nil)
end

function tests.test_help()
  local out, _, status = runner { "--help" }
  check.equal(status, 0)
  check.yes(out:find("usage", 1, true) and out:find("--threads", 1, true) ~= nil)
end

function tests.test_without_arguments_stdin_is_the_script_unless_it_is_a_terminal()
  local out, err, status = runner {} -- stdin is empty
  check.equal({ out, err, status }, { "", "", 0 })
end

function tests.test_unknown_options()
  local _, err, status = runner { "--versoin" }
  check.equal(status, 2)
  check.yes(err:find("did you mean --version", 1, true) ~= nil)
  local _, _, bad = runner { "--threads", "0", "-e", "" }
  check.equal(bad, 2)
end

function tests.test_code_and_stdin()
  local out, _, status = runner { "-e", "print(tensor{1,2}:sum():item())" }
  check.equal({ out, status }, { "3.0\n", 0 })
  local _, _, empty = runner { "-" } -- stdin is empty
  check.equal(empty, 0)
end

local with_args = [[
  local args = args { depth = { 10, "number of layers" }, lr = 0.5, name = "x", quick = false }
  print(args.depth, args.lr, args.name, args.quick, args.seed)
]]

function tests.test_arguments()
  local path = check.file("a.lua", with_args)
  local out, _, status = runner { path, "depth=3", "lr=1", "quick=true", "seed=7" }
  check.equal({ out, status }, { "3\t1.0\tx\ttrue\t7\n", 0 })
  for word, part in pairs { ["depth=2.5"] = "an integer", ["lr=abc"] = "a number",
    ["quick=1"] = "true or false", ["dept=3"] = "did you mean \"depth\"", ["x"] = "key=value",
    ["seed=-1"] = "at least 0" } do
    local _, err, code = runner { path, word }
    check.equal({ word, code }, { word, 2 })
    check.yes(err:find(part, 1, true) ~= nil)
  end
end

function tests.test_script_help()
  local out, _, status = runner { check.file("a.lua", with_args), "--help" }
  check.equal(status, 0)
  check.yes(out:find("depth", 1, true) and out:find("number of layers", 1, true) ~= nil)
  local bare = runner { check.file("b.lua", "print 'ran'"), "--help" }
  check.yes(bare:find("seed", 1, true) ~= nil)
end

function tests.test_seed_decides_the_draws()
  local draw = check.script_output "print(tensor.rand(1):item(), math.random())"
  check.equal(draw { "seed=4" }, draw { "seed=4" })
  check.yes(draw { "seed=4" } ~= draw { "seed=5" })
  check.equal(draw {}, draw { "seed=1" })
end

local training = [[
  local set = data.moons { n = 64 }
  local net = nn.Sequential { nn.Dense(4, { activation = "tanh" }), nn.Dense(2) }
  local h = train.fit(net, set, { loss = "sparse_categorical_crossentropy", epochs = 2,
    optimizer = "sgd", metrics = { "accuracy" }, validation = 0.25 })
  print("done", #h.loss)
]]

function tests.test_record_of_a_script()
  local path = check.file("moons.lua", training)
  local out, err, status = runner { "--runs", "rec", path, "seed=3" }
  check.equal(status, 0)
  check.equal(out, "done\t2\n")
  local dir = err:match "record: (%S+)"
  check.yes(dir:find "^rec/moons/%d+T%d+Z" ~= nil)
  dir = check.temp .. "/" .. dir
  check.yes(check.read(dir .. "/config.json"):find('"seed": 3', 1, true) ~= nil)
  check.equal(check.read(dir .. "/stdout.log"), "done\t2\n")
  check.yes(check.read(dir .. "/result.json"):find("complete", 1, true) ~= nil)
  local header, first, second = check.read(dir .. "/metrics.csv"):match "^(.-)\n(.-)\n(.-)\n$"
  check.yes(header:find("^epoch,loss,accuracy,val_loss,val_accuracy") ~= nil)
  check.yes(first:find "^1," and second:find "^2," ~= nil)
end

function tests.test_runs_are_equal_to_the_byte_but_for_time()
  local path = check.file("moons.lua", training)
  local function metrics(options)
    local _, err = runner { "--runs", "rec", table.unpack(options) }
    local text = check.read(check.temp .. "/" .. err:match "record: (%S+)" .. "/metrics.csv")
    local columns, rows = {}, {}
    for line in text:gmatch "[^\n]+" do
      local cells = {}
      for cell in line:gmatch "[^,]+" do cells[#cells + 1] = cell end
      if not columns.n then columns = cells; columns.n = #cells end
      local kept = {}
      for i, cell in ipairs(cells) do
        if columns[i] ~= "time_s" then kept[#kept + 1] = cell end
      end
      rows[#rows + 1] = table.concat(kept, ",")
    end
    return rows
  end
  local one = metrics { "--threads", "1", path }
  check.equal(metrics { "--threads", "7", path }, one)
  check.equal(metrics { "--threads", "2", path }, one)
end

function tests.test_code_given_directly_records_nothing()
  local _, err, status = runner { "--runs", "none", "-e", training }
  check.equal(status, 0)
  check.yes(err:find("record:", 1, true) == nil)
  check.yes(io.open(check.temp .. "/none") == nil)
end

function tests.test_a_fit_keeps_a_record_of_its_own_where_told()
  local code = [[
    local set = data.moons { n = 64 }
    local function fit(record, callbacks, lr)
      return train.fit(nn.Dense(2), set, { loss = "cross_entropy", record = record,
        test = set, optimizer = optim.SGD { lr = lr or 0.1 }, callbacks = callbacks or {} })
    end
    fit "mine"
    fit(true)
    print(pcall(fit, "around", { function() fit "within" end }))
    pcall(fit, "broken", { function() error "stop here" end })
    fit(false)
  ]]
  local out, err, status = runner { "--runs", "own", "-e", code }
  check.equal(status, 0)
  check.yes(out:find('option "record"', 1, true) ~= nil)
  local at = {}
  for directory, name in err:gmatch "record: (own/(%w+)/%S+)" do
    check.yes(at[name] == nil)
    at[name] = check.temp .. "/" .. directory
  end
  check.yes(at.within == nil and at.around ~= nil)
  local result = check.read(at.mine .. "/result.json")
  check.yes(result:find('"complete"', 1, true) and result:find '"test_loss": ' ~= nil)
  check.equal(select(2, check.read(at.mine .. "/metrics.csv"):gsub("\n", "")), 2)
  check.yes(check.read(at.prompt .. "/result.json"):find('"complete"', 1, true) ~= nil)
  local broken = check.read(at.broken .. "/result.json")
  check.yes(broken:find('"failed"', 1, true) and broken:find("stop here", 1, true) ~= nil)
end

function tests.test_a_fit_of_a_script_may_be_left_out_of_its_record()
  local code = training:gsub("epochs = 2", "epochs = 2, record = keep")
  local path = check.file("kept.lua", "local keep = args { keep = true }.keep\n" .. code)
  local _, err = runner { "--runs", "rec", path, "keep=false" }
  check.yes(err:find("record:", 1, true) == nil)
  _, err = runner { "--runs", "rec", path }
  check.yes(err:find "record: rec/kept/" ~= nil)
end

function tests.test_plan_dump_shows_the_stages_and_trains_nothing()
  local built = training:gsub("local h", "net:build { 2 }\nlocal h")
  local path = check.file("moons.lua", built)
  local out, _, status = runner { "plan-dump", path }
  check.equal(status, 0)
  for _, part in ipairs { "forward graph", "with gradients", "matmul", "sgd_update", "job 1",
    "(commit)", "arena", "naive buffers" } do
    check.yes(out:find(part, 1, true) ~= nil)
  end
  check.yes(out:find("done", 1, true) == nil)
  local even = training:gsub("validation = 0.25", "batch_size = 16")
  local at_first_use, told, code = runner { "plan-dump", check.file("unbuilt.lua", even) }
  check.equal({ code, told:match "runner: .*" }, { 0, nil })
  check.yes(at_first_use:find("sgd_update", 1, true) ~= nil, at_first_use)
  local _, err, none = runner { "plan-dump", check.file("none.lua", "print(1)") }
  check.equal(none, 1)
  check.yes(err:find("no training step", 1, true) ~= nil)
end

function tests.test_files_hold_no_control_characters()
  local _, err = runner { check.file("moons.lua", training) }
  check.yes(err:find("[%c]", 1) ~= nil and err:gsub("\n", ""):find "%c" == nil)
end

function tests.test_wrong_arguments_give_one_line()
  local path = check.file("args.lua", "args { n = 3 }")
  for _, word in ipairs { "n=x", "m=1", "n", "seed=-1" } do
    local _, err, status = runner { path, word }
    check.equal(status, 2)
    check.yes(err:match("^runner: [^\n]+\n$") ~= nil)
  end
end

function tests.test_math_random_belongs_to_the_seed()
  local path = check.file("random.lua", "print(math.random(1 << 40))")
  local declared = check.file("declared.lua",
    "args { seed = 3 } print(math.random(1 << 40))")
  local one, three = runner { path }, runner { path, "seed=3" }
  check.yes(one ~= three)
  check.equal(runner { path, "seed=1" }, one)
  check.equal(runner { declared }, three)
end

function tests.test_a_misspelt_command()
  local _, err, status = check.runner { "plann", "x.lua" }
  check.equal(status, 2)
  check.yes(err:find("did you mean runner plan?", 1, true) ~= nil)
  _, err, status = check.runner { "--json", "-e", "print(1)" }
  check.equal(status, 2)
  check.yes(err:find("--json: allowed with plan", 1, true) ~= nil)
  check.yes(check.runner({ "help" }):find("usage: runner [options]    ", 1, true) ~= nil)
  _, err = check.runner { "plan", "-e", "print(1)" }
  check.yes(err:find("-e: the script has no experiment", 1, true) ~= nil)
end

function tests.test_a_command_says_what_it_lacks()
  for _, name in ipairs { "plan", "run", "verify", "plan-dump" } do
    local out, err, status = runner { name }
    check.equal({ out, err, status }, { "", ("runner: %s: a script is missing: runner %s "
      .. "script.lua [key=value ...]\n"):format(name, name), 2 })
  end
  local _, err, status = runner { "resume" }
  check.equal(status, 2)
  check.yes(err:find("resume: the name of an experiment is missing", 1, true) ~= nil)
end

function tests.test_verify_trains_no_plain_script()
  local path = check.file("plainly.lua", training)
  for command, says in pairs { verify = "the script has no experiment",
    plan = "the script trains before its experiment{}, or has none" } do
    local out, err, status = runner { "--runs", "verified", command, path }
    check.equal({ out, status }, { "", 2 })
    check.yes(err:find(command .. ": " .. says, 1, true) ~= nil, err)
    check.yes(io.open(check.temp .. "/verified") == nil)
  end
end

-- A net that the script trains first is what its trials begin with.
function tests.test_verify_of_a_script_that_trains_first()
  local path = check.file("first.lua", training .. [[

    experiment { name = "first", factors = { a = { 1 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a } end }
  ]])
  runner { "--runs", "first", path }
  local out, _, status = runner { "--runs", "first", "verify", path }
  check.equal(status, 0)
  check.yes(out:find("1 of 1 trials came to the same digest", 1, true) ~= nil, out)
end

function tests.test_help_fits_a_terminal()
  for _, words in ipairs { { "--help" }, { "help", "verify" }, { "resume", "--help" },
    { "ls", "--help" }, { "gc", "--help" }, { "export", "--help" } } do
    for line in runner(words, "COLUMNS=80"):gmatch "[^\n]+" do check.yes(#line <= 80, line) end
  end
end

function tests.test_resume_names_what_there_is()
  local path = check.file("again.lua", [[
    experiment { name = "again", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a } end } ]])
  runner { "--runs", "resumed", path }
  os.execute(("cp -r '%s/resumed/again' '%s/resumed/before'"):format(check.temp, check.temp))
  for word, part in pairs { agian = '; did you mean "again"?', nosuch = "; runner ls lists them",
    before = "go on with that: resume again, or run the script with another name" } do
    local _, err, status = runner { "--runs", "resumed", "resume", word }
    check.equal(status, 2)
    check.yes(err:find(part, 1, true) ~= nil, err)
  end
end

function tests.test_help_of_a_word()
  local function says(word, ...)
    local out, err, status = runner { "help", word }
    check.equal({ err, status }, { "", 0 })
    for _, part in ipairs { ... } do check.yes(out:find(part, 1, true) ~= nil, out) end
    return out
  end
  local plan = says("plan", "usage: runner plan [options] script.lua [key=value ...]\n",
    "what is left to run", "\n  --json ", "\n  --code HOW ", "key=value sets an argument")
  check.yes(plan:find("--sample", 1, true) == nil)
  says("verify", "[key=value ...]", "\n  --sample N ", "\n  --json ")
  says("run", "[key=value ...]", "\n  --fail-fast ", "\n  --jobs N ")
  check.equal(runner { "plan", "--help" }, plan)
  check.equal(runner { "ls", "--help" }, says("ls", "usage: runner ls", "--cells"))
  says("experiment", "experiment {", "baseline")
  says("nn.Dense", "nn.Dense(units, { options })")
  says("init", "init: initializers")
  for word, near in pairs { plam = '; did you mean "plan"?', ["nn.Dens"] = '"nn.Dense"?',
    qqqqqqqqqq = "runner --help lists the commands" } do
    local out, err, status = runner { "help", word }
    check.equal({ out, status }, { "", 2 })
    check.yes(err:find(near, 1, true) ~= nil, err)
  end
  local _, err, status = runner { "help", "plan", "verify" }
  check.equal(status, 2)
  check.yes(err:find("help: allowed: one word", 1, true) ~= nil)
end

function tests.test_an_experiment_is_no_script()
  local path = check.file("once.lua", [[
    experiment { name = "once", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = c.a } end } ]])
  runner { "--runs", "known", path }
  for _, words in ipairs { { "plan", "once" }, { "verify", "once" }, { "once" } } do
    local _, err, status = runner { "--runs", "known", table.unpack(words) }
    check.equal(status, 2)
    check.yes(err:find("once is an experiment; allowed: a script; it was run from " .. path, 1,
      true) ~= nil, err)
  end
end

-- Two logs are open then, of which each begins and ends with its record.
function tests.test_a_fit_with_its_own_record_after_one_of_the_script()
  local path = check.file("both.lua", [[
    local set, net = data.moons { n = 16 }, nn.Sequential { nn.Dense(2) }
    local function fit(record)
      train.fit(net, set, { loss = "cross_entropy", epochs = 1, record = record,
        callbacks = { function() print("in", record) end } })
    end
    print "first"
    fit(nil) fit "apart" fit(nil)
    print "last"
  ]])
  local out, err, status = check.runner { "--runs", "both", path }
  check.equal({ status, err:find("error", 1, true) }, { 0 })
  local function log(name)
    local pipe = io.popen(("cat %s/both/%s/*/stdout.log"):format(check.temp, name))
    local text = pipe:read "a"
    pipe:close()
    return text
  end
  check.equal(log "both", out)
  check.equal(log "apart", "in\tapart\n")
end

check.run(tests)
