-- Studies whose processes are killed, or that two coordinators run at once: nothing that was
-- published is lost, each trial is published once, and all come to the digests of an
-- undisturbed study. LONG=1 kills 50 times, else a few times.

local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"
local rounds, n_seeds = long and 50 or 3, long and 200 or 6
local runner = os.getenv "RUNNER"

local script = check.file("study.lua", ([[
  local set = data.spirals { n = ROWS, classes = 3 }
  experiment { name = "study", factors = { norm = { "none", "batch" }, width = { 8, 16 } },
    seeds = SEEDS, metric = "val_accuracy",
    trial = function(c, run)
      local net = nn.Sequential { nn.Dense(c.width), nn.norm(c.norm), nn.activation "relu",
        nn.Dense(3) }
      return train.fit(net, set, { loss = "sparse_categorical_crossentropy",
        optimizer = optim.Adam { lr = 0.01 }, epochs = 6, validation = 0.25,
        metrics = { "accuracy" }, run = run })
    end }
]]):gsub("SEEDS", tostring(n_seeds)):gsub("ROWS", long and "400" or "200"))

local function shell(code)
  return os.execute(("cd '%s' && bash -c '%s' >>shell.txt 2>&1"):format(check.temp, code))
end

local function published(runs)
  local found, n = {}, 0
  local list = io.popen(("cd '%s/%s/study/trials' && ls -d */result.json 2>/dev/null")
    :format(check.temp, runs))
  for line in list:lines() do
    local id = line:match "^[^/]+"
    found[id] = check.read(("%s/%s/study/trials/%s/result.json"):format(check.temp, runs, id))
    n = n + 1
  end
  list:close()
  return found, n
end

local function digests(runs)
  local found, n = published(runs)
  for id, text in pairs(found) do found[id] = text:match '"digest": "(%x+)"' end
  return found, n
end

local undisturbed

local function check_all(runs)
  if not undisturbed then
    local _, _, status = check.runner { "--runs", "undisturbed", script }
    check.equal(status, 0)
    undisturbed = digests "undisturbed"
  end
  local found, n = digests(runs)
  check.equal(n, 4 * n_seeds)
  check.equal(found, undisturbed)
  local odd = io.popen(("cd '%s/%s/study/trials' && ls | wc -l; ls -d */result-differs* "
    .. "2>/dev/null | wc -l"):format(check.temp, runs))
  check.equal({ odd:read "n", odd:read "n" }, { 4 * n_seeds, 0 })
  odd:close()
end

-- Whom to kill: the coordinator, its workers, or all of them. $p is the coordinator.
local whom = {
  "kill -9 $p",
  "kill -9 $(cat /proc/$p/task/$p/children)",
  "kill -9 $(cat /proc/$p/task/$p/children) $p",
}

function tests.test_killed_at_any_moment()
  local n_before, before = 0, {}
  for round = 1, rounds do
    local delay = 0.1 + 0.5 * ((round * 0.618034) % 1)
    shell(("%s --runs killed study.lua & p=$!; sleep %.3f; %s; sleep 0.05; kill -9 $p; wait")
      :format(runner, delay, whom[round % 3 + 1]))
    local found, n = published "killed"
    check.yes(n >= n_before)
    for id, text in pairs(before) do check.equal(found[id], text) end
    n_before, before = n, found
  end
  local _, err, status = check.runner { "--runs", "killed", script }
  check.equal({ status, err:match "runner: .*" }, { 0, nil })
  check_all "killed"
end

function tests.test_stopped_by_signals_and_resumed()
  for round = 1, rounds do
    local signal = ({ "INT", "TERM", "USR1" })[round % 3 + 1]
    shell(("%s --runs stopped study.lua & p=$!; sleep %.3f; kill -%s $p; wait $p; echo $? "
      .. ">> status.txt"):format(runner, 0.1 + 0.3 * ((round * 0.618034) % 1), signal))
  end
  -- 128 + the signal: it came before the program had begun to listen.
  local allowed = { ["0"] = true, ["3"] = true, ["130"] = true, ["138"] = true, ["143"] = true }
  for status in check.read(check.temp .. "/status.txt"):gmatch "%d+" do
    if not allowed[status] then error("status " .. status) end
  end
  local _, _, status = check.runner { "--runs", "stopped", script }
  check.equal(status, 0)
  check_all "stopped"
end

function tests.test_two_coordinators_share_one_study()
  shell(("%s --runs shared study.lua & p=$!; %s --runs shared study.lua & q=$!; "
    .. "wait $p; echo $? > both.txt; wait $q; echo $? >> both.txt"):format(runner, runner))
  check.equal(check.read(check.temp .. "/both.txt"), "0\n0\n")
  check_all "shared"
end

-- Neither ends before the other one's trials have ended, wherever these run.
function tests.test_two_processes_without_workers_share_one_study()
  check.file("here.lua", [[
    experiment { name = "here", record = true, factors = { a = { 1, 2, 3 } }, seeds = 1,
      metric = "score", goal = "max", trial = function(c)
        io.open("begun-" .. c.a, "w"):close()
        while c.a == 1 and not io.open "go" do os.execute "sleep 0.05" end
        return { score = c.a }
      end } ]])
  shell(([[
    until_there() { n=0; until [ -e $1 ]; do [ $((n=n+1)) -lt 1200 ] || exit 99; sleep 0.05; done; }
    %s - <here.lua >one.txt 2>one-err.txt & p=$!
    until_there begun-1
    %s - <here.lua >two.txt 2>two-err.txt & q=$!
    for a in 2 3; do until_there begun-$a; done
    n=0; while kill -0 $q && [ $((n=n+1)) -lt 20 ]; do sleep 0.05; done
    touch go
    wait $p; echo $? >here.txt; wait $q; echo $? >>here.txt]]):format(runner, runner))
  check.equal(check.read(check.temp .. "/here.txt"), "0\n0\n")
  for _, name in ipairs { "one", "two" } do
    local out = check.read(check.temp .. "/" .. name .. ".txt")
    check.yes(out:find("3 of 3 trials complete", 1, true) ~= nil, out)
    check.yes(check.read(check.temp .. "/" .. name .. "-err.txt"):find(" 0 left\n", 1, true) ~= nil)
  end
end

check.run(tests)
