-- Records of a study that were damaged, edited or removed: verify names them, and a study that
-- runs notices.

local check = dofile "tests/check.lua"
local tests = {}

local function shell(command)
  local pipe = assert(io.popen(("cd '%s' && %s"):format(check.temp, command)))
  local said = pipe:read "a"
  pipe:close()
  return said
end

-- What no digest is made of, too: meta.json, and the plan by which results are compared.
function tests.test_other_records_are_verified()
  local path = check.file("others.lua", [[
    experiment { name = "others", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c, run) return { loss = c.a + run.seed } end } ]])
  check.runner { "--runs", "others", path }
  local ids = {}
  for id in shell("ls others/others/trials"):gmatch "%S+" do ids[#ids + 1] = id end
  local function verify(status, ...)
    local out, err, got = check.runner { "--runs", "others", "verify", path }
    check.equal(got, status, out .. err)
    for _, part in ipairs { ... } do check.yes(out:find(part, 1, true) ~= nil, out) end
  end
  verify(0, "4 of 4 records are whole; 3 of 3 trials")
  local at = check.temp .. "/others/others/"
  local meta = check.read(at .. "trials/" .. ids[1] .. "/meta.json")
  for damage, said in pairs { ["[]"] = "meta.json: is JSON, but no map", x = "meta.json: not valid",
    ['{"attempts": 1}'] = 'meta.json: "attempts" is no list' } do
    check.file("others/others/trials/" .. ids[1] .. "/meta.json", damage)
    verify(1, "unreadable: ", ids[1], said, "3 of 4 records are whole")
  end
  os.remove(at .. "trials/" .. ids[1] .. "/meta.json")
  verify(1, "meta.json: is not there")
  check.file("others/others/trials/" .. ids[1] .. "/meta.json", meta)
  os.execute(("rm '%s/trials/%s/config.json' && mkfifo '%s/trials/%s/config.json'")
    :format(at, ids[2], at, ids[2]))
  verify(1, "unreadable: ", ids[2], "config.json: cannot be read: is not a file")
  local third = "others/others/trials/" .. ids[3] .. "/config.json"
  local config = check.read(check.temp .. "/" .. third)
  check.file(third, (config:gsub("1", "7")))      -- the advice is of what was altered alone
  verify(1, "unreadable: ", ("runner rm others id=%s removes it; "):format(ids[3]))
  check.file(third, config)
  os.remove(at .. "trials/" .. ids[2] .. "/config.json")
  verify(1, "altered: ", ids[2])
  check.runner { "--runs", "others", "rm", "others", "id=" .. ids[2] }
  check.runner { "--runs", "others", path }
  local plan = check.read(at .. "experiment.json")
  local function with(old, new)
    local changed, n = plan:gsub(old, new)
    check.equal(n > 0, true, plan)
    check.file("others/others/experiment.json", changed)
  end
  with('"seeds": %[1, 2%]', '"seeds": [1, 3]')
  verify(1, 'experiment.json: "seeds" is [1,3], and the script asks for [1,2]',
    "the script, run again, writes experiment.json anew", "4 of 4 records are whole")
  with('"goal": "min"', '"goal": "max"')
  verify(1, 'experiment.json: "goal" is "max", and the script asks for "min"')
  with('"seeds"', '"cell_contrasts": true, "seeds"')
  verify(1, 'experiment.json: "cell_contrasts" is true, and the script asks for none')
  with('"seeds"', '"seed"')
  verify(1, 'experiment.json: "seeds" is missing')
  check.file("others/others/experiment.json", "x")
  verify(1, "experiment.json: not valid JSON")
  check.runner { "--runs", "others", path }
  verify(0)
end

-- Somebody removes results of a study while it runs: they are made again, once.
function tests.test_results_that_are_removed_meanwhile()
  local path = check.file("gone.lua", ([[
    local args = args { times = 1 }
    experiment { name = "gone", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c, run)
        local trials, count = "%s/gone/gone/trials/", 0
        for line in io.popen("ls -d " .. trials .. "../removed-* 2>/dev/null"):lines() do
          count = count + 1
        end
        if (c.a == 2 and run.seed == 2 and count == 0) or (c.a == 2 and run.seed == 1
          and count == 1 and args.times == 2) then
          os.execute("rm -r " .. trials .. "*-s1/result.json " .. trials .. "../experiment.json")
          os.execute("touch " .. trials .. "../removed-" .. count)
        end
        return { loss = c.a } end } ]]):format(check.temp))
  local function run(times)
    local _, err, status = check.runner { "--runs", "gone", "--jobs", "1", path, "times=" .. times }
    check.equal(status, 0, err)
    check.yes(check.read(check.temp .. "/gone/gone/experiment.json") ~= nil)
    return err, tonumber(shell "ls gone/gone/trials/*/result.json | wc -l")
  end
  local err, n = run(1)
  check.yes(err:find("gone/gone: 2 results were removed while the study ran: run again\n", 1, true)
    ~= nil and err:find(" 0 failed, 0 left\n", 1, true) ~= nil, err)
  check.equal(n, 4)
  os.execute("rm -r " .. check.temp .. "/gone")
  err = run(2)
  check.yes(err:find("gone/gone: 1 result was removed while the study ran, and again: left;", 1,
    true) ~= nil and err:find(" 0 failed, 1 left\n", 1, true) ~= nil, err)
  err, n = run(2)
  check.yes(err:find(" 0 failed, 0 left\n", 1, true) ~= nil, err)
  check.equal(n, 4)
end

check.run(tests)
